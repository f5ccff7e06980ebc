/*
 * Magnitude or power spectrogram, through a filter bank and a logarithm when asked for.
 *
 * One idea: a block of frames keeps its magnitudes in cache, so that the bank is one product, and
 * the gradient computes everything again instead of keeping it.
 */
#include "kernels/cpu/stft.h"

#include <string.h>

typedef struct spectrogram_job {
    rg_stft_job stft;
    const rg_spectrogram_args *a;
    const rg_spectrogram_grad_args *grad;
    const float *bank, *bank_turned; /* panels of (bins, bands) and of its transpose */
    int64_t bands;
    float *scratch;
    int64_t size;
} spectrogram_job;

/* A thread's scratch: one frame, the block's spectra, magnitudes, bands and band gradients. */
typedef struct rooms {
    float *frame, *spectra, *bins, *bands, *dbands, *gemm;
} rooms;

static int64_t lines(int64_t n)
{
    return (n + 15) / 16 * 16;
}

static rooms rooms_of(const spectrogram_job *p, int32_t thread)
{
    const rg_stft_job *j = &p->stft;
    rooms r = {.frame = p->scratch + thread * p->size};
    r.spectra = r.frame + j->frame_room;
    r.bins = r.spectra + RG_STFT_FRAMES * j->spectrum_room;
    r.bands = r.bins + lines(RG_STFT_FRAMES * j->bins);
    r.dbands = r.bands + lines(RG_STFT_FRAMES * p->bands);
    r.gemm = r.dbands + lines(RG_STFT_FRAMES * p->bands);
    return r;
}

static void bank_product(const spectrogram_job *p, int64_t rows, const float *in, int64_t k,
                         const float *panels, int64_t n, float *out, float *gemm)
{
    const rg_gemm g = {.m = rows,
                       .n = n,
                       .segs = 1,
                       .len = k,
                       .a = in,
                       .a_row = k,
                       .a_col = 1,
                       .b = panels,
                       .b_type = RG_F32,
                       .c = out,
                       .c_row = n};
    rg_gemm_block(p->stft.isa, &g, gemm);
}

/* Spectra, magnitudes and bands of frames [f0, f0 + n); returns the bands (n, bands). */
static float *analyse(const spectrogram_job *p, const rooms *r, int64_t item, int64_t f0, int64_t n)
{
    const rg_stft_job *j = &p->stft;
    for (int64_t i = 0; i < n; i++) {
        float *spectrum = r->spectra + i * j->spectrum_room;
        rg_stft_frame(j, item, f0 + i, r->frame, spectrum);
        j->isa->vec->magnitude(spectrum, r->bins + i * j->bins, p->a->power, j->bins);
    }
    if (!p->bank) return r->bins;
    bank_product(p, n, r->bins, j->bins, p->bank, p->bands, r->bands, r->gemm);
    return r->bands;
}

static void forward_task(void *ctx, int64_t task, int32_t thread)
{
    const spectrogram_job *p = ctx;
    const rg_stft_job *j = &p->stft;
    const rooms r = rooms_of(p, thread);
    const int64_t item = task / j->blocks, block = task % j->blocks, f0 = rg_stft_first(j, block);
    const int64_t rows = rg_stft_first(j, block + 1) - f0, n = rows * p->bands;
    const float *bands = analyse(p, &r, item, f0, rows);
    const int64_t at = (item * j->a->frames + f0) * p->bands;
    if (p->a->y) memcpy((float *)p->a->y + at, bands, (size_t)n * sizeof(float));
    if (p->a->log_y)
        j->isa->vec->log10_row(bands, (float *)p->a->log_y + at, (float)p->a->log_floor, n);
}

