/*
 * The gradients' norm: the sum of squares in double, and whether every element is finite.
 *
 * One idea: a float's square is always finite in double, so the sum tells of both. The two results
 * stay on the device; who wants them on the host copies them.
 * Not here: what a norm is used for (adamw.cu takes a factor).
 */
#include "kernels/cuda/sums.cuh"

namespace
{

struct element_source {
    const float *g;
    int64_t n;
    __device__ __forceinline__ void add(int64_t range, int64_t i, int64_t, double sums[1]) const
    {
        const double v = (double)g[range * n + i];
        sums[0] += v * v;
    }
};

struct norm_sink {
    double *sum_squares;
    bool *finite;
    __device__ __forceinline__ void put(int64_t range, int64_t, int64_t, const double sums[1]) const
    {
        sum_squares[range] = sums[0];
        if (finite) *finite = sums[0] <= DBL_MAX;
    }
};

template <class T> static rg_status norm_call(rg_kernel_ctx *ctx, const rg_norm_args *a)
{
    return rg_sums<double, 1>(ctx, a->ranges ? a->ranges : 1, a->n, 1, element_source{a->g, a->n},
                              norm_sink{a->sum_squares, a->ranges ? nullptr : a->finite});
}

} // namespace

RG_CUDA_CALL(norm)
