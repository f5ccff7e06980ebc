/*
 * The loss balancer (balancer.h). Norms and sums are kernel calls, so gradients may lie on a
 * device.
 */
#include "train/balancer.h"

#include <assert.h>
#include <math.h>

#include "base/json.h"

rg_balancer rg_balancer_make(int32_t n, double decay, double total_norm)
{
    assert(n >= 1 && n <= RG_MAX_LOSSES);
    return (rg_balancer){.n = n, .decay = decay, .total_norm = total_norm};
}

/* Mean over items of the L2 norm of one item. */
static rg_status mean_norm(rg_exec *ex, const rg_tensor *g, double *out)
{
    int64_t items = g->shape.dim[0], n = rg_shape_count(g->shape) / items;
    *out = 0;
    for (int64_t b = 0; b < items; b++) {
        double squares;
        bool finite;
        RG_TRY(rg_exec_norm(ex, (const float *)g->data + b * n, n, &squares, &finite));
        *out += finite ? sqrt(squares) / (double)items : NAN;
    }
    return RG_OK;
}

/* out = alpha a + beta b; the first term has no b. */
static rg_status add_scaled(rg_exec *ex, const rg_tensor *g, double scale, rg_tensor *out,
                            bool first)
{
    int64_t n = rg_shape_count(out->shape);
    rg_add_args args = {.a = first ? g->data : out->data,
                        .b = first ? NULL : g->data,
                        .y = out->data,
                        .n = n,
                        .n_b = n,
                        .alpha = first ? scale : 1,
                        .beta = first ? 0 : scale};
    return ex->kernels->add.forward(&ex->kernel_ctx, &args);
}

static void update(rg_balancer *b, const double *norms, rg_tensor *const gradients[])
{
    for (int32_t i = 0; i < b->n; i++) {
        if (!gradients[i]) continue;
        b->total[i] = b->total[i] * b->decay + norms[i];
        b->weight[i] = b->weight[i] * b->decay + 1;
    }
}

/* Running means, 0 for losses never seen. */
static void means(const rg_balancer *b, double *avg, double *sum)
{
    *sum = 0;
    for (int32_t i = 0; i < b->n; i++) {
        avg[i] = b->weight[i] > 0 ? b->total[i] / b->weight[i] : 0;
        *sum += avg[i];
    }
}

/* The norms of all processes' micro-batches (world, RG_MAX_LOSSES), in scratch; NULL: failed. */
static double *norms_of_all(const rg_balancer *b, rg_exec *ex, const double *own)
{
    rg_error err = {0};
    size_t bytes = RG_MAX_LOSSES * sizeof *own;
    double *all = rg_arena_alloc(ex->scratch, (size_t)rg_comm_world(b->comm) * bytes);
    if (!all) {
        rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
        return NULL;
    }
    if (rg_comm_all_gather(b->comm, own, all, bytes, &err) == RG_OK) return all;
    rg_exec_fail(ex, err.code, "%s", err.text);
    return NULL;
}

static bool finite_norms(const double *norms)
{
    for (int32_t i = 0; i < RG_MAX_LOSSES; i++)
        if (!isfinite(norms[i])) return false;
    return true;
}

/* Running means as they are after this process's turn; the state goes on with all. */
static rg_status take_turns(rg_balancer *b, rg_exec *ex, const double *norms,
                            rg_tensor *const gradients[], double *avg, double *sum)
{
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    const double *all = norms_of_all(b, ex, norms);
    for (int32_t r = 0; all && r < rg_comm_world(b->comm); r++) {
        const double *theirs = all + (int64_t)r * RG_MAX_LOSSES;
        if (finite_norms(theirs)) update(b, theirs, gradients);
        if (r == rg_comm_rank(b->comm)) means(b, avg, sum);
    }
    rg_arena_restore(ex->scratch, mark);
    return all ? RG_OK : ex->error.code;
}

rg_status rg_balancer_combine(rg_balancer *balancer, rg_exec *ex, rg_tensor *const gradients[],
                              const double weights[], rg_tensor *out, double ratios[])
{
    double norms[RG_MAX_LOSSES] = {0}, avg[RG_MAX_LOSSES] = {0}, sum = 0, weight_sum = 0;
    for (int32_t i = 0; i < balancer->n; i++) {
        if (!gradients[i]) continue;
        RG_TRY(mean_norm(ex, gradients[i], &norms[i]));
        weight_sum += weights[i];
    }
    RG_TRY(take_turns(balancer, ex, norms, gradients, avg, &sum));
    for (int32_t i = 0; i < balancer->n; i++)
        if (gradients[i] && !isfinite(norms[i])) return add_scaled(ex, gradients[i], 1, out, true);
    bool first = true;
    for (int32_t i = 0; i < balancer->n; i++) {
        if (ratios) ratios[i] = sum > 0 ? avg[i] / sum : 0;
        if (!gradients[i]) continue;
        double share = weight_sum > 0 ? weights[i] / weight_sum : 0;
        double scale = balancer->plain ? weights[i] : share / (1e-12 + avg[i]);
        RG_TRY(add_scaled(ex, gradients[i], scale * balancer->total_norm, out, first));
        first = false;
    }
    return RG_OK;
}

json_t *rg_balancer_save(const rg_balancer *balancer)
{
    json_t *state = json_object(), *total = json_array(), *weight = json_array();
    for (int32_t i = 0; i < balancer->n; i++) {
        json_array_append_new(total, json_real(balancer->total[i]));
        json_array_append_new(weight, json_real(balancer->weight[i]));
    }
    json_object_set_new(state, "total", total);
    json_object_set_new(state, "weight", weight);
    return state;
}

rg_status rg_balancer_load(rg_balancer *balancer, const json_t *state, rg_error *err)
{
    const json_t *total = rg_json_get_array(state, "total", "balancer", err);
    const json_t *weight = rg_json_get_array(state, "weight", "balancer", err);
    if (!total || !weight) return RG_ERR_FORMAT;
    size_t n = json_array_size(total);
    if (n > (size_t)balancer->n || json_array_size(weight) != n)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "balancer: %zu losses in the checkpoint, %d here; is it of a run with a "
                       "discriminator (losses.adv, losses.feat)?",
                       n, (int)balancer->n);
    for (size_t i = 0; i < n; i++) {
        balancer->total[i] = json_number_value(json_array_get(total, i));
        balancer->weight[i] = json_number_value(json_array_get(weight, i));
    }
    return RG_OK;
}
