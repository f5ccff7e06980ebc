/*
 * Hashes (hash.h): SHA-256 by libcrypto, XXH3 by libxxhash, CRC-32C by tables.
 *
 * One idea: CRC-32C takes eight bytes a step from eight tables (slicing), which needs no
 * instruction-set dispatch and is faster than any disk here.
 */
#include "base/hash.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/fs.h"
#include "base/fs_private.h"

enum { SHA256_BYTES = 32, FILE_BLOCK = 256 * 1024 };

struct rg_sha256 {
    EVP_MD_CTX *ctx;
    bool bad;
};

static void to_hex(const unsigned char *bytes, size_t n, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = 0;
}

rg_sha256 *rg_sha256_begin(void)
{
    rg_sha256 *hash = calloc(1, sizeof *hash);
    if (!hash) return NULL;
    hash->ctx = EVP_MD_CTX_new();
    if (hash->ctx && EVP_DigestInit_ex(hash->ctx, EVP_sha256(), NULL) == 1) return hash;
    EVP_MD_CTX_free(hash->ctx);
    free(hash);
    return NULL;
}

void rg_sha256_add(rg_sha256 *hash, const void *data, size_t n)
{
    if (EVP_DigestUpdate(hash->ctx, data, n) != 1) hash->bad = true;
}

void rg_sha256_end(rg_sha256 *hash, char hex[RG_SHA256_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    bool good = !hash->bad && EVP_DigestFinal_ex(hash->ctx, digest, &n) == 1 && n == SHA256_BYTES;
    hex[0] = 0; /* an empty hash matches none */
    if (good) to_hex(digest, SHA256_BYTES, hex);
    EVP_MD_CTX_free(hash->ctx);
    free(hash);
}

void rg_sha256_of(const void *data, size_t n, char hex[RG_SHA256_HEX])
{
    hex[0] = 0;
    rg_sha256 *hash = rg_sha256_begin();
    if (!hash) return;
    rg_sha256_add(hash, data, n);
    rg_sha256_end(hash, hex);
}

static rg_status add_file(rg_sha256 *hash, int fd, const char *path, rg_error *err)
{
    char *block = malloc(FILE_BLOCK);
    if (!block) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory while hashing", path);
    rg_status status = RG_OK;
    for (;;) {
        int64_t n = rg__fs_read(fd, block, FILE_BLOCK);
        if (n < 0) status = rg__fs_fail(err, "read", path);
        if (n <= 0) break;
        rg_sha256_add(hash, block, (size_t)n);
    }
    free(block);
    return status;
}

rg_status rg_sha256_file(const char *path, char hex[RG_SHA256_HEX], rg_error *err)
{
    hex[0] = 0;
    int fd = rg__fs_open(path, O_RDONLY);
    if (fd < 0) return rg__fs_fail(err, "open", path);
    rg_sha256 *hash = rg_sha256_begin();
    rg_status status = RG_OK;
    if (!hash) status = rg_fail(err, RG_ERR_NOMEM, "%s: out of memory while hashing", path);
    if (hash) {
        status = add_file(hash, fd, path, err);
        rg_sha256_end(hash, hex);
    }
    rg__fs_close(fd);
    if (status == RG_OK && !hex[0])
        status = rg_fail(err, RG_ERR_NOMEM, "%s: libcrypto failed to hash", path);
    if (status != RG_OK) hex[0] = 0;
    return status;
}

uint64_t rg_xxh3(const void *data, size_t n)
{
    return XXH3_64bits(data, n);
}

/* ---- CRC-32C ---- */

enum { SLICES = 8 };
static uint32_t crc_table[SLICES][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

/* crc_table[s][b]: what byte b does to the remainder when s more bytes follow it. */
static void make_crc_table(void)
{
    const uint32_t polynomial = 0x82f63b78; /* Castagnoli, bits reversed */
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
        crc_table[0][b] = crc;
    }
    for (int s = 1; s < SLICES; s++)
        for (uint32_t b = 0; b < 256; b++) {
            uint32_t before = crc_table[s - 1][b];
            crc_table[s][b] = before >> 8 ^ crc_table[0][before & 255];
        }
}

uint32_t rg_crc32c(uint32_t crc, const void *data, size_t n)
{
    pthread_once(&crc_once, make_crc_table);
    const unsigned char *p = data;
    crc = ~crc;
    for (; n >= SLICES; n -= SLICES, p += SLICES) {
        uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                              (uint32_t)p[3] << 24);
        crc = crc_table[7][low & 255] ^ crc_table[6][low >> 8 & 255] ^
              crc_table[5][low >> 16 & 255] ^ crc_table[4][low >> 24] ^ crc_table[3][p[4]] ^
              crc_table[2][p[5]] ^ crc_table[1][p[6]] ^ crc_table[0][p[7]];
    }
    for (; n > 0; n--, p++) crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 255];
    return ~crc;
}
