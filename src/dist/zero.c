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
    if (to) memcpy(to, params->host.gradients, at);
    if (from) memcpy(params->host.gradients, from, at);
    for (size_t i = 0; i < params->n_views; i++) {
        const rg_tensor *g = &params->views[i]->gradient;
        size_t bytes = (size_t)rg_shape_count(g->shape) * rg_dtype_size(g->dtype);
        if (rg_view_is_flat(params, params->views[i])) continue;
        if (to) memcpy(to + at, g->data, bytes);
        if (from) memcpy(g->data, from + at, bytes);
        at += (bytes + RG_ALIGN - 1) / RG_ALIGN * RG_ALIGN;
    }
    return at;
}

static void set_zero(rg_params *params)
{
    memset(params->host.gradients, 0, (size_t)params->padded * sizeof(float));
    for (size_t i = 0; i < params->n_views; i++) {
        const rg_tensor *g = &params->views[i]->gradient;
        if (rg_view_is_flat(params, params->views[i])) continue;
        memset(g->data, 0, (size_t)rg_shape_count(g->shape) * rg_dtype_size(g->dtype));
    }
}

void rg_zero_forget_gradients(rg_params *params)
{
    rg_zero *zero = params->zero;
    if (!zero) return;
    zero->current = 0;
    memset(zero->seen, 0, sizeof zero->seen);
    zero->seen[0] = true;
    memset(params->host.gradients + params->elements, 0,
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
        memcpy(zero->kept[j], zero->params->host.gradients,
               (size_t)zero->params->padded * sizeof(float));
        zero->parts[j] = (const float *)(void *)zero->kept[j];
    }
    rg_tree_add(zero->parts, zero->local, zero->params->host.gradients, zero->params->padded);
    for (size_t i = 0; i < zero->params->n_views; i++) zero->unfolded[i] = true;
    return RG_OK;
}

/* ---- the update ---- */

/* The sum of squares, unit by unit from the first to the last, whoever has them. */
static rg_status sum_squares(rg_zero *zero, rg_exec *ex, double *sum, rg_error *err)
{
    int64_t units = zero->params->padded / RG_ZERO_UNIT, own = units / zero->world, k = 0;
    double *mine = zero->squares + zero->rank * own;
    for (int32_t b = 0; b < zero->n_buckets; b++) {
        const bucket *at = &zero->buckets[zero->ascending[b]];
        int64_t slice = at->n / zero->world, first = at->at + zero->rank * slice;
        for (int64_t i = 0; i < slice; i += RG_ZERO_UNIT) {
            bool finite;
            rg_norm_args norm = {.g = zero->params->host.gradients + first + i,
                                 .n = RG_ZERO_UNIT,
                                 .sum_squares = &mine[k++],
                                 .finite = &finite};
            RG_TRY(ex->kernels->norm(&ex->kernel_ctx, &norm));
        }
    }
    RG_TRY(rg_comm_all_gather(zero->comm, mine, zero->squares, (size_t)own * sizeof *mine, err));
    *sum = 0;
    k = 0;
    for (int32_t b = 0; b < zero->n_buckets; b++) {
        int64_t n = zero->buckets[zero->ascending[b]].n / zero->world / RG_ZERO_UNIT;
        for (int32_t r = 0; r < zero->world; r++)
            for (int64_t i = 0; i < n; i++) *sum += zero->squares[r * own + k + i];
        k += n;
    }
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
        RG_TRY(rg_comm_start_all_gather(zero->comm, args->w + own, args->w + at->at,
                                        (size_t)slice * sizeof(float), &at->request, err));
    }
    for (int32_t b = 0; b < zero->n_buckets; b++)
        RG_TRY(rg_comm_wait(zero->comm, &zero->buckets[b].request, err));
    return rg_params_refresh(zero->params, ex);
}

/* All processes name the first gradient of all that is not finite. */
static rg_status skip(rg_zero *zero, const rg_adamw_args *args, rg_exec *ex, rg_error *err)
{
    for (int32_t b = 0; b < zero->n_buckets; b++) {
        const bucket *at = &zero->buckets[b];
        int64_t slice = at->n / zero->world;
        RG_TRY(update_slice(ex, args, at->at + zero->rank * slice, slice));
    }
    double first = -(double)args->now->nonfinite;
    RG_TRY(rg_comm_allreduce(zero->comm, RG_COMM_MAX_F64, &first, 1, err));
    args->now->nonfinite = (int64_t)-first;
    return RG_OK;
}

