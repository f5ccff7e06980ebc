/*
 * The safetensors container: what we write, what others write, and everything that can be wrong.
 *
 * One idea: files are made from a header as text and a data section, so that every fault is one row
 * of a table with the words that its message must hold.
 */
#include "base/fs.h"
#include "engine/safetensors.h"
#include "test.h"

static char path[600];

/* Not through base/fs, and not over an old file: thousands of files need no flush to the disk. */
static void put_file(const void *bytes, size_t n)
{
    snprintf(path, sizeof path, "%s/file.safetensors", rg_test_folder());
    remove(path);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, n, file), n);
    ck_assert_int_eq(fclose(file), 0);
}

/* Length, header, n_data bytes 0, 1, 2 ... */
static size_t compose(char *out, const char *header, size_t n_data)
{
    uint64_t n = strlen(header);
    memcpy(out, &n, 8);
    memcpy(out + 8, header, n);
    for (size_t i = 0; i < n_data; i++) out[8 + n + i] = (char)i;
    return 8 + n + n_data;
}

static void put(const char *header, size_t n_data)
{
    static char bytes[1 << 16];
    put_file(bytes, compose(bytes, header, n_data));
}

/* ---- what is read ---- */

START_TEST(foreign_files_are_read)
{
    rg_error err = {0};
    /* data out of name order, odd alignment, padded header, metadata, empty and 0-rank tensors */
    put("{\"z\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
        "\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"shape\":[2,1],\"data_offsets\":[3,11],\"dtype\":\"F32\"},"
        "\"empty\":{\"dtype\":\"F64\",\"shape\":[0,5],\"data_offsets\":[3,3]},"
        "\"scalar\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[11,15]}}     ",
        15);
    rg_st_reader *r = rg_st_open(path, &err);
    ck_assert_msg(r != NULL, "%s", err.text);
    ck_assert_uint_eq(rg_st_count(r), 4);
    ck_assert_str_eq(rg_st_at(r, 0)->name, "a"); /* name order */
    ck_assert_ptr_null(rg_st_at(r, 4));
    ck_assert_ptr_null(rg_st_find(r, "b"));
    ck_assert_ptr_null(rg_st_find(r, "__metadata__"));
    ck_assert_str_eq(rg_st_metadata(r, "format"), "pt");
    ck_assert_ptr_null(rg_st_metadata(r, "none"));
    const rg_st_tensor *z = rg_st_find(r, "z"), *scalar = rg_st_find(r, "scalar");
    unsigned char bytes[3];
    int32_t number;
    RG_ASSERT_OK(rg_st_read(r, z, bytes, &err), &err);
    ck_assert(bytes[0] == 0 && bytes[2] == 2 && z->dtype == RG_U8 && z->shape.dim[0] == 3);
    RG_ASSERT_OK(rg_st_read(r, scalar, &number, &err), &err);
    ck_assert(number == 0x0e0d0c0b && scalar->shape.ndim == 0);
    RG_ASSERT_OK(rg_st_read(r, rg_st_find(r, "empty"), NULL, &err), &err);
    rg_st_close(r);
}
END_TEST

START_TEST(an_empty_file_of_tensors_is_read)
{
    rg_error err = {0};
    put("{}", 0);
    rg_st_reader *r = rg_st_open(path, &err);
    ck_assert_msg(r != NULL, "%s", err.text);
    ck_assert_uint_eq(rg_st_count(r), 0);
    ck_assert_ptr_null(rg_st_find(r, ""));
    ck_assert_ptr_null(rg_st_metadata(r, "format"));
    rg_st_close(r);
}
END_TEST

