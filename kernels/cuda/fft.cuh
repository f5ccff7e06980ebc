/*
 * Fourier transforms of real frames in shared memory, and their adjoint.
 *
 * One idea: a frame of n is a complex transform of n/2 (even samples as real, odd ones as imaginary
 * parts) with one pass before or behind it. The transform is Stockham's: it writes in order, from
 * one buffer to the other, by passes of 4 and then of whatever primes n/2 has left. One table of
 * roots, made in double, serves every pass, and the window (stft.cuh).
 * Not here: n odd, frames longer than shared memory holds.
 */
#ifndef RG_KERNELS_CUDA_FFT_CUH
#define RG_KERNELS_CUDA_FFT_CUH

#include "kernels/cuda/rg_cuda.cuh"

/* exp(-2 pi i k / n) for k < n, by n threads at least. */
static __global__ void __launch_bounds__(256) roots_kernel(float2 *__restrict__ roots, int n)
{
    const int k = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (k >= n) return;
    const double angle = 2.0 * k / n;
    roots[k] = make_float2((float)rg_cospi(angle), (float)-rg_sinpi(angle));
}

__device__ __forceinline__ float2 rg_complex_add(float2 a, float2 b)
{
    return make_float2(a.x + b.x, a.y + b.y);
}

__device__ __forceinline__ float2 rg_complex_sub(float2 a, float2 b)
{
    return make_float2(a.x - b.x, a.y - b.y);
}

__device__ __forceinline__ float2 rg_complex_mul(float2 a, float2 b)
{
    return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

__device__ __forceinline__ float2 rg_complex_conj(float2 a)
{
    return make_float2(a.x, -a.y);
}

/*
 * A pass: `stride` transforms of size `size` lie interleaved in x; their first radix-4 step goes to
 * y, which holds 4 stride of size / 4. roots are of 2 size stride.
 */
__device__ __forceinline__ void rg_fft_pass4(const float2 *x, float2 *y, int size, int stride,
                                             const float2 *__restrict__ roots)
{
    const int m = size / 4;
    for (int i = (int)threadIdx.x; i < m * stride; i += (int)blockDim.x) {
        const int p = i / stride, q = i - p * stride, root = 2 * stride * p;
        const float2 a = x[i], b = x[i + stride * m];
        const float2 c = x[i + 2 * stride * m], d = x[i + 3 * stride * m];
        const float2 ac = rg_complex_add(a, c), bd = rg_complex_add(b, d);
        const float2 even = rg_complex_sub(a, c), odd = rg_complex_sub(b, d);
        const float2 turned = make_float2(odd.y, -odd.x); /* times -i */
        float2 *out = y + q + 4 * stride * p;
        out[0] = rg_complex_add(ac, bd);
        out[stride] = rg_complex_mul(rg_complex_add(even, turned), roots[root]);
        out[2 * stride] = rg_complex_mul(rg_complex_sub(ac, bd), roots[2 * root]);
        out[3 * stride] = rg_complex_mul(rg_complex_sub(even, turned), roots[3 * root]);
    }
}

/* The same for any radix, an output per thread. */
__device__ __forceinline__ void rg_fft_pass(const float2 *x, float2 *y, int radix, int size,
                                            int stride, const float2 *__restrict__ roots)
{
    const int m = size / radix, turn = 2 * m * stride; /* roots in 1 / radix of a turn */
    for (int i = (int)threadIdx.x; i < size * stride; i += (int)blockDim.x) {
        const int at = i / stride, q = i - at * stride, p = at / radix, u = at - p * radix;
        float2 sum = make_float2(0.f, 0.f);
        for (int t = 0; t < radix; t++)
            sum = rg_complex_add(
                sum, rg_complex_mul(x[q + stride * (p + m * t)], roots[turn * (t * u % radix)]));
        y[i] = rg_complex_mul(sum, roots[2 * stride * p * u]);
    }
}

__device__ __forceinline__ int rg_fft_radix(int size)
{
    if (size % 2 == 0) return size % 4 == 0 ? 4 : 2;
    int radix = 3;
    while (size % radix != 0) radix = radix * radix > size ? size : radix + 2;
    return radix;
}

/* The transform of z (h), forth and back between z and other; returns where it ended. The block
 * calls after a barrier, and leaves after one. */
__device__ __forceinline__ float2 *rg_fft_shared(float2 *z, float2 *other, int h,
                                                 const float2 *__restrict__ roots)
{
    for (int size = h, stride = 1; size > 1;) {
        const int radix = rg_fft_radix(size);
        if (radix == 4)
            rg_fft_pass4(z, other, size, stride, roots);
        else
            rg_fft_pass(z, other, radix, size, stride, roots);
        __syncthreads();
        float2 *swap = z;
        z = other;
        other = swap;
        size /= radix;
        stride *= radix;
    }
    return z;
}

/* From the transform z (h) of a frame's even and odd samples to its bins (h+1). */
__device__ __forceinline__ void rg_real_bins(const float2 *z, float2 *bins, int h,
                                             const float2 *__restrict__ roots)
{
    for (int k = (int)threadIdx.x; k <= h; k += (int)blockDim.x) {
        const float2 a = z[k < h ? k : 0], b = rg_complex_conj(z[k > 0 ? h - k : 0]);
        const float2 sum = rg_complex_add(a, b), turned = rg_complex_sub(a, b);
        const float2 odd = rg_complex_mul(make_float2(turned.y, -turned.x), roots[k]);
        bins[k] = make_float2(0.5f * (sum.x + odd.x), 0.5f * (sum.y + odd.y));
    }
    __syncthreads();
}

/* From a gradient at the bins (h+1) to z (h), whose transform is the gradient at even (x) and odd
 * (-y) samples. */
__device__ __forceinline__ void rg_real_bins_grad(const float2 *bins, float2 *z, int h,
                                                  const float2 *__restrict__ roots)
{
    for (int k = (int)threadIdx.x; k < h; k += (int)blockDim.x) {
        float2 a = bins[k], b = rg_complex_conj(bins[h - k]);
        if (k == 0) { /* the first and the last bin are real */
            a = make_float2(2.f * a.x, 0.f);
            b = make_float2(2.f * b.x, 0.f);
        }
        const float2 sum = rg_complex_add(a, b);
        const float2 odd = rg_complex_mul(rg_complex_sub(a, b), rg_complex_conj(roots[k]));
        z[k] = make_float2(0.5f * (sum.x - odd.y), -0.5f * (sum.y + odd.x));
    }
    __syncthreads();
}

#endif
