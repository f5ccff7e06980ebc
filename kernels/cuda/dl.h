/*
 * NVIDIA's libraries as tables of functions, opened when they are first needed.
 *
 * One idea: a program that uses a GPU starts everywhere. No library of CUDA but the static runtime
 * is linked; each of the others is one X-macro of the functions we call, typed from its own header,
 * so that a changed prototype does not compile. A library that is missing is a reason in a text.
 * Not here: what is called and when (gemm.c, dnn.c), the driver (backend.c).
 */
#ifndef RG_KERNELS_CUDA_DL_H
#define RG_KERNELS_CUDA_DL_H

#include <cublasLt.h>
#include <cudnn.h>

#include "base/status.h"

#define RG_CUBLASLT_CALLS(F)                \
    F(cublasLtCreate)                       \
    F(cublasLtDestroy)                      \
    F(cublasLtGetVersion)                   \
    F(cublasLtGetStatusString)              \
    F(cublasLtMatmulDescCreate)             \
    F(cublasLtMatmulDescDestroy)            \
    F(cublasLtMatmulDescSetAttribute)       \
    F(cublasLtMatrixLayoutCreate)           \
    F(cublasLtMatrixLayoutDestroy)          \
    F(cublasLtMatmulPreferenceCreate)       \
    F(cublasLtMatmulPreferenceDestroy)      \
    F(cublasLtMatmulPreferenceSetAttribute) \
    F(cublasLtMatmulAlgoGetHeuristic)       \
    F(cublasLtMatmul)

typedef struct rg_cublaslt {
#define F(name) __typeof__(&name) name;
    RG_CUBLASLT_CALLS(F)
#undef F
} rg_cublaslt;

#define RG_CUDNN_CALLS(F)            \
    F(cudnnCreate)                   \
    F(cudnnDestroy)                  \
    F(cudnnSetStream)                \
    F(cudnnGetErrorString)           \
    F(cudnnBackendCreateDescriptor)  \
    F(cudnnBackendDestroyDescriptor) \
    F(cudnnBackendSetAttribute)      \
    F(cudnnBackendGetAttribute)      \
    F(cudnnBackendFinalize)          \
    F(cudnnBackendExecute)

typedef struct rg_cudnn {
#define F(name) __typeof__(&name) name;
    RG_CUDNN_CALLS(F)
#undef F
} rg_cudnn;

/* Fills a table of n functions by their names, or says in `err` (RG_ERR_DEVICE) which file or
 * function is missing. */
rg_status rg_dl_fill(const char *file, const char *const *names, size_t n, void *table,
                     rg_error *err) RG_MUST_USE;
rg_status rg_dl_cublaslt(rg_cublaslt *table, rg_error *err) RG_MUST_USE;
rg_status rg_dl_cudnn(rg_cudnn *table, rg_error *err) RG_MUST_USE;

#endif
