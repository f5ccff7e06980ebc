/*
 * The GPUs of several processes, one each, that exchange memory of theirs (NCCL).
 *
 * One idea: a call is queued to a stream of its own, behind what the GPU's stream holds by then, so
 * that the two run side by side until rg_gpu_link_follow makes the GPU's stream wait. Sums are not
 * NCCL's, whose order follows from the machines: ranks send each other their parts, and each adds
 * them in halves as dist/comm.h says, which moves as many bytes and has one result.
 * A rank that is gone leaves calls hanging on the GPU for ever: the host never waits blindly but
 * asks a watch now and then, which ends them by rg_gpu_link_abort.
 * Not here: who is which rank (dist/comm.h). Unproven on hardware.
 */
#ifndef RG_KERNELS_GPU_LINK_H
#define RG_KERNELS_GPU_LINK_H

#include "kernels/gpu.h"

enum { RG_GPU_LINK_ID = 128, RG_GPU_LINK_WORLD = 1024 };

typedef struct rg_gpu_link rg_gpu_link;
typedef struct rg_gpu_link_options {
    unsigned char id[RG_GPU_LINK_ID]; /* of rg_gpu_link_id, one for all ranks */
    int32_t rank, world;
    rg_gpu_watch watch; /* asked while the ranks meet */
    size_t parts;       /* bytes for others' parts of a sum; 0: 32 MiB */
} rg_gpu_link_options;

/* Fails with one line where NCCL is missing (not built with its header, no library, no function).
 */
rg_status rg_gpu_link_id(unsigned char id[RG_GPU_LINK_ID], rg_error *err) RG_MUST_USE;
/* Collective; NULL with the error set. `gpu` is borrowed. */
rg_gpu_link *rg_gpu_link_open(rg_gpu *gpu, const rg_gpu_link_options *options, rg_error *err);
void rg_gpu_link_close(rg_gpu_link *link); /* waits for its calls; NULL is fine */
/* Ends calls under way, whose results are worthless, and all that follow. */
void rg_gpu_link_abort(rg_gpu_link *link);

/* What all ranks call alike; pointers are the device's, n of floats. As in dist/comm.h. */
rg_status rg_gpu_link_reduce_scatter(rg_gpu_link *link, const float *in, float *out, int64_t n,
                                     rg_error *err) RG_MUST_USE;
rg_status rg_gpu_link_all_gather(rg_gpu_link *link, const void *in, void *out, size_t bytes,
                                 rg_error *err) RG_MUST_USE;
rg_status rg_gpu_link_broadcast(rg_gpu_link *link, void *data, size_t bytes, int32_t root,
                                rg_error *err) RG_MUST_USE;
/* Calls so far; and what is queued to the GPU's stream from here on comes after the first `calls`.
 */
uint64_t rg_gpu_link_calls(const rg_gpu_link *link);
rg_status rg_gpu_link_follow(rg_gpu_link *link, uint64_t calls, rg_error *err) RG_MUST_USE;
/* What went wrong since, as far as NCCL has noticed. */
rg_status rg_gpu_link_check(rg_gpu_link *link, rg_error *err) RG_MUST_USE;

#endif
