/*
 * Buckets of gradients, sent as the backward pass completes them (zero.h).
 *
 * One idea: the order of the buckets is fixed when they are made: by the last pass that reaches
 * them, then from the end of the parameters, which the backward pass completes first. A bucket goes
 * when it is whole and all before it have gone, so every process sends them in the same order
 * although their backward passes may differ.
 */
#include <stdlib.h>
#include <string.h>

#include "dist/zero_private.h"

enum { BUCKET_BYTES = 25 << 20 };

int32_t rg_zero_ranges(const rg_params *params, size_t i, int64_t at[2], int64_t n[2])
{
    const view *v = params->views[i];
    const rg_param *parts[2] = {v->plain ? v->plain : v->v, v->g};
    int32_t count = v->plain ? 1 : 2;
    for (int32_t k = 0; k < count; k++) {
        at[k] = parts[k]->offset;
        n[k] = rg_shape_count(parts[k]->shape);
    }
    return count;
}

static bool overlap(const rg_params *params, size_t i, const bucket *b)
{
    int64_t at[2], n[2];
    int32_t count = rg_zero_ranges(params, i, at, n);
    for (int32_t k = 0; k < count; k++)
        if (n[k] && at[k] < b->at + b->n && b->at < at[k] + n[k]) return true;
    return false;
}

static const char *name_of(const rg_params *params, size_t i)
{
    const view *v = params->views[i];
    return (v->plain ? v->plain : v->v)->name;
}

static void look_at_views(rg_zero *zero, const rg_zero_options *o, bucket *b)
{
    const rg_params *params = zero->params;
    for (size_t i = 0; i < params->n_views; i++) {
        zero->passes[i] = o->last_pass ? o->last_pass(o->ctx, name_of(params, i)) : 0;
        if (!overlap(params, i, b)) continue;
        b->views++;
        if (zero->passes[i] > b->last_pass) b->last_pass = zero->passes[i];
    }
}

static int compare(const void *a, const void *b)
{
    const bucket *x = a, *y = b;
    if (x->last_pass != y->last_pass) return x->last_pass < y->last_pass ? -1 : 1;
    return x->at > y->at ? -1 : x->at < y->at;
}

/* Places of the sorted buckets from low to high. */
static void set_ascending(rg_zero *zero)
{
    for (int32_t i = 0; i < zero->n_buckets; i++) {
        int32_t below = 0;
        for (int32_t k = 0; k < zero->n_buckets; k++)
            below += zero->buckets[k].at < zero->buckets[i].at;
        zero->ascending[below] = i;
    }
}

rg_status rg_zero_make_buckets(rg_zero *zero, const rg_zero_options *options, rg_error *err)
{
    int64_t whole = (int64_t)zero->world * RG_ZERO_UNIT, all = zero->params->padded;
    int64_t bytes = options->bucket_bytes ? options->bucket_bytes : BUCKET_BYTES;
    int64_t most = (bytes / 4 + whole) / whole * whole;
    if (all % whole)
        return rg_fail(err, RG_ERR_USAGE, "%lld numbers are not dealt evenly to %d processes",
                       (long long)all, (int)zero->world);
    zero->n_buckets = (int32_t)((all + most - 1) / most);
    zero->buckets = calloc((size_t)zero->n_buckets + 1, sizeof *zero->buckets);
    zero->ascending = calloc((size_t)zero->n_buckets + 1, sizeof *zero->ascending);
    if (!zero->buckets || !zero->ascending)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for buckets of gradients");
    int64_t end = all;
    for (int32_t b = 0; b < zero->n_buckets; b++) {
        int64_t at = end > most ? end - most : 0;
        zero->buckets[b] = (bucket){.at = at, .n = end - at};
        look_at_views(zero, options, &zero->buckets[b]);
        end = at;
    }
    qsort(zero->buckets, (size_t)zero->n_buckets, sizeof *zero->buckets, compare);
    set_ascending(zero);
    return RG_OK;
}

void rg_zero_begin(rg_zero *zero)
{
    zero->next = 0;
    zero->pass = 0;
    for (int32_t b = 0; b < zero->n_buckets; b++) {
        zero->buckets[b].waits = zero->buckets[b].views;
        zero->buckets[b].sent = false;
    }
    memset(zero->unfolded, 0, zero->params->n_views * sizeof *zero->unfolded);
}

rg_status rg_zero_send(rg_zero *zero, rg_exec *ex, bool whole_only, rg_error *err)
{
    float *g = zero->params->on.gradients;
    for (size_t i = 0; i < zero->params->n_views && !whole_only; i++) {
        if (!zero->unfolded[i]) RG_TRY(rg_params_unfold_view(zero->params, ex, i));
        zero->unfolded[i] = true;
    }
    for (; zero->next < zero->n_buckets; zero->next++) {
        bucket *b = &zero->buckets[zero->next];
        int64_t slice = b->n / zero->world;
        if (whole_only && b->waits) return RG_OK;
        RG_TRY(rg_comm_start_reduce_scatter(zero->flats, g + b->at, g + b->at + zero->rank * slice,
                                            slice, &b->request, err));
        b->sent = true;
    }
    return RG_OK;
}

/* ---- while a backward pass runs ---- */

/* A view's gradient is whole. */
static void complete(rg_zero *zero, size_t i)
{
    if (zero->unfolded[i]) return;
    zero->unfolded[i] = true;
    if (rg_params_unfold_view(zero->params, zero->ex, i) != RG_OK) return; /* the exec knows */
    for (int32_t b = 0; b < zero->n_buckets; b++)
        zero->buckets[b].waits -= overlap(zero->params, i, &zero->buckets[b]);
}

static void go_on(rg_zero *zero)
{
    if (zero->failure.code || zero->ex->error.code) return;
    if (rg_zero_send(zero, zero->ex, true, &zero->failure) != RG_OK) return;
    (void)!rg_comm_progress(zero->flats, &zero->failure);
}

static bool own_view(const rg_zero *zero, const rg_tensor *t, size_t *i)
{
    if (!zero->params->n_views || !t) return false;
    int64_t first = zero->params->trainable[0]->id;
    *i = (size_t)(t->id - first);
    return t->id >= first && *i < zero->params->n_views && zero->params->trainable[*i] == t;
}

static void through(void *ctx, const rg_tensor *parameter)
{
    rg_zero *zero = ctx;
    size_t i;
    if (!own_view(zero, parameter, &i) || zero->passes[i] > zero->pass) return;
    complete(zero, i);
    go_on(zero);
}

static void end_pass(void *ctx, rg_tensor *const *wrt, int32_t n_wrt)
{
    rg_zero *zero = ctx;
    size_t i;
    if (!n_wrt || !own_view(zero, wrt[0], &i)) return; /* a pass of something else */
    for (i = 0; i < zero->params->n_views; i++)
        if (zero->passes[i] <= zero->pass) complete(zero, i);
    zero->pass++;
    go_on(zero);
}

void rg_zero_last(rg_params *params, rg_exec *ex, bool last)
{
    rg_zero *zero = params->zero;
    if (!zero || zero->local > 1) return;
    zero->ex = last ? ex : NULL;
    zero->listener = (rg_backward_listener){through, end_pass, zero};
    ex->listener = last ? &zero->listener : NULL;
}