static void grad_task(void *ctx, int64_t task, int32_t thread)
{
    const spectrogram_job *p = ctx;
    const rg_stft_job *j = &p->stft;
    const rooms r = rooms_of(p, thread);
    const int64_t item = task / j->blocks, block = task % j->blocks, f0 = rg_stft_first(j, block);
    const int64_t rows = rg_stft_first(j, block + 1) - f0, n = rows * p->bands;
    const float *bands = analyse(p, &r, item, f0, rows), *dy = p->grad->dy;
    const float *dlog = p->grad->dlog_y;
    const int64_t at = (item * j->a->frames + f0) * p->bands;
    if (dy)
        memcpy(r.dbands, dy + at, (size_t)n * sizeof(float));
    else
        memset(r.dbands, 0, (size_t)n * sizeof(float));
    if (dlog) j->isa->vec->log10_grad(bands, dlog + at, r.dbands, (float)p->a->log_floor, n);
    const float *dbins = r.dbands;
    if (p->bank) { /* the magnitudes are no longer needed: their room takes their gradient */
        bank_product(p, rows, r.dbands, p->bands, p->bank_turned, j->bins, r.bins, r.gemm);
        dbins = r.bins;
    }
    for (int64_t i = 0; i < rows; i++) {
        float *spectrum = r.spectra + i * j->spectrum_room;
        j->isa->vec->magnitude_grad(spectrum, dbins + i * j->bins, p->a->power, j->bins);
        rg_stft_frame_grad(j, item, block, f0 + i, r.frame, spectrum);
    }
}

/* The bank's panels, for the gradient those of its transpose too, and the threads' rooms. */
static rg_status prepare(const rg_isa *isa, rg_kernel_ctx *ctx, spectrogram_job *p)
{
    RG_TRY(rg_stft_prepare(isa, ctx, &p->a->stft, &p->stft));
    const int64_t bins = p->stft.bins, bands = p->a->bank ? p->a->n_bands : bins;
    p->bands = bands;
    if (p->a->bank) {
        const float *bank = p->a->bank;
        p->bank = rg_panels_make(isa, ctx, RG_F32, bank, bands, 1, bins, bands);
        if (p->bank && p->grad)
            p->bank_turned = rg_panels_make(isa, ctx, RG_F32, bank, 1, bands, bands, bins);
        if (!p->bank || (p->grad && !p->bank_turned)) return ctx->error->code;
    }
    const int64_t depth = bins > bands ? bins : bands;
    p->size = p->stft.frame_room + RG_STFT_FRAMES * p->stft.spectrum_room +
              lines(RG_STFT_FRAMES * bins) + 2 * lines(RG_STFT_FRAMES * bands) +
              lines(rg_gemm_scratch(isa, 1, depth));
    p->scratch = rg_cpu_scratch(ctx, p->size * rg_pool_threads(ctx->pool));
    return p->scratch ? RG_OK : ctx->error->code;
}

rg_status rg_cpu_spectrogram(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_spectrogram_args *a)
{
    if (a->stft.n_fft % 2) return rg_kernels_reference()->spectrogram.forward(ctx, a);
    spectrogram_job p = {.a = a};
    RG_TRY(prepare(isa, ctx, &p));
    rg_pool_run(ctx->pool, forward_task, &p, a->stft.batch * p.stft.blocks);
    return RG_OK;
}

rg_status rg_cpu_spectrogram_grad(const rg_isa *isa, rg_kernel_ctx *ctx,
                                  const rg_spectrogram_grad_args *g)
{
    const rg_spectrogram_args *a = &g->fwd;
    if (!g->dx) return RG_OK;
    if (a->stft.n_fft % 2) return rg_kernels_reference()->spectrogram.grad(ctx, g);
    spectrogram_job p = {.a = a, .grad = g};
    RG_TRY(prepare(isa, ctx, &p));
    RG_TRY(rg_stft_strips(ctx, &p.stft));
    rg_pool_run(ctx->pool, grad_task, &p, a->stft.batch * p.stft.blocks);
    rg_stft_merge(ctx, &p.stft, g->dx, g->add_dx);
    return RG_OK;
}
