/*
 * The pool (threads.h).
 *
 * One idea: one 64-bit ticket holds (run number, blocks not yet taken). Taking a block is one
 * compare-and-swap on it, so a thread that wakes late can never take a block of a run that is over,
 * and the caller never waits for a sleeping thread: it waits only for blocks that were taken.
 * Threads spin for some microseconds, about what a sleeper takes to wake, then sleep on a condition
 * variable.
 */
#include "base/threads.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

enum { MAX_THREADS = 1024, SPIN_NS = 20000, LOOKS_PER_CLOCK = 16, LINE = 64 };

typedef struct worker {
    alignas(LINE) atomic_int_least64_t busy; /* nanoseconds spent in blocks */
    rg_pool *pool;
    pthread_t thread;
    int32_t index;
} worker;

struct rg_pool {
    alignas(LINE) atomic_uint_least64_t ticket; /* run number << 32 | blocks left to take */
    alignas(LINE) atomic_int_least64_t done;    /* blocks finished in this run */
    /* The run: written before the ticket is published, read only by those who hold a block. */
    alignas(LINE) _Atomic(rg_block_fn *) fn;
    _Atomic(void *) ctx;
    atomic_int_least64_t first, blocks;

    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    atomic_int sleepers;
    atomic_bool stop, running;

    int32_t threads;
    int64_t spin_ns;
    bool pinned;
    pthread_t owner;
    cpu_set_t owner_mask;
    int64_t since, run_time; /* of rg_pool_take_idle; nanoseconds inside rg_pool_run since then */
    worker *workers;         /* [0] is the caller */
};

/* ---- CPUs ---- */

static cpu_set_t process_mask; /* as it was before anything here pinned a thread */
static pthread_once_t process_mask_once = PTHREAD_ONCE_INIT;

static void read_process_mask(void)
{
    if (sched_getaffinity(0, sizeof process_mask, &process_mask) == 0) return;
    CPU_ZERO(&process_mask);
    CPU_SET(0, &process_mask);
}

int32_t rg_cpu_count(void)
{
    pthread_once(&process_mask_once, read_process_mask);
    return CPU_COUNT(&process_mask);
}

void rg_thread_unpin(void)
{
    pthread_once(&process_mask_once, read_process_mask);
    pthread_setaffinity_np(pthread_self(), sizeof process_mask, &process_mask);
}

/* The k-th CPU of the process's mask, counted round. */
static int nth_cpu(int32_t k)
{
    k %= rg_cpu_count();
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &process_mask) && k-- == 0) return cpu;
    return 0;
}

/* A failure to pin costs speed only, so it is not an error. */
static void pin_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* ---- taking blocks ---- */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static bool has_work(rg_pool *pool)
{
    return (uint32_t)atomic_load(&pool->ticket) != 0;
}

typedef struct job {
    rg_block_fn *fn;
    void *ctx;
    int64_t block, blocks;
} job;

/*
 * Takes one block. The fields read before the swap belong to its run: they change only while no
 * block is left to take, and then the swap fails.
 */
static bool take(rg_pool *pool, job *out)
{
    uint64_t ticket = atomic_load(&pool->ticket);
    while ((uint32_t)ticket != 0) {
        out->fn = atomic_load_explicit(&pool->fn, memory_order_relaxed);
        out->ctx = atomic_load_explicit(&pool->ctx, memory_order_relaxed);
        out->blocks = atomic_load_explicit(&pool->blocks, memory_order_relaxed);
        out->block = atomic_load_explicit(&pool->first, memory_order_relaxed) + out->blocks -
                     (int64_t)(uint32_t)ticket;
        if (atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1)) return true;
    }
    return false;
}

static void announce_end(rg_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
}

/*
 * Runs blocks until none is left to take. A thread's time is booked before its blocks count as
 * done, so that the caller sees it; they count only after it failed to take another, so the clock
 * is read twice in a run and not for each block.
 */