START_TEST(floats_are_converted)
{
    rg_error err = {0};
    const uint16_t half[] = {0x3c00, 0xc000}, bfloat[] = {0x3f80, 0xc000};
    const double wide[] = {1, -2};
    const float plain[] = {1, -2};
    const int32_t ints[] = {1, -2};
    rg_st_writer *w = rg_st_writer_create(&err);
    rg_shape two = RG_SHAPE(2);
    rg_st_add(w, "half", RG_F16, two, half);
    rg_st_add(w, "bfloat", RG_BF16, two, bfloat);
    rg_st_add(w, "wide", RG_F64, two, wide);
    rg_st_add(w, "plain", RG_F32, two, plain);
    rg_st_add(w, "zints", RG_I32, two, ints);
    snprintf(path, sizeof path, "%s/floats.safetensors", rg_test_folder());
    RG_ASSERT_OK(rg_st_write(w, path, &err), &err);
    rg_st_reader *r = rg_st_open(path, &err);
    ck_assert_msg(r != NULL, "%s", err.text);
    for (size_t i = 0; i < 4; i++) {
        float out[2] = {0};
        RG_ASSERT_OK(rg_st_read_floats(r, rg_st_at(r, i), out, &err), &err);
        ck_assert(out[0] == 1 && out[1] == -2);
    }
    float out[2];
    ck_assert_int_eq(rg_st_read_floats(r, rg_st_find(r, "zints"), out, &err), RG_ERR_DTYPE);
    ck_assert_msg(strstr(err.text, "zints"), "%s", err.text);
    rg_st_close(r);
}
END_TEST

/* ---- what is refused ---- */

#define T(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    size_t n_data;
    const char *says;
} faults[] = {
    {"[]", 0, "'{'"},
    {" {}", 0, "'{'"},
    {"{   ", 0, "header"},
    {"{}x", 0, "header"},
    {"{\"a\":1}", 0, "tensor a"},
    {"{\"a\":{}}", 0, "tensor a"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor a"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":0}}", 4, "nothing else"},
    {"{" T("a", "F31", "[1]", "[0,4]") "}", 4, "F31"},
    {"{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
    {"{" T("a", "F32", "1", "[0,4]") "}", 4, "shape"},
    {"{" T("a", "F32", "[-1]", "[0,4]") "}", 4, "dim 0"},
    {"{" T("a", "F32", "[1.0]", "[0,4]") "}", 4, "dim 0"},
    {"{" T("a", "F32", "[1,1,1,1,1]", "[0,4]") "}", 4, "5 dims"},
    {"{" T("a", "F32", "[4611686018427387904,4]", "[0,4]") "}", 4, "overflows"},
    {"{" T("a", "F32", "[9223372036854775807]", "[0,4]") "}", 4, "overflows"},
    {"{" T("a", "F32", "[99999999999999999999]", "[0,4]") "}", 4, "header"},
    {"{" T("a", "F32", "[1]", "[0]") "}", 4, "data_offsets"},
    {"{" T("a", "F32", "[1]", "[0,\"4\"]") "}", 4, "data_offsets"},
    {"{" T("a", "F32", "[1]", "[0,4,8]") "}", 4, "data_offsets"},
    {"{" T("a", "F32", "[1]", "[4,0]") "}", 4, "backwards"},
    {"{" T("a", "F32", "[1]", "[-4,0]") "}", 4, "backwards"},
    {"{" T("a", "F32", "[2]", "[0,4]") "}", 4, "need 8"},
    {"{" T("a", "F32", "[1]", "[0,4]") "}", 3, "cut"},
    {"{" T("a", "F32", "[1]", "[0,4]") "}", 5, "1 bytes after"},
    {"{" T("a", "F32", "[1]", "[1,5]") "}", 5, "gap"},
    {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[6,10]") "}", 10, "gap"},
    {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[2,6]") "}", 6, "overlap"},
    {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[0,4]") "}", 4, "overlap"},
    {"{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[4,8]") "}", 8, "header"},
    {"{\"__metadata__\":1}", 0, "__metadata__"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "metadata a"},
    {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "metadata a"},
    {"{\"a\\u0000b\":1}", 0, "header"},
    {"{\"\xff\":1}", 0, "header"},
};

static void expect_refusal(const char *says)
{
    rg_error err = {0};
    rg_st_reader *r = rg_st_open(path, &err);
    ck_assert_msg(r == NULL, "read, though it should be refused: %s", says);
    ck_assert_msg(err.code != RG_OK && !strncmp(err.text, path, strlen(path)), "%s", err.text);
    ck_assert_msg(strstr(err.text, says), "'%s' does not say '%s'", err.text, says);
    ck_assert_msg(!strchr(err.text, '\n'), "%s", err.text);
}

START_TEST(every_fault_of_the_header_is_refused)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        put(faults[i].header, faults[i].n_data);
        expect_refusal(faults[i].says);
    }
}
END_TEST

