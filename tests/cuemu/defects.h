/* The kernels of defects.cu by name: x (1000) is read, out (1000) is written. */
#ifndef CUEMU_DEFECTS_H
#define CUEMU_DEFECTS_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C"
#endif
    cudaError_t
    cuemu_launch_defect(const char *defect, float *out, const float *x, int n, cudaStream_t stream);

#endif
