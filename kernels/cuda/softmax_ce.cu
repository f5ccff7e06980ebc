/*
 * Softmax cross-entropy: the weighted mean over valid rows, with its gradient in the same pass.
 *
 * One idea: a warp owns a row and needs no barrier; maximum and sum come out of one reading, the
 * gradient out of a second. The weights before it and the losses after it are sums of runs
 * (sums.cuh), in double, and the total weight never leaves the device.
 * Not here: smoothing of targets.
 */
#include "kernels/cuda/sums.cuh"

namespace
{

enum { ROWS = 8, THREADS = 32 * ROWS }; /* a block's */

/* Weights and losses of the rows. */
struct row_losses {
    const int32_t *targets;
    const float *weight; /* NULL: ones */
    int64_t classes;
    double *total; /* of the valid rows' weights */
    float *nll;
    __device__ __forceinline__ bool valid(int64_t row) const
    {
        return targets[row] >= 0 && targets[row] < classes;
    }
    __device__ __forceinline__ float weight_of(int64_t row) const
    {
        return weight ? weight[row] : 1.f;
    }
    __device__ __forceinline__ float share(int64_t row) const
    {
        return (float)(weight_of(row) / *total);
    }
};

struct weight_source {
    row_losses rows;
    __device__ __forceinline__ void add(int64_t, int64_t row, int64_t, double sums[1]) const
    {
        if (rows.valid(row)) sums[0] += rows.weight_of(row);
    }
};

/* No valid row: loss and gradient 0, not 0/0. */
struct weight_sink {
    double *total;
    __device__ __forceinline__ void put(int64_t, int64_t, int64_t, const double sums[1]) const
    {
        *total = sums[0] < (double)FLT_MIN ? (double)FLT_MIN : sums[0];
    }
};

struct loss_source {
    row_losses rows;
    __device__ __forceinline__ void add(int64_t, int64_t row, int64_t, double sums[1]) const
    {
        if (rows.valid(row)) sums[0] += (double)rows.weight_of(row) * rows.nll[row];
    }
};

/* Divided once: a division of doubles in a loop over rows takes more registers than there are. */
struct loss_sink {
    const double *total;
    float *loss;
    __device__ __forceinline__ void put(int64_t, int64_t, int64_t, const double sums[1]) const
    {
        *loss = (float)(sums[0] / *total);
    }
};

/* A row's maximum (0 where no class is above -infinity) and the sum of exp(logit - maximum). */
template <class T>
__device__ __forceinline__ void row_sum(const T *__restrict__ logits, int64_t classes, int lane,
                                        float *max, float *sum)
{
    float m = -INFINITY, s = 0.f;
    for (int64_t c = lane; c < classes; c += 32) {
        const float z = rg_tofloat(logits[c]);
        if (z > m) {
            s *= expf(m - z);
            m = z;
        }
        s += z > -INFINITY || z != z ? expf(z - m) : 0.f;
    }
    *max = rg_warp_max(m);
    *sum = rg_warp_sum(m > -INFINITY ? s * expf(m - *max) : s);
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    softmax_ce_kernel(const row_losses rows, const T *__restrict__ logits, T *__restrict__ dlogits,
                      int64_t count, uint32_t *fault)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t row = (int64_t)blockIdx.x * ROWS + threadIdx.x / 32, at = row * rows.classes;
    if (row >= count) return; /* a whole warp */
    const int32_t target = rows.targets[row];
    const bool valid = rows.valid(row);
    float max = 0.f, sum = 1.f;
    if (target >= rows.classes && lane == 0) rg_fault(fault, RG_FAULT_TARGET);
    if (valid) row_sum(logits + at, rows.classes, lane, &max, &sum); /* valid: the whole warp */
    if (lane == 0) rows.nll[row] = valid ? max - rg_tofloat(logits[at + target]) + logf(sum) : 0.f;
    if (!dlogits) return;
    const float share = valid ? rows.share(row) : 0.f, scale = share / sum;
    for (int64_t c = lane; c < rows.classes; c += 32) {
        const float d = valid ? scale * expf(rg_tofloat(logits[at + c]) - max) : 0.f;
        dlogits[at + c] = rg_from<T>(valid && c == target ? d - share : d);
    }
}

template <class T> static rg_status softmax_ce_call(rg_kernel_ctx *ctx, const rg_softmax_ce_args *a)
{
    const row_losses rows = {a->targets, a->weight, a->classes, rg_device_scratch<double>(ctx, 1),
                             a->nll ? (float *)a->nll : rg_device_scratch<float>(ctx, a->rows)};
    if (!rows.total || !rows.nll) return ctx->error->code;
    RG_TRY((rg_sums<double, 1>(ctx, 1, a->rows, 1, weight_source{rows}, weight_sink{rows.total})));
    if (a->rows > 0)
        RG_TRY(rg_cuda_check(
            ctx, RG_LAUNCH(softmax_ce_kernel<T>, dim3((unsigned)((a->rows + ROWS - 1) / ROWS)),
                           dim3(THREADS), 0, (cudaStream_t)ctx->stream, rows, (const T *)a->logits,
                           (T *)a->dlogits, a->rows, ctx->fault)));
    return rg_sums<double, 1>(ctx, 1, a->rows, 1, loss_source{rows},
                              loss_sink{rows.total, (float *)a->loss});
}

} // namespace

RG_CUDA_CALL(softmax_ce)
