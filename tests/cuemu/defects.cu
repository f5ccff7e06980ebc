/*
 * Kernels with one deliberate defect each, for the tests of the emulator's detectors
 * (test_defects.c), and two clean ones.
 */
#include "kernels/cuda/rg_cuda.cuh"

#include "defects.h"

namespace
{

__global__ void clean_copy(float *out, const float *x, int n)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) out[i] = x[i] + 1;
}

__global__ void clean_sum(float *out, const float *x, int n)
{
    float sum = 0;
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) sum += x[i];
    sum = rg_block_reduce<RG_REDUCE_SUM>(sum);
    out[threadIdx.x] = sum;
}

__global__ void no_barrier_before_read(float *out, const float *x, int)
{
    RG_SHARED(float, s, [256]);
    s[threadIdx.x] = x[threadIdx.x];
    out[threadIdx.x] = s[255 - threadIdx.x];
}

__global__ void no_barrier_before_write(float *out, const float *x, int)
{
    RG_SHARED(float, s, [256]);
    float sum = 0;
    for (int k = 0; k < 3; k++) {
        s[threadIdx.x] = x[k * 256 + (int)threadIdx.x];
        __syncthreads();
        sum += s[(threadIdx.x + 33) % 256];
    }
    out[threadIdx.x] = sum;
}

__global__ void no_syncwarp(float *out, const float *x, int)
{
    RG_SHARED(float, s, [32]);
    s[threadIdx.x] = x[threadIdx.x];
    out[threadIdx.x] = s[threadIdx.x ^ 1];
}

__global__ void read_past_end(float *out, const float *x, int n)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) out[i] = x[i + 1];
}

__global__ void write_past_end(float *out, const float *x, int n)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i <= n) out[i] = x[0];
}

__global__ void write_past_shared(float *out, const float *x, int)
{
    RG_SHARED(float, s, [32]);
    if (threadIdx.x < 33) s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32) out[threadIdx.x] = s[threadIdx.x];
}

__global__ void unwritten_shared(float *out, const float *x, int)
{
    RG_SHARED(float, s, [64]);
    if (threadIdx.x < 32) s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = s[threadIdx.x % 64];
}

__global__ void barrier_in_branch(float *out, const float *x, int)
{
    if (threadIdx.x < 16) __syncthreads();
    out[threadIdx.x] = x[threadIdx.x];
}

__global__ void return_before_barrier(float *out, const float *x, int)
{
    if (threadIdx.x >= 100) return;
    __syncthreads();
    out[threadIdx.x] = x[threadIdx.x];
}

__global__ void shuffle_in_branch(float *out, const float *x, int)
{
    float v = x[threadIdx.x];
    if (threadIdx.x & 1) v += __shfl_xor_sync(RG_FULL, v, 2);
    out[threadIdx.x] = v;
}

__global__ void shuffle_from_outside(float *out, const float *x, int)
{
    float v = x[threadIdx.x];
    if (threadIdx.x % 32 < 16) v = __shfl_sync(0xffffu, v, 20);
    out[threadIdx.x] = v;
}

__global__ void misaligned_load(float *out, const float *x, int)
{
    const float4 v = rg_ld((const float4 *)(x + 1 + 4 * (threadIdx.x % 32)));
    out[threadIdx.x] = v.x;
}

__global__ void plain_sum(float *out, const float *x, int n)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) out[0] += x[i];
}

__global__ void atomic_then_read(float *out, const float *x, int n)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    atomicAdd(out, x[i]);
    if (out[0] < 0) out[1] = 1;
}

__global__ void dynamic_shared(float *out, const float *x, int)
{
    RG_DYN_SHARED(float, s);
    s[threadIdx.x] = x[threadIdx.x];
    out[threadIdx.x] = s[threadIdx.x];
}

} // namespace

#define CALL(name, grid, block, shared) \
    if (!strcmp(defect, #name)) return RG_LAUNCH(name, grid, block, shared, stream, out, x, n)

extern "C" cudaError_t cuemu_launch_defect(const char *defect, float *out, const float *x, int n,
                                           cudaStream_t stream)
{
    const dim3 one(1), few(4), warp(32), block(256);
    CALL(clean_copy, few, block, 0);
    CALL(clean_sum, one, block, 0);
    CALL(no_barrier_before_read, one, block, 0);
    CALL(no_barrier_before_write, one, block, 0);
    CALL(no_syncwarp, one, warp, 0);
    CALL(read_past_end, few, block, 0);
    CALL(write_past_end, few, block, 0);
    CALL(write_past_shared, one, dim3(64), 0);
    CALL(unwritten_shared, one, block, 0);
    CALL(barrier_in_branch, one, dim3(64), 0);
    CALL(return_before_barrier, one, dim3(128), 0);
    CALL(shuffle_in_branch, one, block, 0);
    CALL(shuffle_from_outside, one, block, 0);
    CALL(misaligned_load, one, block, 0);
    CALL(plain_sum, few, block, 0);
    CALL(atomic_then_read, few, block, 0);
    CALL(dynamic_shared, one, block, 60 * 1024);
    if (!strcmp(defect, "shared_beyond_device")) {
        const cudaError_t error = cudaFuncSetAttribute(
            dynamic_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, 120 * 1024);
        return error ? error : RG_LAUNCH(dynamic_shared, one, block, 120 * 1024, stream, out, x, n);
    }
    if (!strcmp(defect, "block_too_large"))
        return RG_LAUNCH(clean_copy, one, dim3(2048), 0, stream, out, x, n);
    return cudaErrorInvalidValue;
}
