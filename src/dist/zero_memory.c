/*
 * Memory of updates by several processes (zero_private.h): on the host, or on the GPU that has the
 * flat buffers.
 *
 * One idea: what is done to gradients outside of kernels is moving, clearing and adding, so these
 * three know where they lie and nothing else has to.
 */
#include <stdlib.h>
#include <string.h>

#include "dist/zero_private.h"

void rg_zero_clear(rg_zero *zero, void *data, size_t bytes)
{
    rg_gpu *gpu = zero->params->gpu;
    if (!gpu)
        memset(data, 0, bytes);
    else if (!zero->failure.code)
        (void)!rg_gpu_zero(gpu, data, bytes, &zero->failure);
}

void rg_zero_move(rg_zero *zero, void *to, const void *from, size_t bytes)
{
    rg_gpu *gpu = zero->params->gpu;
    if (!gpu)
        memcpy(to, from, bytes);
    else if (!zero->failure.code)
        (void)!rg_gpu_move(gpu, to, from, bytes, &zero->failure);
}

static size_t rounded(size_t bytes)
{
    return (bytes + RG_ARENA_DEVICE_ALIGN - 1) / RG_ARENA_DEVICE_ALIGN * RG_ARENA_DEVICE_ALIGN;
}

rg_status rg_zero_take_memory(rg_zero *zero, size_t shard_bytes, rg_error *err)
{
    rg_gpu *gpu = zero->params->gpu;
    const size_t units = (size_t)(zero->params->padded / RG_ZERO_UNIT) + 1;
    const size_t squares = rounded(units * sizeof(double)), shard = rounded(shard_bytes);
    const size_t all = squares + (zero->local > 1 ? (size_t)zero->local * shard : 0);
    zero->memory = gpu ? rg_gpu_alloc(gpu, all, err) : aligned_alloc(RG_ARENA_DEVICE_ALIGN, all);
    if (!zero->memory)
        return err->code ? err->code : rg_fail(err, RG_ERR_NOMEM, "no memory for shards");
    zero->squares = zero->memory;
    for (int32_t j = 0; j < zero->local; j++)
        zero->kept[j] = (char *)zero->memory + squares + (size_t)j * shard;
    return RG_OK;
}

void rg_zero_free_memory(rg_zero *zero)
{
    rg_gpu *gpu = zero->params->gpu;
    if (gpu)
        rg_gpu_free(gpu, zero->memory);
    else
        free(zero->memory);
}

/* In the same order as rg_tree_add, two at a time. */
static rg_status add_on_gpu(rg_zero *zero, rg_exec *ex)
{
    const int64_t n = zero->params->padded;
    for (int32_t left = zero->local; left > 1; left = (left + 1) / 2) {
        const int32_t half = (left + 1) / 2;
        for (int32_t j = 0; j + half < left; j++) {
            const rg_add_args add = {.a = zero->kept[j],
                                     .b = zero->kept[j + half],
                                     .y = zero->kept[j],
                                     .n = n,
                                     .n_b = n,
                                     .alpha = 1,
                                     .beta = 1};
            RG_TRY(ex->kernels->add.forward(&ex->kernel_ctx, &add));
        }
    }
    rg_zero_move(zero, zero->params->on.gradients, zero->kept[0], (size_t)n * sizeof(float));
    return RG_OK;
}

rg_status rg_zero_add_kept(rg_zero *zero, rg_exec *ex)
{
    const float *parts[64];
    if (zero->params->gpu) return add_on_gpu(zero, ex);
    for (int32_t j = 0; j < zero->local; j++) parts[j] = (const float *)(void *)zero->kept[j];
    rg_tree_add(parts, zero->local, zero->params->on.gradients, zero->params->padded);
    return RG_OK;
}
