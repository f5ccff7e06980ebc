/*
 * Weights as products read them: the matrix slot, and conversion where nothing was packed.
 *
 * One idea: cuBLASLt takes either orientation of a plain row-major matrix, so packing is rounding.
 * int8 weights are not made here: their packed size is 0, and linear reads the plain weight.
 */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/parts.h"

static size_t size_of(rg_dtype type)
{
    return type == RG_F32 ? 4 : 2;
}

size_t rg_cuda_matrix_size(int64_t rows, int64_t cols, rg_dtype type)
{
    return type == RG_I8 ? 0 : (size_t)(rows * cols) * size_of(type);
}

rg_status rg_cuda_matrix_pack(rg_kernel_ctx *ctx, const void *w, int64_t rows, int64_t cols,
                              rg_dtype type, void *packed)
{
    if (type == RG_I8) return RG_OK;
    return rg_cuda_convert(ctx, w, RG_F32, packed, type, rows * cols);
}

void *rg_cuda_scratch(rg_kernel_ctx *ctx, int64_t n, rg_dtype type)
{
    void *p = rg_arena_alloc(ctx->scratch, (size_t)n * size_of(type));
    if (!p)
        rg_fail(ctx->error, RG_ERR_NOMEM,
                "device scratch: no room for %.1f MiB; use a smaller batch",
                (double)n * (double)size_of(type) / 1048576);
    return p;
}

const void *rg_cuda_weight(rg_kernel_ctx *ctx, rg_dtype type, const void *w, const void *packed,
                           rg_dtype packed_type, int64_t n)
{
    const bool given = packed && packed_type != RG_I8;
    if (given && packed_type == type) return packed;
    if (type == RG_F32 && (!given || packed_type == ctx->operands)) return w;
    const rg_dtype from_type = type == RG_F32 ? packed_type : RG_F32;
    void *to = rg_cuda_scratch(ctx, n, type);
    if (!to || rg_cuda_convert(ctx, type == RG_F32 ? packed : w, from_type, to, type, n) != RG_OK)
        return NULL;
    return to;
}
