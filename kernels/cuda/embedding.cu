/*
 * Embedding: a row is the sum of one entry from each book; a negative code adds nothing.
 *
 * One idea: the gradient turns the question round. A warp owns an entry, looks through all rows for
 * its code and adds theirs in order, so no two threads ever add to the same place.
 * Not here: a check of codes on the host; a wrong one is a fault (rg_fault).
 */
#include "kernels/cuda/flat.cuh"

namespace
{

enum {
    THREADS = 256,
    WARPS = THREADS / 32,
    LANE_CHANNELS = 4, /* channels that a lane of the gradient sums */
    WARP_CHANNELS = 32 * LANE_CHANNELS
};

template <class T>
__global__ void __launch_bounds__(THREADS)
    embedding_kernel(const int32_t *__restrict__ codes, const float *__restrict__ table,
                     T *__restrict__ y, int64_t rows, int64_t books, int64_t entries,
                     int64_t channels, uint32_t *fault)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= rows * channels) return;
    const int64_t row = rg_quotient(i, channels), c = i - row * channels;
    float sum = 0.f;
    for (int64_t k = 0; k < books; k++) {
        const int32_t code = codes[row * books + k];
        if (code >= entries)
            rg_fault(fault, RG_FAULT_CODE);
        else if (code >= 0)
            sum += table[(k * entries + code) * channels + c];
    }
    y[i] = rg_from<T>(sum);
}

template <class T>
static rg_status embedding_forward(rg_kernel_ctx *ctx, const rg_embedding_args *a)
{
    const int64_t n = a->rows * a->channels;
    if (n == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(embedding_kernel<T>,
                                        dim3((unsigned)((n + THREADS - 1) / THREADS)),
                                        dim3(THREADS), 0, (cudaStream_t)ctx->stream, a->codes,
                                        (const float *)a->table, (T *)a->y, a->rows, a->books,
                                        a->entries, a->channels, ctx->fault));
}

template <class T> struct grad_of {
    const int32_t *codes;
    const T *dy;
    float *dtable;
    int64_t rows, books, entries, channels, groups; /* groups of WARPS entries in a book */
    bool add_dtable;
    uint32_t *fault;
};

/* sums += dy of the rows at `first` + bit, in order; lane's channels are c, c + 32, ... */
template <class T>
__device__ __forceinline__ void add_rows(const grad_of<T> &g, int64_t first, unsigned rows,
                                         int64_t c, float sums[LANE_CHANNELS])
{
    for (; rows; rows &= rows - 1) {
        const T *dy = g.dy + (first + __ffs((int)rows) - 1) * g.channels;
        RG_UNROLL
        for (int j = 0; j < LANE_CHANNELS; j++)
            if (c + 32 * j < g.channels) sums[j] += rg_tofloat(dy[c + 32 * j]);
    }
}

/* A block: WARPS neighbouring entries of a book, WARP_CHANNELS channels; THREADS rows at a time. */
template <class T>
__global__ void __launch_bounds__(THREADS) embedding_grad_kernel(const grad_of<T> g)
{
    RG_SHARED(int32_t, codes, [THREADS]);
    const int t = (int)threadIdx.x, lane = t % 32;
    const int64_t book = blockIdx.x / g.groups;
    const int64_t entry = blockIdx.x % g.groups * WARPS + t / 32;
    const int64_t c = (int64_t)blockIdx.y * WARP_CHANNELS + lane;
    float sums[LANE_CHANNELS] = {};
    for (int64_t first = 0; first < g.rows; first += THREADS) {
        const int64_t row = first + t;
        const int32_t code = row < g.rows ? g.codes[row * g.books + book] : -1;
        if (code >= g.entries) rg_fault(g.fault, RG_FAULT_CODE);
        __syncthreads();
        codes[t] = code;
        __syncthreads();
        for (int at = 0; at < THREADS; at += 32)
            add_rows(g, first + at, __ballot_sync(RG_FULL, codes[at + lane] == entry), c, sums);
    }
    float *out = g.dtable + (book * g.entries + entry) * g.channels;
    RG_UNROLL
    for (int j = 0; j < LANE_CHANNELS; j++)
        if (entry < g.entries && c + 32 * j < g.channels)
            out[c + 32 * j] = g.add_dtable ? out[c + 32 * j] + sums[j] : sums[j];
}

template <class T>
static rg_status embedding_grad(rg_kernel_ctx *ctx, const rg_embedding_grad_args *g)
{
    const rg_embedding_args *a = &g->fwd;
    const int64_t groups = (a->entries + WARPS - 1) / WARPS;
    const grad_of<T> of = {a->codes,      (const T *)g->dy, (float *)g->dtable, a->rows,
                           a->books,      a->entries,       a->channels,        groups,
                           g->add_dtable, ctx->fault};
    if (!g->dtable || a->books * a->entries * a->channels == 0) return RG_OK;
    const dim3 grid((unsigned)(a->books * groups),
                    (unsigned)((a->channels + WARP_CHANNELS - 1) / WARP_CHANNELS));
    return rg_cuda_check(ctx, RG_LAUNCH(embedding_grad_kernel<T>, grid, dim3(THREADS), 0,
                                        (cudaStream_t)ctx->stream, of));
}

} // namespace

RG_CUDA_SLOT(embedding)
