/*
 * rg_backward: gradients as a function of roots, seeds and targets (exec.h).
 *
 * One idea: a forward scan of the tape marks what depends on a target, a backward walk visits the
 * marked nodes whose outputs have received a gradient; that is every path from a target to a root
 * and nothing else. Gradients live in a table beside the tensors, which is dropped at the end:
 *   - of parameters: the flat buffer, always added to;
 *   - of other targets: the low end of the step arena, so that they outlive the call;
 *   - of all else: the high end, each block given back as soon as its node is done and used again
 *     for a gradient of the same size.
 * Not here: the operators' own rules (src/ops).
 */
#include "engine/exec.h"

/* A block of the high end that waits to be used again. */
typedef struct free_block {
    struct free_block *next;
    size_t bytes;
    void *data;
} free_block;

/* What the walk knows of one tensor, by slot. */
typedef struct grad_slot {
    rg_tensor grad;  /* data NULL: nothing arrived yet */
    free_block *own; /* high-end block of grad; NULL when it is not ours to reuse */
    bool reached;    /* depends on a target: gradients flow here */
    bool wanted;     /* is a target */
    bool touched;    /* something was written or added */
    int32_t first; /* of a target that is a parameter: 1 + the first node that takes it; 0: none */
} grad_slot;

typedef struct walk {
    rg_exec *ex;
    grad_slot *slots;
    free_block *free;
} walk;

/* Parameters first, then the tensors of this step. NULL for tensors without an id (states). */
static grad_slot *slot_of(const walk *w, const rg_tensor *t)
{
    if (!t || t->id < 0) return NULL;
    bool param = t->flags & RG_TENSOR_PARAM;
    if (t->id >= (param ? w->ex->n_param_ids : w->ex->next_id)) return NULL;
    return &w->slots[param ? t->id : w->ex->n_param_ids + t->id];
}

static bool is_reached(const walk *w, const rg_tensor *t)
{
    const grad_slot *slot = slot_of(w, t);
    return slot && slot->reached;
}

static bool input_takes_gradient(const rg_op *op, int32_t i)
{
    return op->input[i].type == RG_INPUT_REAL && !op->input[i].fixed;
}

/* Whether a gradient of this node's outputs would lead to a target. */
static bool leads_to_target(const walk *w, const rg_node *n)
{
    if (!n->op->backward) return false;
    for (int32_t i = 0; i < n->op->n_in; i++)
        if (input_takes_gradient(n->op, i) && is_reached(w, n->in[i])) return true;
    return false;
}

/* The backward walk is through with a parameter at the first node that takes it. */
static void mark_first_uses(const walk *w, int32_t k)
{
    const rg_node *n = w->ex->tape[k];
    for (int32_t i = 0; i < n->op->n_in; i++) {
        if (!n->in[i] || !(n->in[i]->flags & RG_TENSOR_PARAM)) continue;
        grad_slot *slot = slot_of(w, n->in[i]);
        if (slot && slot->wanted && !slot->first) slot->first = k + 1;
    }
}

static void mark_paths(walk *w)
{
    for (int32_t k = 0; k < w->ex->n_tape; k++) {
        const rg_node *n = w->ex->tape[k];
        if (w->ex->listener) mark_first_uses(w, k);
        if (!leads_to_target(w, n)) continue;
        for (int32_t j = 0; j < n->op->n_out; j++)
            if (n->out[j] && !n->op->fixed_out[j]) slot_of(w, n->out[j])->reached = true;
    }
}

static size_t bytes_of(const rg_tensor *t)
{
    return (size_t)rg_shape_count(t->shape) * rg_dtype_size(t->dtype);
}

static free_block *take_block(walk *w, size_t bytes)
{
    for (free_block **at = &w->free; *at; at = &(*at)->next) {
        if ((*at)->bytes != bytes) continue;
        free_block *found = *at;
        *at = found->next;
        return found;
    }
    free_block *made = rg_arena_alloc(w->ex->scratch, sizeof *made);
    void *data = rg_arena_alloc_high(w->ex->step_data, bytes);
    if (!made || !data) return NULL;
    *made = (free_block){.bytes = bytes, .data = data};
    return made;
}

