/*
 * Stands in for nccl.c in a build without CUDA or without NCCL's header.
 *
 * One idea: as stub.c; no link is ever made, so the functions that take one are never reached.
 */
#include "kernels/gpu_link.h"

static rg_status absent(rg_error *err)
{
    return rg_fail(
        err, RG_ERR_UNSUPPORTED,
        "several GPUs need NCCL, and this program was built without its header (nccl.h)");
}

rg_status rg_gpu_link_id(unsigned char id[RG_GPU_LINK_ID], rg_error *err)
{
    (void)id;
    return absent(err);
}

rg_gpu_link *rg_gpu_link_open(rg_gpu *gpu, const rg_gpu_link_options *options, rg_error *err)
{
    (void)gpu, (void)options;
    absent(err);
    return NULL;
}

void rg_gpu_link_close(rg_gpu_link *link)
{
    (void)link;
}

void rg_gpu_link_abort(rg_gpu_link *link)
{
    (void)link;
}

rg_status rg_gpu_link_reduce_scatter(rg_gpu_link *link, const float *in, float *out, int64_t n,
                                     rg_error *err)
{
    (void)link, (void)in, (void)out, (void)n;
    return absent(err);
}

rg_status rg_gpu_link_all_gather(rg_gpu_link *link, const void *in, void *out, size_t bytes,
                                 rg_error *err)
{
    (void)link, (void)in, (void)out, (void)bytes;
    return absent(err);
}

rg_status rg_gpu_link_broadcast(rg_gpu_link *link, void *data, size_t bytes, int32_t root,
                                rg_error *err)
{
    (void)link, (void)data, (void)bytes, (void)root;
    return absent(err);
}

uint64_t rg_gpu_link_calls(const rg_gpu_link *link)
{
    (void)link;
    return 0;
}

rg_status rg_gpu_link_follow(rg_gpu_link *link, uint64_t calls, rg_error *err)
{
    (void)link, (void)calls;
    return absent(err);
}

rg_status rg_gpu_link_check(rg_gpu_link *link, rg_error *err)
{
    (void)link;
    return absent(err);
}
