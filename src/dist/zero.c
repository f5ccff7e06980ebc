/*
 * Updates by several processes (zero.h).
 */
#include "dist/zero.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/text.h"
#include "dist/zero_private.h"
#include "engine/optimizer_private.h"

/* ---- shards ---- */

rg_status rg_zero_check(const rg_zero_options *o, int64_t accumulate, rg_error *err)
{
    int32_t world = rg_comm_world(o->comm), shards = o->shards ? o->shards : world;
    int32_t local = shards / world;
    if (accumulate % world)
        return rg_fail(err, RG_ERR_CONFIG,
                       "accumulate is %lld: the micro-batches of an update cannot be dealt evenly "
                       "to %d processes; make it a multiple of %d",
                       (long long)accumulate, (int)world, (int)world);
    if (accumulate % shards)
        return rg_fail(err, RG_ERR_CONFIG, "shards is %d, which does not divide accumulate, %lld",
                       (int)shards, (long long)accumulate);
    if (shards % world || local > 64 || (local & (local - 1)))
        return rg_fail(
            err, RG_ERR_CONFIG,
            "shards is %d, and there are %d processes: each must have 1, 2, 4, ... 64 of "
            "them",
            (int)shards, (int)world);
    return RG_OK;
}

/* All that backward passes add to: the flat buffer, and beside it what is folded. */
static size_t copy_gradients(rg_params *params, char *to, const char *from)
{
    size_t at = (size_t)params->padded * sizeof(float);
    if (to) rg_zero_move(params->zero, to, params->on.gradients, at);
    if (from) rg_zero_move(params->zero, params->on.gradients, from, at);
    for (size_t i = 0; i < params->n_views; i++) {
        const rg_tensor *g = &params->views[i]->gradient;
        size_t bytes = (size_t)rg_shape_count(g->shape) * rg_dtype_size(g->dtype);
        if (rg_view_is_flat(params, params->views[i])) continue;
        if (to) rg_zero_move(params->zero, to + at, g->data, bytes);
        if (from) rg_zero_move(params->zero, g->data, from + at, bytes);
        at += (bytes + RG_ALIGN - 1) / RG_ALIGN * RG_ALIGN;
    }
    return at;
}

static void set_zero(rg_params *params)
{
    rg_zero_clear(params->zero, params->on.gradients, (size_t)params->padded * sizeof(float));
    for (size_t i = 0; i < params->n_views; i++) {
        const rg_tensor *g = &params->views[i]->gradient;
        if (rg_view_is_flat(params, params->views[i])) continue;
        rg_zero_clear(params->zero, g->data,
                      (size_t)rg_shape_count(g->shape) * rg_dtype_size(g->dtype));
    }
}

void rg_zero_forget_gradients(rg_params *params)
{
    rg_zero *zero = params->zero;
    if (!zero) return;
    zero->current = 0;
    memset(zero->seen, 0, sizeof zero->seen);
    zero->seen[0] = true;
    rg_zero_clear(zero, params->on.gradients + params->elements,
                  (size_t)(params->padded - params->elements) * sizeof(float));
    rg_zero_begin(zero);
}

static void change_shard(rg_zero *zero, int32_t to)
{
    if (to == zero->current) return;
    (void)copy_gradients(zero->params, zero->kept[zero->current], NULL);
    if (zero->seen[to])
        (void)copy_gradients(zero->params, NULL, zero->kept[to]);
    else
        set_zero(zero->params);
    zero->seen[to] = true;
    zero->current = to;
}

void rg_zero_micro(rg_params *params, int64_t micro)
{
    rg_zero *zero = params->zero;
    if (zero) change_shard(zero, (int32_t)(micro / zero->world % zero->local));
}

/* The sum of this process's shards takes the place of the gradients. */
static rg_status add_shards(rg_zero *zero, rg_exec *ex)
{
    if (zero->local == 1) return RG_OK;
    for (int32_t j = 0; j < zero->local; j++) {
        change_shard(zero, j);
        for (size_t i = 0; i < zero->params->n_views; i++)
            RG_TRY(rg_params_unfold_view(zero->params, ex, i));
        rg_zero_move(zero, zero->kept[j], zero->params->on.gradients,
                     (size_t)zero->params->padded * sizeof(float));
    }
    RG_TRY(rg_zero_add_kept(zero, ex));
    for (size_t i = 0; i < zero->params->n_views; i++) zero->unfolded[i] = true;
    return RG_OK;
}

/* ---- the update ---- */