static void give_back(walk *w, grad_slot *slot)
{
    if (!slot || !slot->own) return;
    slot->own->next = w->free;
    w->free = slot->own;
    slot->own = NULL;
    slot->grad.data = NULL;
}

/* Memory for the first gradient that arrives at t; contents undefined. */
static rg_status place_gradient(walk *w, const rg_tensor *t, grad_slot *slot)
{
    slot->grad = (rg_tensor){.shape = t->shape, .dtype = t->dtype, .gpu = t->gpu, .id = -1};
    if (slot->wanted) {
        slot->grad.data = rg_arena_alloc(w->ex->step_data, bytes_of(t));
    } else {
        slot->own = take_block(w, bytes_of(t));
        slot->grad.data = slot->own ? slot->own->data : NULL;
    }
    if (!slot->grad.data)
        return rg_exec_fail(w->ex, RG_ERR_NOMEM,
                            "step arena is full: no room for gradients; use a smaller batch");
    return RG_OK;
}

/* ---- roots ---- */

/* The one of a type that gradients have, as bits. */
static uint16_t half_one(rg_dtype type)
{
    return type == RG_F16 ? rg_f16_from_float(1) : rg_bf16_from_float(1);
}

/* Through the door where the memory is a device's. */
static rg_status fill_ones(rg_exec *ex, rg_tensor *t)
{
    const int64_t n = rg_shape_count(t->shape);
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    void *ones = t->gpu ? rg_arena_alloc(ex->scratch, bytes_of(t)) : t->data;
    if (!ones && n) return rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
    for (int64_t i = 0; i < n; i++) {
        if (t->dtype == RG_F64)
            ((double *)ones)[i] = 1;
        else if (t->dtype == RG_F32)
            ((float *)ones)[i] = 1;
        else
            ((uint16_t *)ones)[i] = half_one(t->dtype);
    }
    const rg_status status = t->gpu ? rg_tensor_put(ex, t, ones) : RG_OK;
    rg_arena_restore(ex->scratch, mark);
    return status;
}

/* (+)= over whole tensors of one type. */
static rg_status copy_tensor(rg_exec *ex, const rg_tensor *from, const rg_tensor *to, bool add)
{
    int64_t n = rg_shape_count(from->shape);
    rg_copy_args args = {.src = from->data,
                         .dst = to->data,
                         .rows = 1,
                         .cols = n,
                         .ld_src = n,
                         .ld_dst = n,
                         .add = add};
    return rg_exec_kernels_of(ex, from->dtype)->copy(&ex->kernel_ctx, &args);
}

static rg_status check_root(rg_exec *ex, const rg_tensor *root, const rg_tensor *seed, int32_t i)
{
    char a[96], b[96];
    if (!root) return rg_exec_fail(ex, RG_ERR_USAGE, "rg_backward: root %d is NULL", i);
    if (root->dtype != ex->real && root->dtype != rg_exec_activations(ex))
        return rg_exec_fail(ex, RG_ERR_DTYPE, "rg_backward: root %d is %s, expected %s", i,
                            rg_dtype_text(root->dtype), rg_dtype_text(ex->real));
    if (!seed || (seed->dtype == root->dtype && rg_shape_equal(seed->shape, root->shape)))
        return RG_OK;
    return rg_exec_fail(ex, RG_ERR_SHAPE, "rg_backward: seed %d is %s %s, its root is %s %s", i,
                        rg_dtype_text(seed->dtype), rg_shape_text(seed->shape, a),
                        rg_dtype_text(root->dtype), rg_shape_text(root->shape, b));
}

static rg_status seed_root(walk *w, const rg_tensor *root, const rg_tensor *seed, int32_t i)
{
    rg_exec *ex = w->ex;
    RG_TRY(check_root(ex, root, seed, i));
    grad_slot *slot = slot_of(w, root);
    if (!slot || !slot->reached) return RG_OK; /* no target below: nothing flows */
    slot->touched = true;
    if (!slot->grad.data) {
        RG_TRY(place_gradient(w, root, slot));
        if (seed) return copy_tensor(ex, seed, &slot->grad, false);
        return fill_ones(ex, &slot->grad);
    }
    rg_tensor ones = *root;
    if (!seed) {
        ones.data = rg_arena_alloc(ex->kernel_ctx.scratch, bytes_of(root));
        if (!ones.data) return rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
        RG_TRY(fill_ones(ex, &ones));
    }
    return copy_tensor(ex, seed ? seed : &ones, &slot->grad, true);
}

