/*
 * What stft and spectrogram share: the shape rule of frames and the kernel's arguments. Private to
 * src/ops.
 */
#ifndef RG_OPS_STFT_UTIL_H
#define RG_OPS_STFT_UTIL_H

#include "ops/op_util.h"

/* Number of frames of x (B,T); fails on attributes or shapes that do not fit. */
rg_status rg_op_stft_frames(rg_exec *ex, const rg_tensor *x, const rg_stft_attr *attr,
                            int64_t *frames) RG_MUST_USE;
/* The kernel's arguments but y. */
rg_stft_args rg_op_stft_args(const rg_tensor *x, const rg_stft_attr *attr, int64_t frames);

#endif
