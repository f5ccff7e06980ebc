/*
 * Residual vector quantizer: nearest entry, what it leaves over, next book.
 *
 * One idea: a block owns 64 rows through all books, so that the chain needs one launch and a
 * barrier between books. Distances are sums of squared differences in the order of the channels,
 * by every thread for 4 rows and 4 entries; equal entries get equal sums, and of these the first
 * index wins wherever it was met.
 * Not here: the update of the books.
 */
#include "kernels/cuda/rg_cuda.cuh"

namespace
{

constexpr int RVQ_ROWS = 64, RVQ_ENTRIES = 64, RVQ_DEPTH = 16, RVQ_THREADS = 256;
constexpr int RVQ_PITCH = RVQ_ROWS + 4;

template <class T> struct rvq_view {
    const T *x;         /* (M,D) */
    const float *books; /* (K,V,D) */
    int32_t *codes;     /* (M,K) */
    float *residual;    /* (M,D): r of the book at hand */
    float *left;        /* (M,D): sum of what the books left over; NULL: not wanted */
    float *squares;     /* (M): sum of squares of the same */
    float *residuals;   /* (n_q,M,D) or NULL */
    T *q, *dcommit;     /* (M,D) or NULL */
    uint32_t *fault;
    int rows, dim, entries, n_books, n_q;
    bool fixed_codes;
    float slope; /* dcommit = slope * left */
};

/* A slice of 64 rows of a matrix (n,D), channels [d, d + RVQ_DEPTH), turned so that a thread finds
 * its 4 rows side by side; zeros outside. */
__device__ __forceinline__ void rvq_load(float (*slice)[RVQ_PITCH], const float *m, int first,
                                         int n, int d, int dim)
{
    for (int i = threadIdx.x; i < RVQ_ROWS * RVQ_DEPTH; i += RVQ_THREADS) {
        const int row = i / RVQ_DEPTH, c = i % RVQ_DEPTH;
        const bool inside = first + row < n && d + c < dim;
        slice[c][row] = inside ? m[(size_t)(first + row) * dim + d + c] : 0.f;
    }
}

/* distance[i][j] of rows 4 (thread / 16) + i and entries v + 4 (thread % 16) + j */
__device__ __forceinline__ void rvq_distances(float distance[4][4], const float *residual,
                                              const float *book, int first, int rows, int v,
                                              int entries, int dim)
{
    RG_SHARED_ALIGNED(16, float, rs, [RVQ_DEPTH][RVQ_PITCH]);
    RG_SHARED_ALIGNED(16, float, es, [RVQ_DEPTH][RVQ_PITCH]);
    const int row = threadIdx.x / 16 * 4, entry = threadIdx.x % 16 * 4;
    for (int d = 0; d < dim; d += RVQ_DEPTH) {
        __syncthreads();
        rvq_load(rs, residual, first, rows, d, dim);
        rvq_load(es, book, v, entries, d, dim);
        __syncthreads();
        RG_UNROLL for (int c = 0; c < RVQ_DEPTH; c++)
        {
            const float4 r4 = rg_ld(reinterpret_cast<const float4 *>(&rs[c][row]));
            const float4 e4 = rg_ld(reinterpret_cast<const float4 *>(&es[c][entry]));
            const float r[4] = {r4.x, r4.y, r4.z, r4.w}, e[4] = {e4.x, e4.y, e4.z, e4.w};
            RG_UNROLL for (int i = 0; i < 4; i++) RG_UNROLL for (int j = 0; j < 4; j++)
            {
                const float apart = r[i] - e[j];
                distance[i][j] = fmaf(apart, apart, distance[i][j]);
            }
        }
    }
}

/* Codes of the block's rows into `chosen`. Every thread calls it. */
__device__ __forceinline__ void rvq_search(int *chosen, const float *residual, const float *book,
                                           int first, int rows, int entries, int dim)
{
    float least[4] = {INFINITY, INFINITY, INFINITY, INFINITY};
    int best[4] = {0, 0, 0, 0};
    for (int v = 0; v < entries; v += RVQ_ENTRIES) {
        float distance[4][4] = {};
        rvq_distances(distance, residual, book, first, rows, v, entries, dim);
        RG_UNROLL for (int i = 0; i < 4; i++) RG_UNROLL for (int j = 0; j < 4; j++)
        {
            const int entry = v + (int)(threadIdx.x % 16) * 4 + j;
            if (entry < entries && distance[i][j] < least[i])
                least[i] = distance[i][j], best[i] = entry;
        }
    }
    RG_UNROLL for (int i = 0; i < 4; i++)
    {
        for (int o = 8; o; o >>= 1) {
            const float other = __shfl_xor_sync(RG_FULL, least[i], o);
            const int entry = __shfl_xor_sync(RG_FULL, best[i], o);
            if (other < least[i] || (other == least[i] && entry < best[i]))
                least[i] = other, best[i] = entry;
        }
        if (threadIdx.x % 16 == 0) chosen[threadIdx.x / 16 * 4 + i] = best[i];
    }
}

/* One row after its code is known, by one warp; returns the sum of squares that is left. */
template <class T>
__device__ __forceinline__ float rvq_step(const rvq_view<T> &a, int k, int m, int code)
{
    const float *entry = a.books + ((size_t)k * a.entries + code) * a.dim;
    float squares = 0.f;
    for (int d = threadIdx.x & 31; d < a.dim; d += 32) {
        const size_t i = (size_t)m * a.dim + d;
        const float r = a.residual[i] - entry[d];
        a.residual[i] = r;
        if (a.left) a.left[i] += r;
        squares = fmaf(r, r, squares);
    }
    return rg_warp_sum(squares);
}

/* The row's given code; -1 ends its chain, as does a code beyond the book, which is a fault. */
template <class T> __device__ __forceinline__ int rvq_given(const rvq_view<T> &a, int k, int m)
{
    const int code = a.codes[(size_t)m * a.n_books + k];
    if (code >= a.entries && (threadIdx.x & 31) == 0) rg_fault(a.fault, RG_FAULT_CODE);
    return code < a.entries ? code : -1;
}

template <class T> __device__ __forceinline__ void rvq_begin(const rvq_view<T> &a, size_t i)
{
    a.residual[i] = rg_tofloat(a.x[i]);
    if (a.left) a.left[i] = 0.f;
}

template <class T> __device__ __forceinline__ void rvq_end(const rvq_view<T> &a, size_t i)
{
    if (a.q) a.q[i] = rg_from<T>(rg_tofloat(a.x[i]) - a.residual[i]);
    if (a.dcommit) a.dcommit[i] = rg_from<T>(a.slope * a.left[i]);
}

template <class T> __global__ void __launch_bounds__(RVQ_THREADS, 2) rvq_kernel(rvq_view<T> a)
{
    RG_SHARED(int, chosen, [RVQ_ROWS]);
    RG_SHARED(float, squares, [RVQ_ROWS]);
    RG_SHARED(int, ended, [RVQ_ROWS]);
    const int first = blockIdx.x * RVQ_ROWS, rows = min(RVQ_ROWS, a.rows - first);
    const size_t begin = (size_t)first * a.dim, n = (size_t)rows * a.dim;
    for (size_t i = threadIdx.x; i < n; i += RVQ_THREADS) rvq_begin(a, begin + i);
    if (threadIdx.x < RVQ_ROWS) squares[threadIdx.x] = 0.f, ended[threadIdx.x] = 0;
    for (int k = 0; k < a.n_q; k++) {
        const float *book = a.books + (size_t)k * a.entries * a.dim;
        __syncthreads();
        if (!a.fixed_codes) rvq_search(chosen, a.residual, book, first, a.rows, a.entries, a.dim);
        if (a.residuals)
            for (size_t i = threadIdx.x; i < n; i += RVQ_THREADS)
                a.residuals[(size_t)k * a.rows * a.dim + begin + i] = a.residual[begin + i];
        __syncthreads();
        for (int row = threadIdx.x / 32; row < rows; row += RVQ_THREADS / 32) {
            const int m = first + row, code = a.fixed_codes ? rvq_given(a, k, m) : chosen[row];
            const bool over = ended[row] || code < 0;
            const float sum = over ? 0.f : rvq_step(a, k, m, code);
            __syncwarp();
            if ((threadIdx.x & 31) != 0) continue;
            if (!a.fixed_codes) a.codes[(size_t)m * a.n_books + k] = code;
            ended[row] = over, squares[row] += sum;
        }
    }
    __syncthreads();
    for (size_t i = threadIdx.x; i < n; i += RVQ_THREADS) rvq_end(a, begin + i);
    if ((int)threadIdx.x < rows) a.squares[first + threadIdx.x] = squares[threadIdx.x];
}

/* commit = sum of squares / count, in one order; 0 when there is nothing to count. */
__global__ void __launch_bounds__(RVQ_THREADS)
    rvq_commit_kernel(float *__restrict__ commit, const float *__restrict__ squares, int rows,
                      float count)
{
    float sum = 0.f;
    for (int i = threadIdx.x; i < rows; i += RVQ_THREADS) sum += squares[i];
    sum = rg_block_reduce<RG_REDUCE_SUM>(sum);
    if (threadIdx.x == 0) *commit = count > 0.f ? sum / count : 0.f;
}

/* The scratch of one call: r, what is left over, and squares. */
template <class T>
static rg_status rvq_room(rg_kernel_ctx *ctx, const rg_rvq_args *a, rvq_view<T> *v)
{
    const size_t n = (size_t)(a->rows * a->dim) * sizeof(float);
    v->residual = static_cast<float *>(rg_arena_alloc(ctx->scratch, n));
    v->left = static_cast<float *>(rg_arena_alloc(ctx->scratch, a->dcommit ? n : 0));
    v->squares =
        static_cast<float *>(rg_arena_alloc(ctx->scratch, (size_t)a->rows * sizeof(float)));
    if (!v->residual || !v->left || !v->squares)
        return rg_fail(ctx->error, RG_ERR_NOMEM,
                       "scratch arena: no room for %zu bytes of a quantizer; raise its size",
                       2 * n);
    if (!a->dcommit) v->left = NULL;
    return RG_OK;
}

template <class T> static rg_status rvq_call(rg_kernel_ctx *ctx, const rg_rvq_args *a)
{
    const cudaStream_t stream = static_cast<cudaStream_t>(ctx->stream);
    const double count = (double)a->n_q * (double)a->rows * (double)a->dim;
    if (!a->fixed_codes && a->entries == 0 && a->rows > 0 && a->n_q > 0)
        return rg_fail(ctx->error, RG_ERR_SHAPE, "quantizer: its books have no entries");
    rvq_view<T> v = {};
    RG_TRY(rvq_room(ctx, a, &v));
    v.x = static_cast<const T *>(a->x), v.books = static_cast<const float *>(a->books);
    v.codes = a->codes, v.residuals = static_cast<float *>(a->residuals);
    v.q = static_cast<T *>(a->q), v.dcommit = static_cast<T *>(a->dcommit);
    v.fault = ctx->fault, v.fixed_codes = a->fixed_codes;
    v.rows = (int)a->rows, v.dim = (int)a->dim, v.entries = (int)a->entries;
    v.n_books = a->n_books, v.n_q = a->n_q;
    v.slope = count > 0 ? (float)(2 / count) : 0.f;
    const unsigned blocks = (unsigned)((a->rows + RVQ_ROWS - 1) / RVQ_ROWS);
    if (blocks > 0)
        RG_TRY(rg_cuda_check(
            ctx, RG_LAUNCH(rvq_kernel<T>, dim3(blocks), dim3(RVQ_THREADS), 0, stream, v)));
    if (!a->commit) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(rvq_commit_kernel, dim3(1), dim3(RVQ_THREADS), 0, stream,
                                        static_cast<float *>(a->commit), v.squares, (int)a->rows,
                                        (float)count));
}

} // namespace

RG_CUDA_CALL(rvq)
