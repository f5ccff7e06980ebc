/*
 * What stft.c and spectrogram.c share: framing, and the adjoint's overlap-add.
 *
 * One idea: an item's frames are cut into even blocks, the unit of work of the pool, whose number
 * depends on the number of frames alone. The adjoint adds a block's frames to a strip of its own;
 * strips are then added to dx in order, so bits do not depend on threads.
 * Transforms run one by one: FFTW's plans for 2 to 32 of them took as long each from 256 points on,
 * and longer at 128.
 */
#ifndef RG_KERNELS_CPU_STFT_H
#define RG_KERNELS_CPU_STFT_H

#include "kernels/cpu/cpu.h"

enum { RG_STFT_FRAMES = 32 }; /* the most of a block */

typedef struct rg_stft_job {
    const rg_isa *isa;
    const rg_stft_args *a;
    const rg_fft *plan;
    const float *window;               /* Hann times scale */
    int64_t bins, blocks;              /* of a frame; blocks of frames of an item */
    int64_t longest;                   /* frames of the longest block */
    int64_t frame_room, spectrum_room; /* floats, whole cache lines */
    float *strips;                     /* (B, blocks, strip): the adjoint's */
    int64_t strip;
} rg_stft_job;

/* Plan, window and sizes; RG_ERR_SHAPE when n_fft is not one that rg_fft knows. */
rg_status rg_stft_prepare(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_stft_args *a,
                          rg_stft_job *j);
/* Strips for the adjoint. */
rg_status rg_stft_strips(rg_kernel_ctx *ctx, rg_stft_job *j);

/* First frame of a block; that of block `blocks` is the number of frames. */
int64_t rg_stft_first(const rg_stft_job *j, int64_t block);

/* The spectrum (bins,2) of frame f of an item; `frame` is room for the windowed samples. */
void rg_stft_frame(const rg_stft_job *j, int64_t item, int64_t f, float *frame, float *spectrum);
/* Adds the adjoint of the spectrum (overwritten) of frame f of `block` to the block's strip. */
void rg_stft_frame_grad(const rg_stft_job *j, int64_t item, int64_t block, int64_t f, float *frame,
                        float *spectrum);
/* dx (B,T) (+)= the strips. */
void rg_stft_merge(rg_kernel_ctx *ctx, const rg_stft_job *j, float *dx, bool add);

#endif
