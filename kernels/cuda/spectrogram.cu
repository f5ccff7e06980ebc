/*
 * Magnitude or power spectrogram, through a filter bank and a logarithm when asked for.
 *
 * One idea: a block goes from a frame's samples to its bands and, in the gradient, all the way back
 * without leaving shared memory. A bank is mostly zeros: where each of its rows and columns begins
 * and ends is found first, and only that is read. Not here: frames and transforms (stft.cuh).
 */
#include "kernels/cuda/stft.cuh"

namespace
{

enum { RANGE_ROWS = 8, RANGE_THREADS = 32 * RANGE_ROWS };

/* A spectrogram as the kernels see it. */
struct shape {
    rg_framing of;
    const float *bank;                 /* (bins, bands) or NULL */
    const int2 *band_bins, *bin_bands; /* first and end of what is not zero, per band and bin */
    int bins, bands;
    int power;
    float floor;

    __device__ __forceinline__ float value(float2 z) const
    {
        const float square = z.x * z.x + z.y * z.y;
        return power == 1 ? sqrtf(square + 1e-12f) : square;
    }
    /* Band m of the bins' values. */
    __device__ __forceinline__ float band(const float *values, int m) const
    {
        if (!bank) return values[m];
        float sum = 0.f;
        const int2 range = band_bins[m];
        for (int k = range.x; k < range.y; k++) sum += values[k] * bank[(int64_t)k * bands + m];
        return sum;
    }
    /* The gradient at bin k's value, from that at the bands. */
    __device__ __forceinline__ float bin_grad(const float *band_grads, int k) const
    {
        if (!bank) return band_grads[k];
        float sum = 0.f;
        const int2 range = bin_bands[k];
        for (int m = range.x; m < range.y; m++) sum += bank[(int64_t)k * bands + m] * band_grads[m];
        return sum;
    }
};

/* ranges[i]: from the first to behind the last element j of row i, bank[i*row + j*step], that is
 * not zero; a warp per row. */
__global__ void __launch_bounds__(RANGE_THREADS)
    range_kernel(const float *__restrict__ bank, int rows, int length, int64_t row, int64_t step,
                 int2 *__restrict__ ranges)
{
    const int lane = (int)threadIdx.x % 32;
    const int i = (int)blockIdx.x * RANGE_ROWS + (int)threadIdx.x / 32;
    if (i >= rows) return; /* a whole warp */
    int2 range = make_int2(0, 0);
    for (int first = 0; first < length; first += 32) {
        const int j = first + lane;
        const bool some = j < length && bank[i * row + j * step] != 0.f;
        const unsigned found = __ballot_sync(RG_FULL, some);
        if (found && range.y == 0) range.x = first + __ffs((int)found) - 1;
        if (found) range.y = first + 32 - __clz((int)found);
    }
    if (lane == 0) ranges[i] = range;
}

template <class T>
__global__ void __launch_bounds__(RG_FRAME_THREADS)
    spectrogram_kernel(const shape s, const T *__restrict__ x, T *__restrict__ y,
                       T *__restrict__ log_y)
{
    RG_DYN_SHARED(float2, bins);
    float2 *other = bins + s.bins;
    float *values = reinterpret_cast<float *>(other);
    const int64_t frame = blockIdx.x, item = frame / s.of.frames;
    rg_frame_bins(s.of, x + item * s.of.t_in, frame - item * s.of.frames, other, bins);
    for (int k = (int)threadIdx.x; k < s.bins; k += (int)blockDim.x) values[k] = s.value(bins[k]);
    __syncthreads();
    for (int m = (int)threadIdx.x; m < s.bands; m += (int)blockDim.x) {
        const float value = s.band(values, m);
        if (y) y[frame * s.bands + m] = rg_from<T>(value);
        if (log_y) log_y[frame * s.bands + m] = rg_from<T>(log10f(s.floor + value));
    }
}

/* frames (B,F,n): the gradient at every frame's samples. */
template <class T>
__global__ void __launch_bounds__(RG_FRAME_THREADS)
    spectrogram_grad_kernel(const shape s, const T *__restrict__ x, const T *__restrict__ dy,
                            const T *__restrict__ dlog_y, float *__restrict__ frames)
{
    RG_DYN_SHARED(float2, bins);
    float2 *other = bins + s.bins;
    float *values = reinterpret_cast<float *>(other), *band_grads = values + s.bins;
    const int64_t frame = blockIdx.x, item = frame / s.of.frames, at = frame * s.bands;
    rg_frame_bins(s.of, x + item * s.of.t_in, frame - item * s.of.frames, other, bins);
    for (int k = (int)threadIdx.x; k < s.bins; k += (int)blockDim.x) values[k] = s.value(bins[k]);
    __syncthreads();
    for (int m = (int)threadIdx.x; m < s.bands; m += (int)blockDim.x) {
        float d = dy ? rg_tofloat(dy[at + m]) : 0.f;
        if (dlog_y) d += rg_tofloat(dlog_y[at + m]) / ((s.floor + s.band(values, m)) * 2.30258509f);
        band_grads[m] = d;
    }
    __syncthreads();
    for (int k = (int)threadIdx.x; k < s.bins; k += (int)blockDim.x) {
        const float sum = s.bin_grad(band_grads, k);
        const float slope = s.power == 1 ? sum / values[k] : 2.f * sum;
        bins[k] = make_float2(slope * bins[k].x, slope * bins[k].y);
    }
    __syncthreads();
    rg_frame_grad(s.of, bins, other, frames + frame * s.of.n);
}

static rg_status find_ranges(rg_kernel_ctx *ctx, const float *bank, int rows, int length,
                             int64_t row, int64_t step, const int2 **out)
{
    int2 *ranges = rg_device_scratch<int2>(ctx, rows);
    if (!ranges) return ctx->error->code;
    *out = ranges;
    if (rows == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(range_kernel,
                                        dim3((unsigned)((rows + RANGE_ROWS - 1) / RANGE_ROWS)),
                                        dim3(RANGE_THREADS), 0, (cudaStream_t)ctx->stream, bank,
                                        rows, length, row, step, ranges));
}

static rg_status shape_of(rg_kernel_ctx *ctx, const rg_spectrogram_args *a, shape *s)
{
    *s = shape{};
    s->of = rg_framing_of(ctx, &a->stft);
    if (!s->of.roots) return ctx->error->code;
    s->bins = a->stft.n_fft / 2 + 1;
    s->bands = a->bank ? (int)a->n_bands : s->bins;
    s->bank = (const float *)a->bank;
    s->power = a->power;
    s->floor = (float)a->log_floor;
    if (!a->bank) return RG_OK;
    RG_TRY(find_ranges(ctx, s->bank, s->bands, s->bins, 1, s->bands, &s->band_bins));
    return find_ranges(ctx, s->bank, s->bins, s->bands, s->bands, 1, &s->bin_bands);
}

template <class T>
static rg_status spectrogram_forward(rg_kernel_ctx *ctx, const rg_spectrogram_args *a)
{
    shape s;
    if (a->stft.batch * a->stft.frames == 0) return RG_OK;
    RG_TRY(shape_of(ctx, a, &s));
    return rg_cuda_check(
        ctx, RG_LAUNCH(spectrogram_kernel<T>, dim3((unsigned)(a->stft.batch * a->stft.frames)),
                       rg_frame_block(s.of.n), rg_frame_shared(s.of.n), (cudaStream_t)ctx->stream,
                       s, (const T *)a->stft.x, (T *)a->y, (T *)a->log_y));
}

/* Gradients of the bands lie behind the bins' values; more bands than bins need more. */
static size_t grad_shared(const shape *s)
{
    const size_t more = s->bands > s->bins ? (size_t)(s->bands - s->bins) : 0;
    return rg_frame_shared(s->of.n) + more * sizeof(float);
}

template <class T>
static rg_status spectrogram_grad(rg_kernel_ctx *ctx, const rg_spectrogram_grad_args *g)
{
    const rg_spectrogram_args *a = &g->fwd;
    const int64_t count = a->stft.batch * a->stft.frames;
    shape s;
    if (!g->dx || a->stft.batch * a->stft.t_in == 0) return RG_OK;
    RG_TRY(shape_of(ctx, a, &s));
    float *frames = rg_device_scratch<float>(ctx, count * s.of.n);
    if (!frames) return ctx->error->code;
    if (count > 0)
        RG_TRY(rg_cuda_check(ctx, RG_LAUNCH(spectrogram_grad_kernel<T>, dim3((unsigned)count),
                                            rg_frame_block(s.of.n), grad_shared(&s),
                                            (cudaStream_t)ctx->stream, s, (const T *)a->stft.x,
                                            (const T *)g->dy, (const T *)g->dlog_y, frames)));
    return rg_overlap(ctx, s.of, a->stft.batch, frames, (T *)g->dx, g->add_dx);
}

} // namespace

RG_CUDA_SLOT(spectrogram)
