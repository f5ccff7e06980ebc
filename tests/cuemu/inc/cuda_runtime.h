/*
 * Found before the toolkit's header of this name when kernels are built for the emulator: the
 * toolkit's own types and prototypes, then the emulator's device functions (cuemu.h).
 */
#ifndef CUEMU_CUDA_RUNTIME_H
#define CUEMU_CUDA_RUNTIME_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
#include "cuemu.h"
#endif

#endif