/* All units' sums of squares, in the order of their places, on all processes. */
static rg_status share_squares(rg_zero *zero, rg_exec *ex, rg_error *err)
{
    for (int32_t b = 0; b < zero->n_buckets; b++) {
        bucket *at = &zero->buckets[b];
        const int64_t slice = at->n / zero->world, first = at->at + zero->rank * slice;
        double *mine = zero->squares + first / RG_ZERO_UNIT;
        const rg_norm_args norm = {.g = zero->params->on.gradients + first,
                                   .n = RG_ZERO_UNIT,
                                   .ranges = slice / RG_ZERO_UNIT,
                                   .sum_squares = mine};
        RG_TRY(ex->kernels->norm(&ex->kernel_ctx, &norm));
        RG_TRY(rg_comm_start_all_gather(zero->flats, mine, zero->squares + at->at / RG_ZERO_UNIT,
                                        (size_t)norm.ranges * sizeof *mine, &at->request, err));
    }
    for (int32_t b = 0; b < zero->n_buckets; b++)
        RG_TRY(rg_comm_wait(zero->flats, &zero->buckets[b].request, err));
    return RG_OK;
}

static rg_status update_slice(rg_exec *ex, const rg_adamw_args *all, int64_t at, int64_t n)
{
    rg_adamw_args args = *all;
    args.w += at;
    args.m += at;
    args.v += at;
    if (args.ema) args.ema += at;
    args.g += at;
    args.decay += at;
    args.at = at;
    args.n = n;
    return ex->kernels->adamw(&ex->kernel_ctx, &args);
}

static rg_status apply(rg_zero *zero, const rg_adamw_args *args, rg_exec *ex, rg_error *err)
{
    for (int32_t b = 0; b < zero->n_buckets; b++) {
        bucket *at = &zero->buckets[b];
        int64_t slice = at->n / zero->world, own = at->at + zero->rank * slice;
        RG_TRY(update_slice(ex, args, own, slice));
        RG_TRY(rg_comm_start_all_gather(zero->flats, args->w + own, args->w + at->at,
                                        (size_t)slice * sizeof(float), &at->request, err));
    }
    for (int32_t b = 0; b < zero->n_buckets; b++)
        RG_TRY(rg_comm_wait(zero->flats, &zero->buckets[b].request, err));
    return rg_params_repack(zero->params, ex);
}

/* All processes name the first gradient of all that is not finite. A GPU skips by itself. */
static rg_status skip(rg_zero *zero, const rg_adamw_args *args, rg_exec *ex, rg_error *err)
{
    for (int32_t b = 0; b < zero->n_buckets; b++) {
        const bucket *at = &zero->buckets[b];
        int64_t slice = at->n / zero->world;
        RG_TRY(update_slice(ex, args, at->at + zero->rank * slice, slice));
    }
    return rg_zero_first_of_all(zero->params, &args->now->nonfinite, err);
}

/* No number is as large as to be rounded; that of no gradient is the largest. */
rg_status rg_zero_first_of_all(rg_params *params, int64_t *first, rg_error *err)
{
    double least = *first < params->elements ? -(double)*first : -(double)params->elements;
    RG_TRY(rg_comm_allreduce(params->zero->comm, RG_COMM_MAX_F64, &least, 1, err));
    *first = (int64_t)-least;
    return RG_OK;
}

static rg_status step(rg_zero *zero, const rg_adamw *o, const rg_scaler *scaler, rg_exec *ex,
                      rg_error *err)
{
    const bool here = !zero->params->gpu;
    if (zero->failure.code) return rg_fail(err, zero->failure.code, "%s", zero->failure.text);
    RG_TRY(add_shards(zero, ex));
    RG_TRY(rg_zero_send(zero, ex, false, err));
    for (int32_t b = 0; b < zero->n_buckets; b++)
        RG_TRY(rg_comm_wait(zero->flats, &zero->buckets[b].request, err));
    RG_TRY(share_squares(zero, ex, err));
    const int64_t units = zero->params->padded / RG_ZERO_UNIT;
    RG_TRY(rg_adamw_decides(o, scaler, zero->params, ex, zero->squares, units));
    if (zero->failure.code) return rg_fail(err, zero->failure.code, "%s", zero->failure.text);
    const rg_adamw_args args = rg_adamw_args_of(o, zero->params);
    return here && args.now->skip ? skip(zero, &args, ex, err) : apply(zero, &args, ex, err);
}

rg_status rg_zero_step(const rg_adamw *optimizer, const rg_scaler *scaler, rg_params *params,
                       rg_exec *ex)
{
    rg_error err = {0};
    if (ex->error.code) return ex->error.code;
    rg_status status = step(params->zero, optimizer, scaler, ex, &err);
    if (status == RG_OK) return RG_OK;
    return rg_exec_fail(ex, status, "%s", err.text[0] ? err.text : "the optimizer's update failed");
}

/* ---- whole moments ---- */

static rg_status gather_flat(rg_zero *zero, float *flat, rg_error *err)
{
    for (int32_t b = 0; b < zero->n_buckets && flat; b++) {
        const bucket *at = &zero->buckets[b];
        const int64_t slice = at->n / zero->world;
        float *all = flat + at->at, *own = all + zero->rank * slice;
        const size_t bytes = (size_t)slice * sizeof *flat;
        RG_TRY(zero->params->gpu ? rg_comm_all_gather(zero->flats, own, all, bytes, err)
                                 : rg_comm_gather(zero->flats, own, all, bytes, 0, err));
    }
    return RG_OK;
}

