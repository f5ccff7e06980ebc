/*
 * What the tests of known facts about kernels share: a context, the double reference, random
 * doubles and a dot product.
 */
#ifndef RG_TESTS_KERNEL_FACTS_H
#define RG_TESTS_KERNEL_FACTS_H

#include "base/rng.h"
#include "kernels/kernels.h"
#include "test.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))
/* Runs a slot of the double reference; the test fails unless it succeeds. */
#define RUN(slot, ...)                                                 \
    do {                                                               \
        rg_kernel_ctx *ctx_ = facts_ctx();                             \
        RG_ASSERT_OK(facts_k()->slot(ctx_, __VA_ARGS__), ctx_->error); \
    } while (0)
#define EXPECT(seen, ...)                                                          \
    do {                                                                           \
        const double want_[] = {__VA_ARGS__};                                      \
        facts_expect(#seen, seen, want_, COUNT(want_), 1e-12, __FILE__, __LINE__); \
    } while (0)
#define EXPECT_ALL(seen, want, n, tol) facts_expect(#seen, seen, want, n, tol, __FILE__, __LINE__)

static inline const rg_kernels *facts_k(void)
{
    return rg_kernels_reference64();
}

/* A fresh context: no error, empty scratch, one thread. */
static inline rg_kernel_ctx *facts_ctx(void)
{
    static rg_error error;
    static rg_kernel_ctx ctx;
    error = (rg_error){0};
    if (!ctx.scratch) ctx.scratch = rg_arena_create((size_t)1 << 28, "test scratch", &error);
    ck_assert_msg(ctx.scratch != NULL, "%s", error.text);
    rg_arena_reset(ctx.scratch);
    ctx.error = &error;
    return &ctx;
}

static inline void facts_expect(const char *name, const double *seen, const double *want, int64_t n,
                                double tol, const char *file, int line)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs(seen[i] - want[i]) <= tol, "%s:%d: %s[%lld] = %.15g, expected %.15g",
                      file, line, name, (long long)i, seen[i], want[i]);
}

static inline void facts_random(double *out, int64_t n, uint64_t stream)
{
    rg_rng rng = rg_rng_make(1, stream);
    for (int64_t i = 0; i < n; i++) out[i] = rg_rng_normal(&rng);
}

static inline double facts_dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

#endif