START_TEST(wrong_lengths_are_refused)
{
    static const uint64_t lengths[] = {0,          1,          3,          1000,          100000001,
                                       1ull << 32, 1ull << 63, UINT64_MAX, UINT64_MAX - 7};
    char bytes[64];
    size_t n = compose(bytes, "{}", 0);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memcpy(bytes, &lengths[i], 8);
        put_file(bytes, n);
        expect_refusal("header");
    }
    put_file("", 0);
    expect_refusal("too short");
    snprintf(path, sizeof path, "%s/none.safetensors", rg_test_folder());
    expect_refusal("none.safetensors");
    snprintf(path, sizeof path, "%s", rg_test_folder());
    expect_refusal(":");
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum { DEPTH = 30000 };
    static char header[2 * DEPTH + 16];
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', DEPTH);
    memset(header + 5 + DEPTH, ']', DEPTH);
    memcpy(header + 5 + 2 * DEPTH, "}", 2);
    put(header, 0);
    expect_refusal("header");
}
END_TEST

START_TEST(too_many_tensors_are_refused)
{
    const size_t n = 100001;
    const size_t room = n * 80;
    char *header = malloc(room), *at = header;
    at += snprintf(at, room, "{");
    for (size_t i = 0; i <= n; i++)
        at += snprintf(at, room - (size_t)(at - header), "%s" T("%zu", "U8", "[0]", "[0,0]"),
                       i ? "," : "", i);
    at += snprintf(at, room - (size_t)(at - header), "}");
    char *bytes = malloc((size_t)(at - header) + 8);
    put_file(bytes, compose(bytes, header, 0));
    expect_refusal("100000");
    free(bytes);
    free(header);
}
END_TEST

/* ---- what is written ---- */

static const float values[40] = {1, 2, 3};
static const int32_t codes[7] = {4, 5, 6};

static void write_sample(void)
{
    rg_error err = {0};
    rg_st_writer *w = rg_st_writer_create(&err);
    ck_assert_msg(w != NULL, "%s", err.text);
    rg_st_add(w, "odd", RG_I32, RG_SHAPE(7), codes);
    rg_st_add(w, "whole", RG_F32, RG_SHAPE(2, 16), values);
    rg_st_add(w, "name \"quoted\" \xc3\xa9", RG_F32, RG_SHAPE(3), values);
    rg_st_add(w, "none", RG_F32, RG_SHAPE(0), values);
    rg_st_add_metadata(w, "note", "a\nb");
    snprintf(path, sizeof path, "%s/sample.safetensors", rg_test_folder());
    RG_ASSERT_OK(rg_st_write(w, path, &err), &err);
}

START_TEST(round_trip_and_alignment)
{
    rg_error err = {0};
    write_sample();
    rg_st_reader *r = rg_st_open(path, &err);
    ck_assert_msg(r != NULL, "%s", err.text);
    ck_assert_uint_eq(rg_st_count(r), 4);
    const rg_st_tensor *whole = rg_st_find(r, "whole"), *odd = rg_st_find(r, "odd");
    ck_assert_int_eq(whole->offset, 0); /* a multiple of 64 bytes comes first */
    ck_assert_int_gt(odd->offset, 0);
    ck_assert_str_eq(rg_st_metadata(r, "note"), "a\nb");
    ck_assert_uint_eq(strlen(rg_st_metadata(r, "crc32c:whole")), 8);
    float got[32];
    int32_t ints[7];
    RG_ASSERT_OK(rg_st_read(r, whole, got, &err), &err);
    ck_assert_mem_eq(got, values, sizeof got);
    RG_ASSERT_OK(rg_st_read(r, odd, ints, &err), &err);
    ck_assert_mem_eq(ints, codes, sizeof ints);
    RG_ASSERT_OK(rg_st_read(r, rg_st_find(r, "name \"quoted\" \xc3\xa9"), got, &err), &err);
    rg_st_close(r);
    char *bytes;
    size_t n;
    uint64_t length;
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &bytes, &n, &err), &err);
    memcpy(&length, bytes, 8);
    ck_assert_uint_eq((8 + length) % 64, 0);
    free(bytes);
}
END_TEST

START_TEST(same_tensors_same_bytes)
{
    rg_error err = {0};
    char *first, *second;
    size_t n, m;
    write_sample();
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &first, &n, &err), &err);
    write_sample();
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &second, &m, &err), &err);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(first, second, n);
    free(first);
    free(second);
}
END_TEST

