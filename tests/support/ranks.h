/*
 * Runs a function as several processes that talk to each other, for tests.
 *
 * One idea: each rank is a child that ends with the function's result; the parent waits for all and
 * says which of them failed. Header only, so that tests without ranks need not link src/dist.
 */
#ifndef RG_TESTS_RANKS_H
#define RG_TESTS_RANKS_H

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "dist/launch.h"
#include "test.h"

enum { RG_RANKS_MOST = 8, RG_RANKS_KILLED = 1 << 8 };

typedef int rg_rank_fn(rg_comm *comm, void *ctx); /* 0: good */

/* Says what is wrong and returns 1 from a rank's function. */
#define RG_RANK_EXPECT(comm, condition, ...)                                     \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "rank %d of %d, line %d: ", (int)rg_comm_rank(comm), \
                    (int)rg_comm_world(comm), __LINE__);                         \
            fprintf(stderr, __VA_ARGS__);                                        \
            fputc('\n', stderr);                                                 \
            return 1;                                                            \
        }                                                                        \
    } while (0)

static inline int rg_ranks_child(const rg_launch_flags *flags, rg_rank_fn *fn, void *ctx)
{
    rg_launch launch;
    rg_comm *comm = NULL;
    rg_error err = {0};
    if (rg_launch_find(flags, rg_launch_variable, &launch, &err) != RG_OK ||
        rg_comm_open(&launch, &comm, &err) != RG_OK) {
        fprintf(stderr, "rank %d of %d: %s\n", (int)flags->rank, (int)flags->world, err.text);
        return 2;
    }
    int result = fn(comm, ctx);
    rg_comm_close(comm);
    return result;
}

/* results[r]: what fn returned, or RG_RANKS_KILLED + the signal. */
static inline void rg_ranks_run(int32_t world, const char *backend, rg_rank_fn *fn, void *ctx,
                                int *results)
{
    static int meetings;
    char meet[600];
    pid_t pids[RG_RANKS_MOST];
    if (!strcmp(backend, "tcp")) /* a port by number: of this process, hence free with luck */
        snprintf(meet, sizeof meet, "tcp://127.0.0.1:%d",
                 20000 + (int)((getpid() * 7 + meetings++ * 131) % 12000));
    else
        snprintf(meet, sizeof meet, "%s/meet-%d", rg_test_folder(), meetings++);
    fflush(NULL);
    for (int32_t r = 0; r < world; r++) {
        rg_launch_flags flags = {
            .rank = r, .world = world, .backend = backend, .meet = meet, .timeout = 60};
        pids[r] = fork();
        ck_assert(pids[r] >= 0);
        if (pids[r] == 0) _exit(rg_ranks_child(&flags, fn, ctx));
    }
    for (int32_t r = 0; r < world; r++) {
        int status;
        ck_assert_int_eq(waitpid(pids[r], &status, 0), pids[r]);
        results[r] = WIFEXITED(status) ? WEXITSTATUS(status) : RG_RANKS_KILLED + WTERMSIG(status);
    }
}

static inline void rg_ranks_all_good(int32_t world, const char *backend, rg_rank_fn *fn, void *ctx)
{
    int results[RG_RANKS_MOST];
    rg_ranks_run(world, backend, fn, ctx, results);
    for (int32_t r = 0; r < world; r++)
        ck_assert_msg(results[r] == 0, "rank %d of %d over %s ended with %d", (int)r, (int)world,
                      backend, results[r]);
}

#endif
