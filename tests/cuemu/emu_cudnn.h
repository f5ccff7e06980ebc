/*
 * The stand-in of cuDNN as tests steer it, and its two parts to each other.
 *
 * Not here: cuDNN's own calls (cudnn.h).
 */
#ifndef CUEMU_EMU_CUDNN_H
#define CUEMU_EMU_CUDNN_H

#include <cuda_runtime_api.h>
#include <library_types.h>
#include <stdint.h>

/* What it offers: engines as on a GPU; none at all; none within 32 MiB; not even itself. */
typedef enum cuemu_cudnn_offer {
    CUDNN_OFFERS,
    CUDNN_HAS_NONE,
    CUDNN_IS_LARGE,
    CUDNN_IS_ABSENT
} cuemu_cudnn_offer;
void cuemu_cudnn_offers(cuemu_cudnn_offer offer);
int cuemu_cudnn_refusals(void); /* calls that the library would refuse or that mean nothing */
int cuemu_cudnn_runs(int way);  /* convolutions queued: 0 forward, 1 of x */
int cuemu_cudnn_plans(void);    /* made since the program began */

/* A convolution as emu_cudnn_conv.c computes it; pairs are rows, columns. */
typedef struct cuemu_conv {
    int way, add;
    cudaDataType_t type;
    int64_t batch, c, k, x[2], y[2], taps[2], stride[2], dilation[2], before[2], after[2];
    char *px, *pw, *py, *workspace;
    int64_t workspace_bytes;
} cuemu_conv;
void cuemu_enqueue_conv(cudaStream_t stream, const cuemu_conv *conv);

#endif