START_TEST(faulty_writes_are_refused)
{
    rg_error err = {0};
    snprintf(path, sizeof path, "%s/faulty.safetensors", rg_test_folder());
    rg_st_writer *w = rg_st_writer_create(&err);
    rg_st_add(w, "twice", RG_I32, RG_SHAPE(7), codes);
    rg_st_add(w, "twice", RG_I32, RG_SHAPE(7), codes);
    ck_assert_int_eq(rg_st_write(w, path, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "twice"), "%s", err.text);
    rg_error_clear(&err);
    w = rg_st_writer_create(&err);
    rg_st_add(w, "bad \xff", RG_I32, RG_SHAPE(7), codes);
    ck_assert_int_eq(rg_st_write(w, path, &err), RG_ERR_FORMAT);
    rg_error_clear(&err);
    w = rg_st_writer_create(&err);
    rg_st_add_metadata(w, "key", "bad \xff");
    ck_assert_int_eq(rg_st_write(w, path, &err), RG_ERR_FORMAT);
    ck_assert(!rg_fs_exists(path));
    rg_st_writer_free(NULL);
}
END_TEST

/* ---- damage ---- */

/* Opens and reads all tensors; RG_OK when nothing was noticed. */
static rg_status read_everything(rg_error *err)
{
    rg_st_reader *r = rg_st_open(path, err);
    if (!r) return err->code;
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < rg_st_count(r); i++) {
        const rg_st_tensor *t = rg_st_at(r, i);
        void *data = malloc((size_t)t->bytes + 1);
        status = rg_st_read(r, t, data, err);
        free(data);
    }
    rg_st_close(r);
    return status;
}

START_TEST(every_truncation_is_found)
{
    rg_error err = {0};
    char *bytes;
    size_t n;
    write_sample();
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &bytes, &n, &err), &err);
    for (size_t cut = 0; cut < n; cut++) {
        put_file(bytes, cut);
        ck_assert_msg(read_everything(&err) != RG_OK, "cut at %zu of %zu bytes", cut, n);
        rg_error_clear(&err);
    }
    put_file(bytes, n);
    RG_ASSERT_OK(read_everything(&err), &err);
    free(bytes);
}
END_TEST

START_TEST(every_flipped_data_bit_is_found)
{
    rg_error err = {0};
    char *bytes;
    size_t n;
    uint64_t length;
    write_sample();
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &bytes, &n, &err), &err);
    memcpy(&length, bytes, 8);
    for (size_t i = 8 + length; i < n; i++) {
        bytes[i] ^= (char)(1 << i % 8);
        put_file(bytes, n);
        ck_assert_int_eq(read_everything(&err), RG_ERR_FORMAT);
        ck_assert_msg(strstr(err.text, "damaged"), "%s", err.text);
        rg_error_clear(&err);
        bytes[i] ^= (char)(1 << i % 8);
    }
    free(bytes);
}
END_TEST

/* A flipped header bit is refused, or the file means the same or says something else well-formed;
 * it never crashes. */
START_TEST(flipped_header_bits_are_survived)
{
    rg_error err = {0};
    char *bytes;
    size_t n;
    uint64_t length;
    write_sample();
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &bytes, &n, &err), &err);
    memcpy(&length, bytes, 8);
    size_t refused = 0;
    for (size_t i = 0; i < 8 + length; i++) {
        bytes[i] ^= (char)(1 << i % 8);
        put_file(bytes, n);
        refused += read_everything(&err) != RG_OK;
        rg_error_clear(&err);
        bytes[i] ^= (char)(1 << i % 8);
    }
    ck_assert_uint_gt(refused, length / 2);
    free(bytes);
}
END_TEST

RG_TEST_MAIN("safetensors", 60, foreign_files_are_read, an_empty_file_of_tensors_is_read,
             floats_are_converted, every_fault_of_the_header_is_refused, wrong_lengths_are_refused,
             deep_nesting_is_refused, too_many_tensors_are_refused, round_trip_and_alignment,
             same_tensors_same_bytes, faulty_writes_are_refused, every_truncation_is_found,
             every_flipped_data_bit_is_found, flipped_header_bits_are_survived)