static rg_status step(rg_zero *zero, const rg_adamw *o, const rg_scaler *scaler, rg_exec *ex,
                      rg_error *err)
{
    double sum;
    if (zero->failure.code) return rg_fail(err, zero->failure.code, "%s", zero->failure.text);
    RG_TRY(add_shards(zero, ex));
    RG_TRY(rg_zero_send(zero, ex, false, err));
    for (int32_t b = 0; b < zero->n_buckets; b++)
        RG_TRY(rg_comm_wait(zero->comm, &zero->buckets[b].request, err));
    RG_TRY(sum_squares(zero, ex, &sum, err));
    RG_TRY(rg_adamw_decides(o, scaler, zero->params, ex, &sum));
    const rg_adamw_args args = rg_adamw_args_of(o, zero->params);
    return args.now->skip ? skip(zero, &args, ex, err) : apply(zero, &args, ex, err);
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
        int64_t slice = at->n / zero->world;
        RG_TRY(rg_comm_gather(zero->comm, flat + at->at + zero->rank * slice, flat + at->at,
                              (size_t)slice * sizeof *flat, 0, err));
    }
    return RG_OK;
}

rg_status rg_zero_gather(rg_params *params, rg_error *err)
{
    for (; params; params = rg_params_companion(params)) {
        if (!params->zero) continue;
        RG_TRY(gather_flat(params->zero, params->host.moment1, err));
        RG_TRY(gather_flat(params->zero, params->host.moment2, err));
        RG_TRY(gather_flat(params->zero, params->host.ema, err));
    }
    return RG_OK;
}

rg_status rg_zero_share_averages(rg_params *params, rg_error *err)
{
    const rg_zero *zero = params->zero;
    float *ema = params->host.ema;
    for (int32_t b = 0; zero && ema && b < zero->n_buckets; b++) {
        const bucket *at = &zero->buckets[b];
        int64_t slice = at->n / zero->world;
        RG_TRY(rg_comm_all_gather(zero->comm, ema + at->at + zero->rank * slice, ema + at->at,
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

rg_status rg_zero_check_same(rg_params *params, rg_error *err)
{
    rg_comm *comm = params->zero ? params->zero->comm : NULL;
    uint64_t hash[2] = {0}, *all = calloc((size_t)rg_comm_world(comm), sizeof hash);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    for (const rg_params *p = params; p; p = rg_params_companion(p)) {
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

static rg_status make_shards(rg_zero *zero, rg_error *err)
{
    if (zero->local == 1) return RG_OK;
    size_t bytes = copy_gradients(zero->params, NULL, NULL);
    zero->memory = rg_arena_create((bytes + RG_ALIGN) * (size_t)zero->local, "shards", err);
    if (!zero->memory) return RG_ERR_NOMEM;
    for (int32_t j = 0; j < zero->local; j++) zero->kept[j] = rg_arena_alloc(zero->memory, bytes);
    return zero->kept[zero->local - 1] ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for shards");
}

void rg_zero_detach(rg_params *params)
{
    rg_zero *zero = params->zero;
    if (!zero) return;
    free(zero->buckets);
    free(zero->ascending);
    free(zero->passes);
    free(zero->unfolded);
    free(zero->squares);
    free(zero->parts);
    rg_arena_destroy(zero->memory);
    free(zero);
    params->zero = NULL;
}

rg_status rg_zero_attach(rg_params *params, const rg_zero_options *options, rg_error *err)
{
    rg_zero *zero = params->zero = calloc(1, sizeof *zero);
    if (!zero) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    zero->comm = options->comm;
    zero->params = params;
    zero->rank = rg_comm_rank(options->comm);
    zero->world = rg_comm_world(options->comm);
    zero->local = options->shards > zero->world ? options->shards / zero->world : 1;
    zero->passes = calloc(params->n_views + 1, sizeof *zero->passes);
    zero->unfolded = calloc(params->n_views + 1, sizeof *zero->unfolded);
    zero->squares = calloc((size_t)(params->padded / RG_ZERO_UNIT) + 1, sizeof *zero->squares);
    zero->parts = calloc((size_t)zero->local, sizeof *zero->parts);
    if (!zero->passes || !zero->unfolded || !zero->squares || !zero->parts)
        return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    RG_TRY(make_shards(zero, err));
    RG_TRY(rg_zero_make_buckets(zero, options, err));
    rg_zero_forget_gradients(params);
    return RG_OK;
}
