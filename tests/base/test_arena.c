/*
 * Arenas: alignment, both ends, exhaustion, marks.
 */
#include "base/arena.h"

#include <stdint.h>

#include "test.h"

static rg_arena *make(size_t capacity)
{
    rg_error err = {0};
    rg_arena *arena = rg_arena_create(capacity, "test", &err);
    ck_assert_msg(arena != NULL, "%s", err.text);
    return arena;
}

START_TEST(blocks_are_aligned_and_apart)
{
    rg_arena *arena = make(1 << 20);
    unsigned char *blocks[20];
    for (size_t i = 0; i < 20; i++) {
        blocks[i] =
            i % 2 ? rg_arena_alloc(arena, i * 7 + 1) : rg_arena_alloc_high(arena, i * 7 + 1);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % RG_ALIGN, 0);
        memset(blocks[i], (int)i, i * 7 + 1);
    }
    for (size_t i = 0; i < 20; i++)
        for (size_t k = 0; k < i * 7 + 1; k++) ck_assert_uint_eq(blocks[i][k], i);
    rg_arena_destroy(arena);
}
END_TEST

START_TEST(zalloc_clears_used_memory)
{
    rg_arena *arena = make(1 << 16);
    memset(rg_arena_alloc(arena, 1000), 0xff, 1000);
    rg_arena_reset(arena);
    const unsigned char *block = rg_arena_zalloc(arena, 1000);
    for (int i = 0; i < 1000; i++) ck_assert_uint_eq(block[i], 0);
    rg_arena_destroy(arena);
}
END_TEST

START_TEST(the_two_ends_meet_and_stop)
{
    rg_arena *arena = make(4 * RG_ALIGN * 1024);
    ck_assert_ptr_nonnull(rg_arena_alloc(arena, 2 * RG_ALIGN * 1024));
    ck_assert_ptr_nonnull(rg_arena_alloc_high(arena, RG_ALIGN * 1024));
    ck_assert_ptr_null(rg_arena_alloc(arena, RG_ALIGN * 1024 + 1));
    ck_assert_ptr_null(rg_arena_alloc_high(arena, RG_ALIGN * 1024 + 1));
    ck_assert_ptr_null(rg_arena_alloc(arena, SIZE_MAX));
    ck_assert_ptr_null(rg_arena_alloc_high(arena, SIZE_MAX - RG_ALIGN + 1));
    ck_assert_ptr_null(rg_arena_zalloc(arena, SIZE_MAX / 2));
    ck_assert_ptr_nonnull(rg_arena_alloc(arena, RG_ALIGN * 1024));
    ck_assert_ptr_null(rg_arena_alloc(arena, 1));
    ck_assert_uint_eq(rg_arena_used(arena), 4 * RG_ALIGN * 1024);
    rg_arena_destroy(arena);
}
END_TEST

START_TEST(marks_free_what_came_after)
{
    rg_arena *arena = make(1 << 16);
    rg_arena_alloc(arena, 100);
    rg_arena_alloc_high(arena, 100);
    size_t before = rg_arena_used(arena);
    rg_arena_mark mark = rg_arena_save(arena);
    const void *low = rg_arena_alloc(arena, 500), *high = rg_arena_alloc_high(arena, 700);
    size_t most = rg_arena_used(arena);
    rg_arena_restore(arena, mark);
    ck_assert_uint_eq(rg_arena_used(arena), before);
    ck_assert_uint_eq(rg_arena_high_water(arena), most);
    ck_assert_ptr_eq(rg_arena_alloc(arena, 1), low);
    ck_assert_ptr_eq(rg_arena_alloc_high(arena, 700), high);
    rg_arena_reset(arena);
    ck_assert_uint_eq(rg_arena_used(arena), 0);
    ck_assert_str_eq(rg_arena_name(arena), "test");
    rg_arena_destroy(arena);
}
END_TEST

START_TEST(borrowed_memory_is_never_touched)
{
    /* addresses that nobody has mapped: the first access would end the test */
    unsigned char *memory = (unsigned char *)(uintptr_t)0x100000;
    rg_error err = {0};
    rg_arena *arena = rg_arena_create_over(memory, (1 << 20) + 5, "device", &err);
    RG_ASSERT_OK(err.code, &err);
    rg_arena_mark mark = rg_arena_save(arena);
    ck_assert_ptr_eq(rg_arena_alloc(arena, 1), memory);
    ck_assert_ptr_eq(rg_arena_alloc(arena, 1000), memory + RG_ARENA_DEVICE_ALIGN);
    ck_assert_ptr_eq(rg_arena_alloc_high(arena, 1), memory + (1 << 20) - RG_ARENA_DEVICE_ALIGN);
    ck_assert_ptr_null(rg_arena_zalloc(arena, 1));
    ck_assert_ptr_null(rg_arena_alloc(arena, 1 << 20));
    rg_arena_restore(arena, mark);
    ck_assert_ptr_eq(rg_arena_alloc(arena, 1 << 20), memory);
    rg_arena_destroy(arena);
}
END_TEST

START_TEST(large_ranges_cost_nothing_until_used)
{
    size_t count = rg_arena_count();
    rg_arena *arena = make((size_t)8 << 30);
    unsigned char *block = rg_arena_alloc(arena, (size_t)5 << 30);
    ck_assert_ptr_nonnull(block);
    block[0] = 1;
    block[((size_t)5 << 30) - 1] = 1;
    rg_arena_destroy(arena);
    ck_assert_uint_eq(rg_arena_count(), count + 1);
    rg_error err = {0};
    ck_assert_ptr_null(rg_arena_create(SIZE_MAX - 5, "huge", &err));
    ck_assert_int_eq(err.code, RG_ERR_NOMEM);
    ck_assert_ptr_nonnull(strstr(err.text, "'huge'"));
    rg_arena_destroy(NULL);
}
END_TEST

RG_TEST_MAIN("arena", 30, blocks_are_aligned_and_apart, zalloc_clears_used_memory,
             the_two_ends_meet_and_stop, marks_free_what_came_after,
             borrowed_memory_is_never_touched, large_ranges_cost_nothing_until_used)
