/*
 * What the files of rg_params share: entries (what is declared, saved and trained) and views (what
 * operators see).
 *
 * One idea: of a plain parameter the view is its own values, of a weight-normalised pair the folded
 * weight. On kernels of doubles (gradient checks) every view and its gradient is a converted copy,
 * made at refresh and taken back at unfold; otherwise a plain view is the flat buffer itself.
 */
#ifndef RG_ENGINE_PARAMS_PRIVATE_H
#define RG_ENGINE_PARAMS_PRIVATE_H

#include "engine/params.h"
#include "kernels/gpu.h"

/* What operators see: one plain parameter, or the weight folded from a (g, v) pair. */
typedef struct view {
    rg_tensor tensor;
    rg_tensor gradient; /* of the tensor, in the kernels' type */
    rg_param *plain;    /* the parameter itself, or NULL */
    rg_param *g, *v;    /* the pair, or NULL */
    int32_t axis;       /* of g */
    bool matrix;
    void *packed;
} view;

typedef struct entry {
    rg_param param;
    rg_init init;
    rg_tensor state; /* of states */
    rg_param *v;     /* of a g: its pair, whose norms it starts with */
    int32_t axis;    /* of a g: the axis it belongs to */
} entry;

/* The flat buffers; values, gradients, moments and EMA (padded) long. */
typedef struct flats {
    float *values, *gradients, *moment1, *moment2, *ema;
    uint8_t *decay, *states;
    rg_adamw_now *now; /* trained ones'; one */
} flats;

struct rg_params {
    entry **entries;
    view **views;
    rg_tensor **trainable; /* the views' tensors */
    size_t n_entries, n_views;
    int64_t elements, state_bytes;
    int64_t padded;       /* numbers of a flat buffer: elements, then zeros */
    struct rg_zero *zero; /* owned; NULL: one process updates all */
    rg_arena *arena;
    /* What files and people read and write; and what kernels do: on the CPU the same buffers, on a
     * GPU its own, which rg_params_refresh and rg_params_fetch copy to and fro. A GPU's gradients
     * have no copy on the host. */
    flats host, on;
    rg_gpu *gpu; /* NULL: the CPU */
    rg_arena *device_arena;
    void *device_memory;
    /* Of a GPU: whether on.now goes on by itself; the outcome of the last step, which is on its way
     * while `posted`. */
    bool now_is_there, posted;
    rg_gpu_letter *outcome;
    rg_dtype real, packed_type;
    rg_params *companion; /* borrowed */
    rg_error error;       /* of a declaration; told by finish */
    bool finished, rehearsed;
    const rg_exec *known_to; /* whose ids the views have */
};

/* Whether v and its gradient are ranges of the flat buffers themselves. */
bool rg_view_is_flat(const rg_params *params, const view *v);
/* What a view is packed in by this exec as it is. */
rg_dtype rg_params_packed_type(const rg_params *params, const rg_exec *ex, const view *v);
/* Sizes of a weight (outer, n, inner) round the axis of its gains. */
rg_weight_norm_args rg_weight_norm_sizes(rg_shape shape, int32_t axis);
/* The matrices that an AdamW step packs while it updates them, in their order, in scratch; and what
 * rg_params_refresh does for all the others. */
rg_status rg_params_matrices(rg_params *params, rg_exec *ex, rg_adamw_args *args);
rg_status rg_params_updated(rg_params *params, rg_exec *ex);
/* As rg_params_refresh, of values that lie where the kernels are. */
rg_status rg_params_repack(rg_params *params, rg_exec *ex);
/* The same as rg_params_unfold_gradients, of one view. */
rg_status rg_params_unfold_view(rg_params *params, rg_exec *ex, size_t i);
/* Values of all entries from (seed, name), and of the EMA; params_init.c. */
void rg_params_initialise(rg_params *params, uint64_t seed, rg_pool *pool);

#endif
