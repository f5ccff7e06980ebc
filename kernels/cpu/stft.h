/*
 * What stft.c and spectrogram.c share: framing, and the adjoint's overlap-add.
 *
 * One idea: frames are handled in blocks of RG_STFT_FRAMES, the unit of work of the pool. The
 * adjoint adds a block's frames to a strip of its own; strips are then added to dx in order, so
 * bits do not depend on threads.
 */
#ifndef RG_KERNELS_CPU_STFT_H
#define RG_KERNELS_CPU_STFT_H

#include "kernels/cpu/cpu.h"

enum { RG_STFT_FRAMES = 32 };

typedef struct rg_stft_job {
    const rg_isa *isa;
    const rg_stft_args *a;
    const rg_fft *plan;
    const float *window;               /* Hann times scale */
    int64_t bins, blocks;              /* of a frame; blocks of frames of an item */
    int64_t frame_room, spectrum_room; /* floats, whole cache lines */
    float *strips;                     /* (B, blocks, strip): the adjoint's */
    int64_t strip;
} rg_stft_job;

/* Plan, window and sizes; RG_ERR_SHAPE when n_fft is not one that rg_fft knows. */
rg_status rg_stft_prepare(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_stft_args *a,
                          rg_stft_job *j);
/* Strips for the adjoint, zeroed. */
rg_status rg_stft_strips(rg_kernel_ctx *ctx, rg_stft_job *j);

/* The spectrum (bins,2) of frame f of an item; `frame` is room for the windowed samples. */
void rg_stft_frame(const rg_stft_job *j, int64_t item, int64_t f, float *frame, float *spectrum);
/* Adds the adjoint of frame f's spectrum (overwritten) to its block's strip. */
void rg_stft_frame_grad(const rg_stft_job *j, int64_t item, int64_t f, float *frame,
                        float *spectrum);
/* dx (B,T) (+)= the strips. */
void rg_stft_merge(rg_kernel_ctx *ctx, const rg_stft_job *j, float *dx, bool add);

#endif
