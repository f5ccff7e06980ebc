/*
 * The tables "cuda", "cuda-f16" and "cuda-bf16": the same slots for three types of activations.
 *
 * One idea: the lists in cuda.h are the tables. Parameters, their gradients, statistics and losses
 * are floats in all three.
 */
#include "kernels/cuda/backend.h"
#include "kernels/cuda/cuda.h"

#define SLOT_f32(name, fwd, bwd) .name = {rg_cuda_##name##_f32, rg_cuda_##name##_f32_grad},
#define SLOT_f16(name, fwd, bwd) .name = {rg_cuda_##name##_f16, rg_cuda_##name##_f16_grad},
#define SLOT_bf16(name, fwd, bwd) .name = {rg_cuda_##name##_bf16, rg_cuda_##name##_bf16_grad},
#define CALL_f32(name, args) .name = rg_cuda_##name##_f32,
#define CALL_f16(name, args) .name = rg_cuda_##name##_f16,
#define CALL_bf16(name, args) .name = rg_cuda_##name##_bf16,

static const rg_kernels tables[] = {
#define X(suffix, type, text)                                       \
    [type] = {.name = text,                                         \
              .real = type,                                         \
              .fast_operands = type == RG_F32 ? RG_BF16 : type,     \
              .matrix = {rg_cuda_matrix_size, rg_cuda_matrix_pack}, \
              RG_CUDA_SLOTS(SLOT_##suffix) RG_CUDA_CALLS(CALL_##suffix)},
    RG_CUDA_TYPES(X)
#undef X
};

const rg_kernels *rg_gpu_kernels(rg_gpu *gpu, rg_dtype activations, rg_error *err)
{
    if (activations == RG_BF16 && gpu->major < 8) {
        rg_fail(err, RG_ERR_UNSUPPORTED,
                "device cuda:%d: GPUs of compute capability %d multiply no bf16; use fp16",
                gpu->index, gpu->major);
        return NULL;
    }
    return &tables[activations];
}
