/*
 * What the CUDA files offer to the table, and the backend to the engine.
 *
 * One idea: one list of slots; a line in it declares the functions of its .cu for the three types
 * of activations and puts them into the three tables (table.c). A slot that is not in the list is
 * NULL in the tables, and an operator that needs it fails with a text.
 * Not here: any CUDA header, so that C and C++ alike include this.
 */
#ifndef RG_KERNELS_CUDA_CUDA_H
#define RG_KERNELS_CUDA_CUDA_H

#include "kernels/kernels.h"

RG_C_BEGIN

/* name of the slot, arguments of forward, arguments of grad (rg_ and _args are added) */
#define RG_CUDA_SLOTS(X)                          \
    X(layernorm, layernorm, layernorm_grad)       \
    X(groupnorm, groupnorm, groupnorm_grad)       \
    X(embedding, embedding, embedding_grad)       \
    X(activation, activation, activation_grad)    \
    X(lstm, lstm, lstm_grad)                      \
    X(attention, attention, attention_grad)       \
    X(stft, stft, stft_grad)                      \
    X(spectrogram, spectrogram, spectrogram_grad) \
    X(distance, distance, distance_grad)          \
    X(add, add, reduce)                           \
    X(weight_norm, weight_norm, weight_norm)

/* name of a single function, its arguments */
#define RG_CUDA_CALLS(X)      \
    X(softmax_ce, softmax_ce) \
    X(rvq, rvq)               \
    X(copy, copy)             \
    X(dropout, dropout)       \
    X(adamw, adamw)           \
    X(norm, norm)

/* the types of activations: suffix of the functions, dtype, name of the table */
#define RG_CUDA_TYPES(X)       \
    X(f32, RG_F32, "cuda")     \
    X(f16, RG_F16, "cuda-f16") \
    X(bf16, RG_BF16, "cuda-bf16")

#define RG_CUDA_DECLARE_SLOT_OF(name, type, fwd, bwd)                                \
    rg_status rg_cuda_##name##_##type(rg_kernel_ctx *ctx, const rg_##fwd##_args *a); \
    rg_status rg_cuda_##name##_##type##_grad(rg_kernel_ctx *ctx, const rg_##bwd##_args *a);
#define RG_CUDA_DECLARE_SLOT(name, fwd, bwd)     \
    RG_CUDA_DECLARE_SLOT_OF(name, f32, fwd, bwd) \
    RG_CUDA_DECLARE_SLOT_OF(name, f16, fwd, bwd) \
    RG_CUDA_DECLARE_SLOT_OF(name, bf16, fwd, bwd)
#define RG_CUDA_DECLARE_CALL(name, args)                                           \
    rg_status rg_cuda_##name##_f32(rg_kernel_ctx *ctx, const rg_##args##_args *a); \
    rg_status rg_cuda_##name##_f16(rg_kernel_ctx *ctx, const rg_##args##_args *a); \
    rg_status rg_cuda_##name##_bf16(rg_kernel_ctx *ctx, const rg_##args##_args *a);

RG_CUDA_SLOTS(RG_CUDA_DECLARE_SLOT)
RG_CUDA_CALLS(RG_CUDA_DECLARE_CALL)

RG_C_END

#endif
