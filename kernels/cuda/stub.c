/*
 * Stands in for the CUDA backend in a build without one.
 *
 * One idea: an absent backend is a file that says so, not an #ifdef in its callers.
 */
#include "kernels/kernels.h"

const rg_kernels *rg_kernels_cuda(rg_error *err)
{
    rg_fail(err, RG_ERR_UNSUPPORTED,
            "device cuda: this program was built without CUDA; use --device cpu");
    return NULL;
}