static void work(rg_pool *pool, worker *self)
{
    job j;
    if (!take(pool, &j)) return;
    const int64_t start = now_ns(), blocks = j.blocks;
    int64_t n = 0;
    do {
        j.fn(j.ctx, j.block, self->index);
        n++;
    } while (take(pool, &j));
    atomic_fetch_add_explicit(&self->busy, now_ns() - start, memory_order_relaxed);
    if (atomic_fetch_add(&pool->done, n) + n == blocks && self->index != 0) announce_end(pool);
}

/* Looks for `spin_ns`; the clock is read now and then. */
static bool spin_until(rg_pool *pool, bool (*ready)(rg_pool *pool))
{
    const int64_t end = pool->spin_ns ? now_ns() + pool->spin_ns : 0;
    do {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (ready(pool)) return true;
            relax();
        }
    } while (end && now_ns() < end);
    return false;
}

static bool may_go_on(rg_pool *pool)
{
    return has_work(pool) || atomic_load(&pool->stop);
}

static void sleep_for_work(rg_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1); /* before the last look: the caller looks after writing */
    while (!has_work(pool) && !atomic_load(&pool->stop))
        pthread_cond_wait(&pool->work, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg)
{
    worker *self = arg;
    rg_pool *pool = self->pool;
    while (!atomic_load(&pool->stop)) {
        work(pool, self);
        if (!spin_until(pool, may_go_on)) sleep_for_work(pool);
    }
    return NULL;
}

/* ---- a run ---- */

static bool all_done(rg_pool *pool)
{
    return atomic_load(&pool->done) == atomic_load_explicit(&pool->blocks, memory_order_relaxed);
}

static void wait_for_blocks(rg_pool *pool)
{
    if (spin_until(pool, all_done)) return;
    pthread_mutex_lock(&pool->lock);
    while (!all_done(pool)) pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

static void run_slice(rg_pool *pool, rg_block_fn *fn, void *ctx, int64_t first, int64_t blocks)
{
    atomic_store_explicit(&pool->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&pool->ctx, ctx, memory_order_relaxed);
    atomic_store_explicit(&pool->first, first, memory_order_relaxed);
    atomic_store_explicit(&pool->blocks, blocks, memory_order_relaxed);
    atomic_store(&pool->done, 0);
    uint64_t run = (atomic_load(&pool->ticket) >> 32) + 1;
    atomic_store(&pool->ticket, run << 32 | (uint64_t)blocks);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->lock);
    }
    work(pool, &pool->workers[0]);
    wait_for_blocks(pool);
}

/* One block is the caller's: nobody is woken for it, the others count as waiting. */
static void run_alone(rg_pool *pool, rg_block_fn *fn, void *ctx)
{
    const int64_t start = now_ns();
    fn(ctx, 0, 0);
    atomic_fetch_add_explicit(&pool->workers[0].busy, now_ns() - start, memory_order_relaxed);
}

void rg_pool_run(rg_pool *pool, rg_block_fn *fn, void *ctx, int64_t blocks)
{
    if (!pool || pool->threads == 1) {
        for (int64_t i = 0; i < blocks; i++) fn(ctx, i, 0);
        return;
    }
    bool nested = atomic_exchange(&pool->running, true);
    assert(!nested && "a block must not call rg_pool_run on its own pool");
    (void)nested;
    int64_t start = now_ns();
    if (blocks == 1) run_alone(pool, fn, ctx);
    for (int64_t first = 0; first < blocks && blocks > 1;) {
        int64_t n = blocks - first < INT32_MAX ? blocks - first : INT32_MAX;
        run_slice(pool, fn, ctx, first, n);
        first += n;
    }
    pool->run_time += now_ns() - start;
    atomic_store(&pool->running, false);
}

/* ---- life of a pool ---- */

static void stop_workers(rg_pool *pool, int32_t started)
{
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 1; i < started; i++) pthread_join(pool->workers[i].thread, NULL);
}

