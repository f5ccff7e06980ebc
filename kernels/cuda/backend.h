/*
 * What the C files of the backend share: the GPU object from the inside.
 *
 * Not here: anything that code outside of kernels/cuda needs (kernels/gpu.h).
 */
#ifndef RG_KERNELS_CUDA_BACKEND_H
#define RG_KERNELS_CUDA_BACKEND_H

#include <cuda_runtime_api.h>

#include "kernels/cuda/dl.h"
#include "kernels/cuda/dnn.h"
#include "kernels/cuda/gemm.h"
#include "kernels/gpu.h"

enum {
    RG_GPU_WORKSPACE = RG_DNN_WORKSPACE, /* of cuBLASLt and cuDNN, one after the other */
    RG_GPU_STAGED = 1 << 18,             /* a piece of pinned memory for copies to the device, */
    RG_GPU_PIECES = 64                   /* of which there are so many */
};

struct rg_gpu {
    int index, major;
    cudaStream_t stream;
    uint32_t *fault;
    rg_cublaslt lt;
    cublasLtHandle_t lt_handle;
    rg_gemm_cache *gemms;
    rg_dnn *dnn; /* NULL: convolutions are products */
    void *workspace;
    unsigned char *staging;
    cudaEvent_t staged[RG_GPU_PIECES]; /* the piece's last copy */
    int piece;                         /* that is being filled, up to */
    size_t filled;
    bool captured;         /* work goes into a graph */
    int first;             /* piece of the graph's copies */
    rg_gpu_letter *posted; /* in the graph; the last one, with those before behind it */
    rg_gpu_watch watch;
};

/* RG_OK, or RG_ERR_DEVICE with what was done, CUDA's name of the error and its text. */
rg_status rg_gpu_check(cudaError_t code, const char *what, rg_error *err);
/* The host waits for the event, or, when it is NULL, for the stream; or until the watch fails. */
rg_status rg_gpu_await(rg_gpu *gpu, cudaEvent_t event, const char *what, rg_error *err);

#endif