rg_status rg_zero_gather(rg_params *params, rg_error *err)
{
    for (; params; params = rg_params_companion(params)) {
        if (!params->zero) continue;
        RG_TRY(gather_flat(params->zero, params->on.moment1, err));
        RG_TRY(gather_flat(params->zero, params->on.moment2, err));
        RG_TRY(gather_flat(params->zero, params->on.ema, err));
    }
    return RG_OK;
}

rg_status rg_zero_share_averages(rg_params *params, rg_error *err)
{
    const rg_zero *zero = params->zero;
    float *ema = params->on.ema;
    for (int32_t b = 0; zero && ema && b < zero->n_buckets; b++) {
        const bucket *at = &zero->buckets[b];
        int64_t slice = at->n / zero->world;
        RG_TRY(rg_comm_all_gather(zero->flats, ema + at->at + zero->rank * slice, ema + at->at,
                                  (size_t)slice * sizeof *ema, err));
    }
    return RG_OK;
}

/* Whole pages between two places of a flat buffer; they read as zeros from now on. */
static void forget_range(float *flat, int64_t from, int64_t to)
{
    const uintptr_t page = 4096;
    if (!flat) return;
    uintptr_t low = ((uintptr_t)(flat + from) + page - 1) / page * page;
    uintptr_t high = (uintptr_t)(flat + to) / page * page;
    if (high > low) (void)madvise((void *)low, high - low, MADV_DONTNEED);
}

void rg_zero_forget(rg_params *params)
{
    for (; params; params = rg_params_companion(params)) {
        const rg_zero *zero = params->zero;
        for (int32_t b = 0; zero && b < zero->n_buckets; b++) {
            const bucket *at = &zero->buckets[b];
            int64_t slice = at->n / zero->world, own = at->at + zero->rank * slice;
            float *const moments[] = {params->host.moment1, params->host.moment2, params->host.ema};
            for (size_t f = 0; f < 3; f++) {
                forget_range(moments[f], at->at, own);
                forget_range(moments[f], own + slice, at->at + at->n);
            }
        }
    }
}

/* A GPU's values to the host; frees `list` when it fails. */
static rg_status fetch(const rg_params *params, void *list, rg_error *err)
{
    const rg_status status = rg_params_fetch(params, err);
    if (status != RG_OK) free(list);
    return status;
}

rg_status rg_zero_check_same(rg_params *params, rg_error *err)
{
    rg_comm *comm = params->zero ? params->zero->comm : NULL;
    uint64_t hash[2] = {0}, *all = calloc((size_t)rg_comm_world(comm), sizeof hash);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    for (const rg_params *p = params; p; p = rg_params_companion(p)) {
        RG_TRY(fetch(p, all, err));
        hash[0] = hash[0] * 31 + rg_xxh3(p->host.values, (size_t)p->elements * sizeof(float));
        hash[1] = hash[1] * 31 + rg_xxh3(p->host.states, (size_t)p->state_bytes);
    }
    rg_status status = rg_comm_all_gather(comm, hash, all, sizeof hash, err);
    for (int32_t r = 1; r < rg_comm_world(comm) && status == RG_OK; r++) {
        bool values = all[2 * r] != all[0], states = all[2 * r + 1] != all[1];
        if (values || states)
            status = rg_fail(err, RG_ERR_MISMATCH,
                             "the %s of %s are not those of rank 0: do all processes run the same "
                             "program on the same data and kind of CPU?",
                             values ? "weights" : "codebooks", rg_comm_rank_text(comm, r));
    }
    free(all);
    return status;
}

/* ---- beginning and end ---- */

void rg_zero_detach(rg_params *params)
{
    rg_zero *zero = params->zero;
    if (!zero) return;
    free(zero->buckets);
    free(zero->ascending);
    free(zero->passes);
    free(zero->unfolded);
    rg_zero_free_memory(zero);
    free(zero);
    params->zero = NULL;
}

rg_status rg_zero_attach(rg_params *params, const rg_zero_options *options, rg_error *err)
{
    rg_zero *zero = params->zero = calloc(1, sizeof *zero);
    if (!zero) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    zero->comm = options->comm;
    zero->flats = params->gpu ? options->gpu_comm : options->comm;
    zero->params = params;
    zero->rank = rg_comm_rank(options->comm);
    zero->world = rg_comm_world(options->comm);
    zero->local = options->shards > zero->world ? options->shards / zero->world : 1;
    zero->passes = calloc(params->n_views + 1, sizeof *zero->passes);
    zero->unfolded = calloc(params->n_views + 1, sizeof *zero->unfolded);
    if (!zero->passes || !zero->unfolded) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    RG_TRY(rg_zero_take_memory(zero, copy_gradients(params, NULL, NULL), err));
    RG_TRY(rg_zero_make_buckets(zero, options, err));
    rg_zero_forget_gradients(params);
    return RG_OK;
}
