/*
 * The pool: every block once, same bits for any number of threads, sleep and wake, pins.
 *
 * One idea: many short runs in a row, with pauses in between, are what finds lost wake-ups and
 * blocks of a run that is over.
 */
#include "base/threads.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "test.h"

enum { MOST = 3000 };

typedef struct tally {
    atomic_int runs[MOST];
    atomic_int bad_thread;
    int32_t threads;
    double sums[MOST];
} tally;

static tally t;

static void count_block(void *ctx, int64_t block, int32_t thread)
{
    tally *it = ctx;
    atomic_fetch_add(&it->runs[block], 1);
    if (thread < 0 || thread >= it->threads) atomic_store(&it->bad_thread, 1);
    double sum = 0; /* unsynchronised on purpose: the pool must order it before the caller's read */
    for (int i = 1; i < 50; i++) sum += 1.0 / (double)(block + i);
    it->sums[block] = sum;
}

static void check_all(rg_pool *pool, int64_t blocks)
{
    memset(&t, 0, sizeof t);
    t.threads = rg_pool_threads(pool);
    rg_pool_run(pool, count_block, &t, blocks);
    ck_assert_int_eq(atomic_load(&t.bad_thread), 0);
    for (int64_t i = 0; i < MOST; i++) {
        ck_assert_int_eq(atomic_load(&t.runs[i]), i < blocks);
        ck_assert(t.sums[i] > 0 || i >= blocks);
    }
}

static rg_pool *make(int32_t threads, bool pin)
{
    rg_error err = {0};
    rg_pool *pool = rg_pool_create(threads, 0, pin, &err);
    ck_assert_msg(pool != NULL, "%s", err.text);
    return pool;
}

START_TEST(every_block_runs_once)
{
    static const int32_t sizes[] = {1, 2, 3, 7};
    static const int64_t blocks[] = {0, 1, 2, 3, 16, 1000, MOST};
    for (size_t i = 0; i < 4; i++) {
        rg_pool *pool = make(sizes[i], i % 2 == 0);
        ck_assert_int_eq(rg_pool_threads(pool), sizes[i]);
        for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) check_all(pool, blocks[k]);
        rg_pool_destroy(pool);
    }
    check_all(NULL, 100);
    rg_pool_destroy(NULL);
    ck_assert_int_eq(rg_pool_threads(NULL), 1);
}
END_TEST

static void add_one(void *ctx, int64_t block, int32_t thread)
{
    (void)block;
    (void)thread;
    atomic_fetch_add((atomic_int *)ctx, 1);
}

START_TEST(short_runs_in_a_row)
{
    rg_pool *pool = make(3, false);
    atomic_int sum = 0;
    int expected = 0;
    for (int run = 0; run < 20000; run++) {
        rg_pool_run(pool, add_one, &sum, run % 5);
        expected += run % 5;
        ck_assert_int_eq(atomic_load(&sum), expected);
    }
    rg_pool_destroy(pool);
}
END_TEST

START_TEST(sleeping_threads_wake)
{
    rg_pool *pool = make(2, false);
    for (int run = 0; run < 20; run++) {
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        check_all(pool, 64);
    }
    rg_pool_destroy(pool);
}
END_TEST

static void wait_a_little(void *ctx, int64_t block, int32_t thread)
{
    (void)ctx;
    (void)block;
    (void)thread;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

START_TEST(idle_says_who_waited)
{
    rg_pool *pool = make(2, false);
    rg_pool_take_idle(pool);
    rg_pool_run(pool, wait_a_little, NULL, 1); /* one thread works, one waits: a half */
    rg_idle idle = rg_pool_take_idle(pool);
    ck_assert_msg(idle.waiting > 0 && idle.waiting < 1, "waiting %g", idle.waiting);
    ck_assert_msg(idle.waiting + idle.alone >= 0.499, "waiting %g alone %g", idle.waiting,
                  idle.alone);
    wait_a_little(NULL, 0, 0); /* outside of a run: the caller alone, a half too */
    idle = rg_pool_take_idle(pool);
    ck_assert_msg(idle.waiting == 0 && fabs(idle.alone - 0.5) < 1e-9, "waiting %g alone %g",
                  idle.waiting, idle.alone);
    idle = rg_pool_take_idle(NULL);
    ck_assert(idle.waiting == 0 && idle.alone == 0);
    rg_pool_destroy(pool);
}
END_TEST

START_TEST(the_caller_gets_its_mask_back)
{
    cpu_set_t before, inside, after;
    int32_t cpus = rg_cpu_count();
    ck_assert_int_ge(cpus, 1);
    sched_getaffinity(0, sizeof before, &before);
    rg_pool *pool = make(0, true);
    ck_assert_int_eq(rg_pool_threads(pool), cpus);
    sched_getaffinity(0, sizeof inside, &inside);
    ck_assert_int_eq(CPU_COUNT(&inside), 1);
    ck_assert_int_eq(rg_cpu_count(), cpus);
    rg_pool *second = make(0, false); /* made by a pinned thread, still as wide as the process */
    ck_assert_int_eq(rg_pool_threads(second), cpus);
    rg_pool_destroy(second);
    rg_pool_destroy(pool);
    sched_getaffinity(0, sizeof after, &after);
    ck_assert(CPU_EQUAL(&before, &after));
    rg_pool *third = make(1, true);
    rg_thread_unpin();
    sched_getaffinity(0, sizeof after, &after);
    ck_assert(CPU_EQUAL(&before, &after));
    rg_pool_destroy(third);
}
END_TEST

START_TEST(impossible_numbers_are_refused)
{
    rg_error err = {0};
    ck_assert_ptr_null(rg_pool_create(-1, 0, false, &err));
    ck_assert_int_eq(err.code, RG_ERR_USAGE);
    rg_error_clear(&err);
    ck_assert_ptr_null(rg_pool_create(100000, 0, false, &err));
    ck_assert_str_eq(err.text, "100000 threads asked for; 0 to 1024 are possible");
}
END_TEST

RG_TEST_MAIN("threads", 60, every_block_runs_once, short_runs_in_a_row, sleeping_threads_wake,
             idle_says_who_waited, the_caller_gets_its_mask_back, impossible_numbers_are_refused)
