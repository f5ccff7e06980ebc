/*
 * The machine's peak: what a loop of nothing but fused multiply-adds, or products of bf16, reaches
 * on the pool's threads.
 *
 * One idea: shares of the peak mean something only against a peak of the same minute, because hosts
 * differ and are shared; so this is short enough to run beside whatever is judged by it.
 */
#include <time.h>

#include "kernels/cpu/cpu.h"

enum { LOOPS = 500000, PASSES = 24 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct peak_job {
    double (*burst)(int64_t loops);
    double flop[64]; /* of the first threads: one writer each, so that the work is not dropped */
} peak_job;

/* Without AVX2: products and sums that are not fused, one at a time. */
static double scalar_burst(int64_t loops)
{
    volatile float keep;
    float a[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int64_t i = 0; i < loops; i++)
        for (int k = 0; k < 8; k++) a[k] = a[k] * 0.999F + 0.001F;
    keep = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
    (void)keep;
    return (double)loops * 16;
}

static void burst_task(void *ctx, int64_t task, int32_t thread)
{
    peak_job *j = ctx;
    (void)thread;
    j->flop[task] = j->burst(LOOPS);
}

double rg_kernels_peak_gflops(rg_pool *pool, rg_dtype operands)
{
    int32_t threads = rg_pool_threads(pool);
    if (threads > 64) threads = 64;
    const rg_isa *isa = rg_cpu_best_isa();
    peak_job j = {.burst = scalar_burst};
    if (isa) j.burst = operands == RG_BF16 ? isa->burst_bf16 : isa->burst;
    double best = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        const double start = seconds();
        rg_pool_run(pool, burst_task, &j, threads);
        double flop = 0, time = seconds() - start;
        for (int32_t t = 0; t < threads; t++) flop += j.flop[t];
        if (time > 0 && flop / time > best) best = flop / time;
    }
    return best / 1e9;
}
