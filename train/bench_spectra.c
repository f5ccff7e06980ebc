/*
 * Short-time transforms and mel bands, as the losses and discriminators of codecs use them.
 *
 * One idea: each row has a length of the transform with a hop of a quarter of it; the batch of one
 * is there to show whether a single signal keeps all cores busy.
 */
#include <stdio.h>

#include "audio/mel.h"
#include "train/bench_internal.h"

enum { RATE = 24000, BANDS = 64 };

static rg_status run_stft(rg_bench *b, void *args)
{
    const rg_status status = b->kernels->stft.forward(&b->ctx, (const rg_stft_args *)args);
    rg_arena_reset(b->ctx.scratch);
    return status;
}

static rg_status run_stft_grad(rg_bench *b, void *args)
{
    const rg_status status = b->kernels->stft.grad(&b->ctx, (const rg_stft_grad_args *)args);
    rg_arena_reset(b->ctx.scratch);
    return status;
}

static rg_status run_mel(rg_bench *b, void *args)
{
    const rg_status status =
        b->kernels->spectrogram.forward(&b->ctx, (const rg_spectrogram_args *)args);
    rg_arena_reset(b->ctx.scratch);
    return status;
}

static rg_status run_mel_grad(rg_bench *b, void *args)
{
    const rg_status status =
        b->kernels->spectrogram.grad(&b->ctx, (const rg_spectrogram_grad_args *)args);
    rg_arena_reset(b->ctx.scratch);
    return status;
}

/* One second of each item, in frames that lie inside it. */
static rg_stft_args transform(rg_bench *b, int64_t batch, int32_t n_fft)
{
    const int32_t hop = n_fft / 4;
    return (rg_stft_args){.x = rg_bench_operand(b, batch * RATE),
                          .batch = batch,
                          .t_in = RATE,
                          .frames = (RATE - n_fft) / hop + 1,
                          .n_fft = n_fft,
                          .hop = hop,
                          .scale = 1};
}

static rg_status time_both(rg_bench *b, const char *what, const rg_stft_args *a,
                           rg_bench_fn *forward, void *args, rg_bench_fn *grad, void *grad_args)
{
    char name[96];
    const rg_bench_work work = {.audio_seconds = (double)a->batch};
    snprintf(name, sizeof name, "%s %d batch %d forward", what, (int)a->n_fft, (int)a->batch);
    RG_TRY(rg_bench_time(b, "spectra", name, &work, forward, args));
    snprintf(name, sizeof name, "%s %d batch %d dx", what, (int)a->n_fft, (int)a->batch);
    RG_TRY(rg_bench_time(b, "spectra", name, &work, grad, grad_args));
    rg_arena_reset(b->data);
    return RG_OK;
}

static rg_status bench_stft(rg_bench *b, int64_t batch, int32_t n_fft)
{
    rg_stft_args a = transform(b, batch, n_fft);
    const int64_t n = batch * a.frames * (n_fft + 2);
    a.y = rg_bench_operand(b, n);
    rg_stft_grad_args g = {
        .fwd = a, .dy = rg_bench_operand(b, n), .dx = rg_bench_operand(b, batch * RATE)};
    if (b->err->code != RG_OK) return b->err->code;
    return time_both(b, "stft", &a, run_stft, &a, run_stft_grad, &g);
}

static rg_status bench_mel(rg_bench *b, int64_t batch, int32_t n_fft)
{
    rg_spectrogram_args a = {
        .stft = transform(b, batch, n_fft), .n_bands = BANDS, .power = 1, .log_floor = 1e-5};
    const int64_t n = batch * a.stft.frames * BANDS;
    float *bank = rg_bench_operand(b, (int64_t)(n_fft / 2 + 1) * BANDS);
    a.bank = bank;
    a.y = rg_bench_operand(b, n);
    a.log_y = rg_bench_operand(b, n);
    rg_spectrogram_grad_args g = {.fwd = a,
                                  .dy = rg_bench_operand(b, n),
                                  .dlog_y = rg_bench_operand(b, n),
                                  .dx = rg_bench_operand(b, batch * RATE)};
    if (b->err->code != RG_OK) return b->err->code;
    RG_TRY(rg_mel_bank_make(&(rg_mel_bank){.rate = RATE, .n_fft = n_fft, .bands = BANDS}, bank,
                            b->err));
    return time_both(b, "mel", &a.stft, run_mel, &a, run_mel_grad, &g);
}

rg_status rg_bench_spectra(rg_bench *b)
{
    for (int32_t n_fft = 2048; n_fft >= 128; n_fft /= 2) {
        RG_TRY(bench_stft(b, 8, n_fft));
        RG_TRY(bench_mel(b, 8, n_fft));
    }
    RG_TRY(bench_stft(b, 1, 2048));
    return bench_mel(b, 1, 2048);
}