/* ---- the walk ---- */

static rg_status check_versions(rg_exec *ex, const rg_node *n)
{
    for (int32_t i = 0; i < n->op->n_in; i++) {
        const rg_tensor *t = n->in[i];
        if (t && (t->flags & RG_TENSOR_PARAM) && t->version != n->in_version[i])
            return rg_exec_fail(ex, RG_ERR_MISMATCH,
                                "%s: input %s was changed after its forward pass; run the "
                                "backward pass before the optimizer",
                                n->op->name, n->op->input[i].name);
    }
    return RG_OK;
}

static bool given_twice(const rg_node *n, int32_t i)
{
    for (int32_t k = 0; k < n->op->n_in; k++)
        if (k != i && n->in[k] == n->in[i]) return true;
    return false;
}

/* din[i] points into `header`, or is NULL when no gradient is wanted there. */
static rg_status prepare_din(walk *w, const rg_node *n, rg_tensor header[], rg_tensor *din[])
{
    for (int32_t i = 0; i < n->op->n_in; i++) {
        if (!input_takes_gradient(n->op, i) || !is_reached(w, n->in[i])) continue;
        grad_slot *slot = slot_of(w, n->in[i]);
        bool fresh = !slot->grad.data;
        slot->touched = true;
        if (fresh) RG_TRY(place_gradient(w, n->in[i], slot));
        if (fresh && given_twice(n, i)) { /* every use adds, in whatever order the operator goes */
            rg_exec_zero(w->ex, slot->grad.data, bytes_of(&slot->grad));
            fresh = false;
        }
        header[i] = slot->grad;
        header[i].flags = fresh ? 0 : RG_TENSOR_ACCUMULATE;
        din[i] = &header[i];
    }
    return RG_OK;
}

static rg_status visit(walk *w, const rg_node *n)
{
    rg_exec *ex = w->ex;
    rg_tensor *dout[RG_MAX_OUT] = {0}, *din[RG_MAX_IN] = {0}, header[RG_MAX_IN];
    bool arrived = false;
    for (int32_t j = 0; j < n->op->n_out; j++) {
        grad_slot *slot = n->op->fixed_out[j] ? NULL : slot_of(w, n->out[j]);
        if (slot && slot->grad.data) dout[j] = &slot->grad;
        arrived |= dout[j] != NULL;
    }
    if (!arrived || !leads_to_target(w, n)) return RG_OK;
    RG_TRY(check_versions(ex, n));
    RG_TRY(prepare_din(w, n, header, din));
    rg_arena *kernel_scratch = ex->kernel_ctx.scratch;
    rg_arena_mark mark = rg_arena_save(kernel_scratch);
    const rg_kernels_used before = rg_exec_use(ex, n->kernels);
    rg_status status = n->op->backward(ex, n, dout, din);
    rg_exec_use_again(ex, before);
    rg_arena_restore(kernel_scratch, mark);
    if (status != RG_OK) {
        rg_exec_fail(ex, status, "%s", rg_status_text(status));
        rg_error_prefix(&ex->error, "%s, backward", n->op->name);
        return status;
    }
    bool others = false; /* as much again for the weights' gradients as for the input's */
    for (int32_t i = 1; i < n->op->n_in; i++) others |= din[i] != NULL;
    if (n->op->flops) ex->flops += ((din[0] != NULL) + others) * n->op->flops(n);
    for (int32_t j = 0; j < n->op->n_out; j++) give_back(w, slot_of(w, n->out[j]));
    return RG_OK;
}

/* ---- targets ---- */