static void free_pool(rg_pool *pool)
{
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

static rg_pool *allocate_pool(int32_t threads)
{
    rg_pool *pool = aligned_alloc(LINE, (sizeof *pool + LINE - 1) / LINE * LINE);
    worker *workers = aligned_alloc(LINE, (size_t)threads * sizeof *workers);
    if (!pool || !workers) {
        free(pool);
        free(workers);
        return NULL;
    }
    memset(pool, 0, sizeof *pool);
    memset(workers, 0, (size_t)threads * sizeof *workers);
    pool->workers = workers;
    pool->threads = threads;
    pool->spin_ns = threads <= rg_cpu_count() ? SPIN_NS : 0;
    pool->since = now_ns();
    pool->owner = pthread_self();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->finished, NULL);
    return pool;
}

/* The mask is set on the attributes, so that a thread never runs where its maker was pinned. */
static int start_worker(rg_pool *pool, int32_t index, int32_t first_cpu, bool pin)
{
    worker *w = &pool->workers[index];
    w->pool = pool;
    w->index = index;
    cpu_set_t set = process_mask;
    if (pin) {
        CPU_ZERO(&set);
        CPU_SET(nth_cpu(first_cpu + index), &set);
    }
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error) return error;
    pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
    error = pthread_create(&w->thread, &attributes, worker_main, w);
    pthread_attr_destroy(&attributes);
    if (error == EINVAL) error = pthread_create(&w->thread, NULL, worker_main, w); /* CPU is gone */
    return error;
}

rg_pool *rg_pool_create(int32_t threads, int32_t first_cpu, bool pin, rg_error *err)
{
    if (threads == 0) threads = rg_cpu_count();
    if (threads < 0 || threads > MAX_THREADS) {
        rg_fail(err, RG_ERR_USAGE, "%d threads asked for; 0 to %d are possible", (int)threads,
                (int)MAX_THREADS);
        return NULL;
    }
    rg_cpu_count(); /* reads the mask before the caller is pinned */
    rg_pool *pool = allocate_pool(threads);
    if (!pool) {
        rg_fail(err, RG_ERR_NOMEM, "out of memory for a pool of %d threads", (int)threads);
        return NULL;
    }
    if (first_cpu < 0) first_cpu = 0;
    for (int32_t i = 1; i < threads; i++) {
        int error = start_worker(pool, i, first_cpu, pin);
        if (error) {
            rg_fail(err, RG_ERR_NOMEM, "cannot start thread %d of %d: %s", (int)i + 1, (int)threads,
                    strerrordesc_np(error));
            stop_workers(pool, i);
            free_pool(pool);
            return NULL;
        }
    }
    pool->pinned =
        pin && pthread_getaffinity_np(pool->owner, sizeof pool->owner_mask, &pool->owner_mask) == 0;
    if (pool->pinned) pin_to(nth_cpu(first_cpu));
    return pool;
}

void rg_pool_destroy(rg_pool *pool)
{
    if (!pool) return;
    stop_workers(pool, pool->threads);
    if (pool->pinned && pthread_equal(pool->owner, pthread_self()))
        pthread_setaffinity_np(pool->owner, sizeof pool->owner_mask, &pool->owner_mask);
    free_pool(pool);
}

int32_t rg_pool_threads(const rg_pool *pool)
{
    return pool ? pool->threads : 1;
}

rg_idle rg_pool_take_idle(rg_pool *pool)
{
    if (!pool || pool->threads == 1) return (rg_idle){0};
    int64_t busy = 0;
    for (int32_t i = 0; i < pool->threads; i++) busy += atomic_exchange(&pool->workers[i].busy, 0);
    const int64_t now = now_ns(), wall = now - pool->since, run = pool->run_time;
    const double n = pool->threads, total = n * (double)wall;
    pool->since = now;
    pool->run_time = 0;
    if (wall <= 0) return (rg_idle){0};
    const double waiting = n * (double)run - (double)busy;
    return (rg_idle){waiting > 0 ? waiting / total : 0, (n - 1) * (double)(wall - run) / total};
}
