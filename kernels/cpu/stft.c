/*
 * Short-time Fourier transform with a periodic Hann window, and its adjoint (stft.h).
 *
 * One idea: the adjoint of the real transform is the inverse transform with the inner bins halved,
 * because the inverse counts each of them twice.
 */
#include "kernels/cpu/stft.h"

#include <string.h>

enum {
    BLOCKS = 8,  /* at least, of frames enough */
    FEWEST = 8,  /* frames of a block then */
    RANGE = 4096 /* samples of dx that one task merges */
};

static int64_t blocks_of(int64_t frames)
{
    const int64_t fine = min64(BLOCKS, (frames + FEWEST - 1) / FEWEST);
    return max64(fine, (frames + RG_STFT_FRAMES - 1) / RG_STFT_FRAMES);
}

int64_t rg_stft_first(const rg_stft_job *j, int64_t block)
{
    return block * j->a->frames / j->blocks;
}

rg_status rg_stft_prepare(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_stft_args *a,
                          rg_stft_job *j)
{
    *j = (rg_stft_job){.isa = isa, .a = a, .bins = a->n_fft / 2 + 1};
    j->plan = rg_fft_plan(a->n_fft, ctx->error);
    if (!j->plan) return ctx->error->code;
    j->blocks = blocks_of(a->frames);
    j->longest = (a->frames + j->blocks - 1) / max64(1, j->blocks);
    j->frame_room = (a->n_fft + 15) / 16 * 16;
    j->spectrum_room = (2 * j->bins + 15) / 16 * 16;
    float *window = rg_cpu_scratch(ctx, a->n_fft);
    if (!window) return ctx->error->code;
    const double *hann = rg_fft_hann(j->plan);
    for (int64_t i = 0; i < a->n_fft; i++) window[i] = (float)(a->scale * hann[i]);
    j->window = window;
    return RG_OK;
}

/* The sample that position p reads; -1 for a zero. */
static int64_t source_of(const rg_stft_args *a, int64_t p)
{
    if (p >= 0 && p < a->t_in) return p;
    if (a->pad_mode != RG_PAD_REFLECT || p < -a->pad_left || p >= a->t_in + a->pad_right) return -1;
    return p < 0 ? -p : 2 * (a->t_in - 1) - p;
}

/* Of places [0,n) from position p, those that lie inside the signal: [*lo, *hi). */
static void inside(const rg_stft_args *a, int64_t p, int64_t n, int64_t *lo, int64_t *hi)
{
    *lo = min64(n, max64(0, -p));
    *hi = max64(*lo, min64(n, a->t_in - p));
}

void rg_stft_frame(const rg_stft_job *j, int64_t item, int64_t f, float *frame, float *spectrum)
{
    const rg_stft_args *a = j->a;
    const float *x = (const float *)a->x + item * a->t_in;
    const int64_t p = f * a->hop - a->pad_left, n = a->n_fft;
    int64_t lo, hi;
    inside(a, p, n, &lo, &hi);
    if (hi > lo) j->isa->vec->multiply(x + p + lo, j->window + lo, frame + lo, hi - lo);
    for (int64_t i = 0; i < n; i++) {
        if (i == lo && hi > lo) i = hi;
        if (i >= n) break;
        const int64_t s = source_of(a, p + i);
        frame[i] = s >= 0 ? x[s] * j->window[i] : 0;
    }
    rg_fft_forward(j->plan, frame, spectrum);
}

/* ---- adjoint ---- */

rg_status rg_stft_strips(rg_kernel_ctx *ctx, rg_stft_job *j)
{
    const rg_stft_args *a = j->a;
    j->strip = (j->longest - 1) * a->hop + a->n_fft;
    const int64_t n = a->batch * j->blocks * j->strip;
    j->strips = rg_cpu_scratch(ctx, n);
    if (!j->strips) return ctx->error->code;
    return RG_OK;
}

void rg_stft_frame_grad(const rg_stft_job *j, int64_t item, int64_t block, int64_t f, float *frame,
                        float *spectrum)
{
    const rg_stft_args *a = j->a;
    const int64_t at = f - rg_stft_first(j, block);
    float *strip = j->strips + (item * j->blocks + block) * j->strip;
    if (at == 0) memset(strip, 0, (size_t)j->strip * sizeof(float));
    if (j->bins > 2) j->isa->vec->scale_row(spectrum + 2, 0.5F, 2 * (j->bins - 2));
    spectrum[1] = spectrum[2 * j->bins - 1] = 0;
    rg_fft_inverse(j->plan, spectrum, frame);
    j->isa->vec->multiply_add(frame, j->window, strip + at * a->hop, a->n_fft);
}

