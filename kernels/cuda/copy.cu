/*
 * A block of columns moved between matrices of different pitch.
 *
 * One idea: a thread moves four columns of a row, as one access where pitches and pointers allow.
 * Not here: conversions between types.
 */
#include "kernels/cuda/flat.cuh"

namespace
{

template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    copy_kernel(const T *__restrict__ src, T *__restrict__ dst, int64_t rows, int64_t cols,
                int64_t ld_src, int64_t ld_dst, bool wide, bool add)
{
    const int64_t across = (cols + RG_GROUP - 1) / RG_GROUP, group = rg_flat_at() / RG_GROUP;
    if (group >= rows * across) return;
    const int64_t row = rg_quotient(group, across), c = RG_GROUP * (group - row * across);
    float v[RG_GROUP];
    rg_load_group(src + row * ld_src, c, cols, wide, v);
    rg_store_group(dst + row * ld_dst, c, cols, wide, add, v);
}

template <class T> static rg_status copy_call(rg_kernel_ctx *ctx, const rg_copy_args *a)
{
    const T *src = (const T *)a->src;
    T *dst = (T *)a->dst;
    if (a->rows == 0 || a->cols == 0) return RG_OK;
    const bool flat = a->ld_src == a->cols && a->ld_dst == a->cols;
    const int64_t rows = flat ? 1 : a->rows, cols = flat ? a->rows * a->cols : a->cols;
    const bool pitches = rows == 1 || (a->ld_src % RG_GROUP == 0 && a->ld_dst % RG_GROUP == 0);
    const int64_t groups = rows * ((cols + RG_GROUP - 1) / RG_GROUP);
    return rg_cuda_check(ctx, RG_LAUNCH(copy_kernel<T>, rg_flat_grid(groups * RG_GROUP),
                                        dim3(RG_FLAT_THREADS), 0, (cudaStream_t)ctx->stream, src,
                                        dst, rows, cols, a->ld_src, a->ld_dst,
                                        pitches && rg_wide(src) && rg_wide(dst), a->add));
}

} // namespace

RG_CUDA_CALL(copy)
