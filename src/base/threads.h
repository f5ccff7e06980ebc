/*
 * A pinned pool of threads that runs numbered blocks of work.
 *
 * One idea: work is cut into blocks that do not depend on the number of threads; who runs a block
 * is free, what it computes is not. So sums have the same bits on 1, 2, 3 or 7 threads. Not here:
 * futures, queues, nesting (a block must not call rg_pool_run on its own pool).
 */
#ifndef RG_BASE_THREADS_H
#define RG_BASE_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

RG_C_BEGIN

typedef struct rg_pool rg_pool;

/* Runs block `block` on thread `thread` (0 .. threads-1; 0 is the caller). */
typedef void rg_block_fn(void *ctx, int64_t block, int32_t thread);

/*
 * `threads` 0 means one per CPU of the process's affinity mask. The k-th thread is pinned to the
 * (first_cpu + k)-th CPU of that mask when `pin`; the caller is thread 0 and is pinned too.
 * Returns NULL and a text in `err` when threads cannot be made.
 */
rg_pool *rg_pool_create(int32_t threads, int32_t first_cpu, bool pin, rg_error *err);
void rg_pool_destroy(rg_pool *pool);          /* NULL is fine */
int32_t rg_pool_threads(const rg_pool *pool); /* 1 for NULL */

/* Returns when all blocks have run. `pool` NULL: runs them here, in order. Never fails. */
void rg_pool_run(rg_pool *pool, rg_block_fn *fn, void *ctx, int64_t blocks);

/* Shares of (wall time x threads) in which threads had nothing to do. */
typedef struct rg_idle {
    double waiting; /* inside rg_pool_run, for blocks that other threads were still at */
    double alone;   /* all but the caller, between runs: what it does then runs on one thread */
} rg_idle;

/* Since the last call of this, or since the pool was made; zeros for NULL and for one thread.
 * Threads of one block that wait for each other inside it (lstm) count as busy. */
rg_idle rg_pool_take_idle(rg_pool *pool);

/* CPUs this process may run on. */
int32_t rg_cpu_count(void);

/* Lets the calling thread run on all of them again: a thread inherits its maker's pin. */
void rg_thread_unpin(void);

RG_C_END

#endif
