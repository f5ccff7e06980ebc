/*
 * Kernels that compute nothing: a forward and backward pass over them takes the memory that a real
 * one takes and touches none of it, so that its size is known before a run begins.
 *
 * One idea: scratch that grows with the batch is taken as the real kernels take it; what depends
 * on blocks and threads alone (some MiB) is not.
 */
#ifndef RG_KERNELS_IDLE_H
#define RG_KERNELS_IDLE_H

#include "kernels/kernels.h"

/* The real type and matrix layout are those of `like`. Outputs are left as they are. */
rg_kernels rg_kernels_idle(const rg_kernels *like);

#endif