static rg_status mark_targets(walk *w, rg_tensor *const *wrt, int32_t n_wrt, bool have_out)
{
    rg_exec *ex = w->ex;
    for (int32_t i = 0; i < n_wrt; i++) {
        grad_slot *slot = slot_of(w, wrt[i]);
        if (!slot)
            return rg_exec_fail(ex, RG_ERR_USAGE, "rg_backward: target %d is %s", i,
                                wrt[i] ? "a state or of an earlier step" : "NULL");
        slot->reached = slot->wanted = true;
        if (!(wrt[i]->flags & RG_TENSOR_PARAM)) {
            if (have_out) continue;
            return rg_exec_fail(ex, RG_ERR_USAGE,
                                "rg_backward: target %d is no parameter: `out` must be given", i);
        }
        slot->grad = ex->param_gradients[wrt[i]->id];
        if (!slot->grad.data && rg_shape_count(wrt[i]->shape) > 0)
            return rg_exec_fail(ex, RG_ERR_USAGE,
                                "rg_backward: target %d is a parameter that is not trained", i);
    }
    return RG_OK;
}

/* Headers of the results, in the step arena. */
static rg_status hand_out(walk *w, rg_tensor *const *wrt, int32_t n_wrt, rg_tensor **out)
{
    for (int32_t i = 0; out && i < n_wrt; i++) {
        const grad_slot *slot = slot_of(w, wrt[i]);
        out[i] = NULL;
        if (!slot->touched) continue;
        out[i] = rg_tensor_wrap(w->ex, slot->grad.dtype, slot->grad.shape, slot->grad.data);
        if (!out[i]) return w->ex->error.code;
    }
    return RG_OK;
}

static void tell_through(const walk *w, int32_t k)
{
    const rg_node *n = w->ex->tape[k];
    for (int32_t i = 0; i < n->op->n_in; i++) {
        if (!n->in[i] || !(n->in[i]->flags & RG_TENSOR_PARAM)) continue;
        grad_slot *slot = slot_of(w, n->in[i]);
        if (!slot || slot->first != k + 1) continue;
        slot->first = 0; /* once, also where a node takes it twice */
        w->ex->listener->through(w->ex->listener->ctx, n->in[i]);
    }
}

static rg_status walk_tape(walk *w, rg_tensor *const *roots, rg_tensor *const *seeds,
                           int32_t n_roots)
{
    for (int32_t i = 0; i < n_roots; i++)
        RG_TRY(seed_root(w, roots[i], seeds ? seeds[i] : NULL, i));
    for (int32_t k = w->ex->n_tape; k-- > 0;) {
        RG_TRY(visit(w, w->ex->tape[k]));
        if (w->ex->listener) tell_through(w, k);
    }
    return RG_OK;
}

rg_status rg_backward(rg_exec *ex, rg_tensor *const *roots, rg_tensor *const *seeds,
                      int32_t n_roots, rg_tensor *const *wrt, int32_t n_wrt, rg_tensor **out)
{
    for (int32_t i = 0; out && i < n_wrt; i++) out[i] = NULL;
    if (ex->error.code) return ex->error.code;
    rg_arena_mark scratch = rg_arena_save(ex->scratch);
    size_t high = rg_arena_save(ex->step_data).high;
    rg_arena_mark device = rg_arena_save(ex->kernel_ctx.scratch);
    size_t n_slots = (size_t)ex->n_param_ids + (size_t)ex->next_id;
    walk w = {.ex = ex, .slots = rg_arena_zalloc(ex->scratch, n_slots * sizeof *w.slots)};
    if (!w.slots) return rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
    rg_status status = mark_targets(&w, wrt, n_wrt, out != NULL);
    if (status == RG_OK) {
        mark_paths(&w);
        status = walk_tape(&w, roots, seeds, n_roots);
    }
    if (status == RG_OK) status = hand_out(&w, wrt, n_wrt, out);
    if (status == RG_OK && ex->listener) ex->listener->end(ex->listener->ctx, wrt, n_wrt);
    rg_arena_mark step = rg_arena_save(ex->step_data);
    rg_arena_restore(ex->step_data, (rg_arena_mark){.low = step.low, .high = high});
    rg_arena_restore(ex->kernel_ctx.scratch, device);
    rg_arena_restore(ex->scratch, scratch);
    return status == RG_OK ? RG_OK : rg_exec_fail(ex, status, "%s", rg_status_text(status));
}
