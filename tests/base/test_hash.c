/*
 * Hashes against published values.
 */
#include "base/hash.h"

#include "base/fs.h"
#include "test.h"

#define ABC_HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MILLION_A_HASH "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

START_TEST(sha256_known_answers)
{
    char hex[RG_SHA256_HEX];
    rg_sha256_of("abc", 3, hex);
    ck_assert_str_eq(hex, ABC_HASH);
    rg_sha256_of("", 0, hex);
    ck_assert_str_eq(hex, EMPTY_HASH);
    rg_sha256 *hash = rg_sha256_begin();
    ck_assert_ptr_nonnull(hash);
    char block[1000];
    memset(block, 'a', sizeof block);
    for (int i = 0; i < 1000; i++) rg_sha256_add(hash, block, sizeof block);
    rg_sha256_end(hash, hex);
    ck_assert_str_eq(hex, MILLION_A_HASH);
}
END_TEST

START_TEST(sha256_of_files)
{
    rg_error err = {0};
    char path[600], hex[RG_SHA256_HEX];
    snprintf(path, sizeof path, "%s/a million", rg_test_folder());
    char *block = malloc(1000000);
    memset(block, 'a', 1000000);
    RG_ASSERT_OK(rg_fs_write_atomic(path, block, 1000000, &err), &err);
    free(block);
    RG_ASSERT_OK(rg_sha256_file(path, hex, &err), &err);
    ck_assert_str_eq(hex, MILLION_A_HASH);
    ck_assert_int_eq(rg_sha256_file("/no/such/file", hex, &err), RG_ERR_IO);
    ck_assert_str_eq(hex, "");
    ck_assert_str_eq(err.text, "/no/such/file: cannot open: No such file or directory");
}
END_TEST

START_TEST(crc32c_known_answers)
{
    /* RFC 3720 B.4 and the customary check value */
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) {
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    ck_assert_uint_eq(rg_crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(rg_crc32c(0, zeros, 32), 0x8a9136aa);
    ck_assert_uint_eq(rg_crc32c(0, ones, 32), 0x62a8ab43);
    ck_assert_uint_eq(rg_crc32c(0, up, 32), 0x46dd794e);
    ck_assert_uint_eq(rg_crc32c(0, down, 32), 0x113fdb5c);
    ck_assert_uint_eq(rg_crc32c(0, "", 0), 0);
    for (size_t cut = 0; cut <= 32; cut++)
        ck_assert_uint_eq(rg_crc32c(rg_crc32c(0, up, cut), up + cut, 32 - cut), 0x46dd794e);
}
END_TEST

START_TEST(xxh3_known_answers)
{
    ck_assert(rg_xxh3("", 0) == 0x2d06800538d394c2ull);
    ck_assert(rg_xxh3("abc", 3) == 0x78af5f94892f3950ull);
}
END_TEST

RG_TEST_MAIN("hash", 30, sha256_known_answers, sha256_of_files, crc32c_known_answers,
             xxh3_known_answers)