typedef struct merge_job {
    const rg_stft_job *j;
    float *dx;
    bool add;
    int64_t ranges; /* of an item's samples */
} merge_job;

/* Adds to dx[t0, t1) what block b's strip has for it: within the signal, then from its padding. */
static void merge_strip(const rg_stft_job *j, const float *strip, int64_t b, float *dx, int64_t t0,
                        int64_t t1)
{
    const rg_stft_args *a = j->a;
    const int64_t first = rg_stft_first(j, b), p = first * a->hop - a->pad_left;
    const int64_t n = (rg_stft_first(j, b + 1) - first - 1) * a->hop + a->n_fft;
    int64_t lo, hi;
    inside(a, p, n, &lo, &hi);
    const int64_t from = max64(lo, t0 - p), to = min64(hi, t1 - p);
    if (to > from) j->isa->vec->accumulate(strip + from, dx + p + from, to - from);
    for (int64_t i = 0; i < n; i++) {
        if (i == lo && hi > lo) i = hi;
        if (i >= n) break;
        const int64_t s = source_of(a, p + i);
        if (s >= t0 && s < t1) dx[s] += strip[i];
    }
}

static void merge_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const merge_job *m = ctx;
    const rg_stft_job *j = m->j;
    const int64_t item = task / m->ranges, t0 = task % m->ranges * RANGE;
    const int64_t t1 = min64(j->a->t_in, t0 + RANGE);
    float *dx = m->dx + item * j->a->t_in;
    if (!m->add) memset(dx + t0, 0, (size_t)(t1 - t0) * sizeof(float));
    for (int64_t b = 0; b < j->blocks; b++)
        merge_strip(j, j->strips + (item * j->blocks + b) * j->strip, b, dx, t0, t1);
}

void rg_stft_merge(rg_kernel_ctx *ctx, const rg_stft_job *j, float *dx, bool add)
{
    merge_job m = {j, dx, add, (j->a->t_in + RANGE - 1) / RANGE};
    rg_pool_run(ctx->pool, merge_task, &m, j->a->batch * m.ranges);
}

/* ---- the operator ---- */

typedef struct plain_job {
    rg_stft_job stft;
    const float *dy;
    float *scratch;
    int64_t size;
} plain_job;

static void stft_task(void *ctx, int64_t task, int32_t thread)
{
    const plain_job *p = ctx;
    const rg_stft_job *j = &p->stft;
    const int64_t item = task / j->blocks, block = task % j->blocks;
    const int64_t f0 = rg_stft_first(j, block), f1 = rg_stft_first(j, block + 1);
    float *frame = p->scratch + thread * p->size, *spectrum = frame + j->frame_room;
    const size_t bytes = (size_t)j->bins * 2 * sizeof(float);
    for (int64_t f = f0; f < f1; f++) {
        const int64_t at = (item * j->a->frames + f) * j->bins * 2;
        if (p->dy) {
            memcpy(spectrum, p->dy + at, bytes);
            rg_stft_frame_grad(j, item, block, f, frame, spectrum);
        } else {
            rg_stft_frame(j, item, f, frame, spectrum);
            memcpy((float *)j->a->y + at, spectrum, bytes);
        }
    }
}

static rg_status run_frames(rg_kernel_ctx *ctx, plain_job *p)
{
    p->size = p->stft.frame_room + p->stft.spectrum_room;
    p->scratch = rg_cpu_scratch(ctx, p->size * rg_pool_threads(ctx->pool));
    if (!p->scratch) return ctx->error->code;
    rg_pool_run(ctx->pool, stft_task, p, p->stft.a->batch * p->stft.blocks);
    return RG_OK;
}

rg_status rg_cpu_stft(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_stft_args *a)
{
    if (a->n_fft % 2) return rg_kernels_reference()->stft.forward(ctx, a);
    plain_job p = {.dy = NULL};
    RG_TRY(rg_stft_prepare(isa, ctx, a, &p.stft));
    return run_frames(ctx, &p);
}

rg_status rg_cpu_stft_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_stft_grad_args *g)
{
    if (!g->dx) return RG_OK;
    if (g->fwd.n_fft % 2) return rg_kernels_reference()->stft.grad(ctx, g);
    plain_job p = {.dy = NULL};
    RG_TRY(rg_stft_prepare(isa, ctx, &g->fwd, &p.stft));
    RG_TRY(rg_stft_strips(ctx, &p.stft));
    p.dy = g->dy;
    RG_TRY(run_frames(ctx, &p));
    rg_stft_merge(ctx, &p.stft, g->dx, g->add_dx);
    return RG_OK;
}
