/*
 * Sums over the rows of (items, rows, cols) values, N of them at once, in a fixed order: every
 * reduction of the backend that is larger than a row.
 *
 * One idea: rows are cut into runs whose number follows from the sizes alone. A block sums one run
 * of a strip of columns, threads first, then a tree in shared memory; the runs' sums are summed by
 * the same kernel. So the bits depend on no atomic and no device. Narrow matrices give their
 * threads to rows: neighbouring threads always read neighbouring elements.
 * Not here: sums of one row inside a kernel (rg_warp_sum).
 */
#ifndef RG_KERNELS_CUDA_SUMS_CUH
#define RG_KERNELS_CUDA_SUMS_CUH

#include "kernels/cuda/rg_cuda.cuh"

enum {
    RG_SUM_THREADS = 256,
    RG_SUM_LANES = 32, /* columns of the widest strip */
    RG_SUM_ROWS = 16,  /* rows that a thread sums at least, if there are so many */
    RG_SUM_RUNS = 512  /* most runs */
};

/*
 * A source adds element (item, row, col) to N sums:
 *     void add(int64_t item, int64_t row, int64_t col, A sums[N]) const
 * and a sink takes the sums of a column's run:
 *     void put(int64_t item, int64_t col, int64_t run, const A sums[N]) const
 */
template <class A, int N, class Source, class Sink>
static __global__ void __launch_bounds__(RG_SUM_THREADS)
    sums_kernel(Source source, Sink sink, int64_t rows, int64_t cols, int64_t run_rows, int width)
{
    RG_SHARED(A, part, [N][RG_SUM_THREADS]);
    const int t = (int)threadIdx.x;
    const int64_t strips = (cols + width - 1) / width;
    const int64_t item = blockIdx.x / strips, run = blockIdx.y;
    const int64_t col = (blockIdx.x % strips) * width + t % width;
    const int64_t first = run * run_rows, end = min(rows, first + run_rows);
    A sums[N] = {};
    if (col < cols)
        for (int64_t row = first + t / width; row < end; row += RG_SUM_THREADS / width)
            source.add(item, row, col, sums);
    RG_UNROLL
    for (int k = 0; k < N; k++) part[k][t] = sums[k];
    for (int step = RG_SUM_THREADS / 2; step >= width; step /= 2) {
        __syncthreads();
        RG_UNROLL
        for (int k = 0; k < N; k++)
            if (t < step) part[k][t] += part[k][t + step];
    }
    if (t >= width || col >= cols) return;
    RG_UNROLL
    for (int k = 0; k < N; k++) sums[k] = part[k][t];
    sink.put(item, col, run, sums);
}

/* The runs' sums on their way: element (item, run, col, k). */
template <class A, int N> struct rg_run_sums {
    A *p;
    int64_t runs, cols;
    __device__ __forceinline__ A *at(int64_t item, int64_t run, int64_t col) const
    {
        return p + ((item * runs + run) * cols + col) * N;
    }
    __device__ __forceinline__ void put(int64_t item, int64_t col, int64_t run, const A s[N]) const
    {
        RG_UNROLL
        for (int k = 0; k < N; k++) at(item, run, col)[k] = s[k];
    }
    __device__ __forceinline__ void add(int64_t item, int64_t run, int64_t col, A s[N]) const
    {
        RG_UNROLL
        for (int k = 0; k < N; k++) s[k] += at(item, run, col)[k];
    }
};

/* Sums 0 and 1 of a column become the gradients of a gain and a bias (channels); NULL: not
 * wanted. */
struct rg_gain_bias_sink {
    float *dgain, *dbias;
    bool add_dgain, add_dbias;
    __device__ __forceinline__ void put(int64_t, int64_t c, int64_t, const float sums[2]) const
    {
        if (dgain) dgain[c] = add_dgain ? dgain[c] + sums[0] : sums[0];
        if (dbias) dbias[c] = add_dbias ? dbias[c] + sums[1] : sums[1];
    }
};

/* n elements of device scratch; NULL, with the error recorded, when the arena is exhausted. */
template <class A> static A *rg_device_scratch(rg_kernel_ctx *ctx, int64_t n)
{
    void *p = rg_arena_alloc(ctx->scratch, (size_t)n * sizeof(A));
    if (!p)
        rg_fail(ctx->error, RG_ERR_NOMEM, "device scratch: no room for %lld bytes; raise its size",
                (long long)(n * (int64_t)sizeof(A)));
    return static_cast<A *>(p);
}

template <class A, int N, class Source, class Sink>
static rg_status rg_sum_runs(rg_kernel_ctx *ctx, int64_t items, int64_t rows, int64_t cols,
                             int64_t runs, int64_t run_rows, Source source, Sink sink)
{
    int width = 1;
    while (width < RG_SUM_LANES && width < cols) width *= 2;
    const dim3 grid((unsigned)(items * ((cols + width - 1) / width)), (unsigned)runs);
    return rg_cuda_check(ctx, RG_LAUNCH((sums_kernel<A, N, Source, Sink>), grid,
                                        dim3(RG_SUM_THREADS), 0, (cudaStream_t)ctx->stream, source,
                                        sink, rows, cols, run_rows, width));
}

/* Sums over the rows of every item and column; where there are no rows the sink takes zeros. */
template <class A, int N, class Source, class Sink>
static rg_status rg_sums(rg_kernel_ctx *ctx, int64_t items, int64_t rows, int64_t cols,
                         Source source, Sink sink)
{
    if (items == 0 || cols == 0) return RG_OK;
    const int64_t least = (int64_t)RG_SUM_ROWS * RG_SUM_THREADS / (cols < 32 ? cols : 32);
    const int64_t even = (rows + RG_SUM_RUNS - 1) / RG_SUM_RUNS;
    const int64_t run_rows = even > least ? even : least;
    const int64_t runs = rows > run_rows ? (rows + run_rows - 1) / run_rows : 1;
    if (runs == 1) return rg_sum_runs<A, N>(ctx, items, rows, cols, 1, run_rows, source, sink);
    const rg_run_sums<A, N> sums = {rg_device_scratch<A>(ctx, items * runs * cols * N), runs, cols};
    if (!sums.p) return ctx->error->code;
    RG_TRY((rg_sum_runs<A, N>(ctx, items, rows, cols, runs, run_rows, source, sums)));
    return rg_sum_runs<A, N>(ctx, items, runs, cols, 1, runs, sums, sink);
}

#endif
