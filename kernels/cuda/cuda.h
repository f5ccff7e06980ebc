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
    X(linear, linear, linear_grad)                \
    X(conv1d, conv1d, conv1d_grad)                \
    X(conv2d, conv2d, conv2d_grad)                \
    X(conv_tr1d, conv_tr1d, conv_tr1d_grad)       \
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
    X(convert, convert, convert_grad)             \
    X(weight_norm, weight_norm, weight_norm)

/* name of a single function, its arguments */
#define RG_CUDA_CALLS(X)        \
    X(softmax_ce, softmax_ce)   \
    X(rvq, rvq)                 \
    X(copy, copy)               \
    X(dropout, dropout)         \
    X(adamw_begin, adamw_begin) \
    X(adamw, adamw)             \
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

/* The functions of a slot that is written in C: name_forward and name_grad with the type. */
#define RG_CUDA_IN_C_OF(name, suffix, type)                                                        \
    rg_status rg_cuda_##name##_##suffix(rg_kernel_ctx *ctx, const rg_##name##_args *a)             \
    {                                                                                              \
        return name##_forward(ctx, type, a);                                                       \
    }                                                                                              \
    rg_status rg_cuda_##name##_##suffix##_grad(rg_kernel_ctx *ctx, const rg_##name##_grad_args *a) \
    {                                                                                              \
        return name##_grad(ctx, type, a);                                                          \
    }
#define RG_CUDA_SLOT_IN_C(name)        \
    RG_CUDA_IN_C_OF(name, f32, RG_F32) \
    RG_CUDA_IN_C_OF(name, f16, RG_F16) \
    RG_CUDA_IN_C_OF(name, bf16, RG_BF16)

/* The matrix slot, of all three tables. */
size_t rg_cuda_matrix_size(int64_t rows, int64_t cols, rg_dtype type);
rg_status rg_cuda_matrix_pack(rg_kernel_ctx *ctx, const void *w, int64_t rows, int64_t cols,
                              rg_dtype type, void *packed);

RG_C_END

#endif
