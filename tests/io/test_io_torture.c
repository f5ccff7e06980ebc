/*
 * Files of tensors on a heap that fails: for every N the Nth allocation is refused.
 *
 * One idea: the work either succeeds whole or says why not, leaves the file whole or absent, and
 * leaks nothing.
 */
#include "base/fs.h"
#include "engine/checkpoint.h"
#include "test.h"

#include "failing_alloc.inc"

static char path[600];
static const float values[20] = {1, 2, 3};

static rg_status write_sample(rg_error *err)
{
    rg_st_writer *w = rg_st_writer_create(err);
    if (!w) return err->code;
    rg_st_add(w, "a", RG_F32, RG_SHAPE(4, 4), values);
    rg_st_add(w, "b", RG_F32, RG_SHAPE(3), values);
    rg_st_add_metadata(w, "key", "value");
    return rg_st_write(w, path, err);
}

/* Reads "a" and compares; RG_ERR_MISMATCH when it is another. */
static rg_status read_sample(rg_error *err)
{
    float got[16] = {0};
    rg_st_reader *r = rg_st_open(path, err);
    if (!r) return err->code;
    const rg_st_tensor *t = rg_st_find(r, "a");
    rg_status status = t ? rg_st_read(r, t, got, err) : RG_ERR_MISMATCH;
    if (status == RG_OK && memcmp(got, values, sizeof got) != 0) status = RG_ERR_MISMATCH;
    if (status == RG_OK && !rg_st_metadata(r, "key")) status = RG_ERR_MISMATCH;
    rg_st_close(r);
    return status;
}

static rg_status hash_sample(rg_error *err)
{
    char hex[65];
    return rg_weights_hash(path, hex, err);
}

/* Runs work for every N; between two runs at most `spare` blocks may be left on the heap. */
static void torture(rg_status (*work)(rg_error *), bool (*fine_after)(rg_status), int64_t spare)
{
    int64_t nth = 0;
    for (bool hit = true; hit;) {
        rg_error err = {0};
        int64_t live = rg_alloc_live();
        rg_alloc_begin(++nth);
        rg_status status = work(&err);
        hit = rg_alloc_end();
        int64_t left = rg_alloc_live() - live;
        ck_assert_msg(left <= spare, "allocation %d: %d blocks are left", (int)nth, (int)left);
        ck_assert_msg(status == RG_OK || err.text[0], "allocation %d: no reason", (int)nth);
        ck_assert_msg(status != RG_ERR_MISMATCH, "allocation %d: other content", (int)nth);
        ck_assert_msg(fine_after(status), "allocation %d: %s", (int)nth, err.text);
        ck_assert_int_lt(nth, 2000);
    }
    ck_assert(!rg_alloc_can_fail() || nth > 3);
}

static bool whole_or_absent(rg_status status)
{
    rg_error err = {0};
    if (!rg_fs_exists(path)) return status != RG_OK;
    bool whole = read_sample(&err) == RG_OK;
    return remove(path) == 0 && whole;
}

static bool always(rg_status status)
{
    (void)status;
    return true;
}

START_TEST(the_heap_fails_while_writing)
{
    snprintf(path, sizeof path, "%s/torture.safetensors", rg_test_folder());
    torture(write_sample, whole_or_absent, 0);
}
END_TEST

START_TEST(the_heap_fails_while_reading)
{
    rg_error err = {0};
    snprintf(path, sizeof path, "%s/torture.safetensors", rg_test_folder());
    RG_ASSERT_OK(write_sample(&err), &err);
    RG_ASSERT_OK(hash_sample(&err), &err); /* libcrypto sets itself up once */
    torture(read_sample, always, 0);
    torture(hash_sample, always, 2); /* libcrypto keeps a record of its last error */
}
END_TEST

RG_TEST_MAIN("io torture", 60, the_heap_fails_while_writing, the_heap_fails_while_reading)
