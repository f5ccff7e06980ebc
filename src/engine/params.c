/*
 * Parameters: declaring them and looking at them (params.h).
 *
 * One idea: declaring fills lists of entries and views; nothing has memory before rg_params_finish
 * (params_layout.c). The first faulty declaration is kept and told there.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/zero.h"
#include "engine/params_private.h"

rg_params *rg_params_create(rg_error *err)
{
    rg_params *params = calloc(1, sizeof *params);
    if (!params) rg_fail(err, RG_ERR_NOMEM, "rg_params_create: out of memory");
    return params;
}

void rg_params_destroy(rg_params *params)
{
    if (!params) return;
    for (size_t i = 0; i < params->n_entries; i++) free(params->entries[i]);
    for (size_t i = 0; i < params->n_views; i++) free(params->views[i]);
    free(params->entries);
    free(params->views);
    free(params->trainable);
    rg_zero_detach(params);
    rg_gpu_letter_destroy(params->outcome);
    rg_arena_destroy(params->device_arena);
    if (params->gpu) rg_gpu_free(params->gpu, params->device_memory);
    rg_arena_destroy(params->arena);
    free(params);
}

/* ---- declarations ---- */

/* Room for one more pointer; grows by doubling at powers of two. */
static void *grown(rg_params *params, void *list, size_t n)
{
    if (n && (n & (n - 1))) return list;
    void *more = realloc(list, (n ? 2 * n : 1) * sizeof(void *));
    if (!more) rg_fail(&params->error, RG_ERR_NOMEM, "parameters: out of memory");
    return more;
}

static rg_param *add_entry(rg_params *params, const char *name, const char *suffix, rg_shape shape,
                           rg_param_kind kind)
{
    if (params->error.code) return NULL;
    assert(!params->finished);
    entry *e = calloc(1, sizeof *e);
    entry **list = grown(params, params->entries, params->n_entries);
    if (list) params->entries = list;
    if (!e || !list) {
        free(e);
        rg_fail(&params->error, RG_ERR_NOMEM, "parameter %s: out of memory", name);
        return NULL;
    }
    params->entries[params->n_entries++] = e;
    e->param = (rg_param){.shape = shape, .kind = kind, .dtype = RG_F32};
    e->param.decay = shape.ndim > 1 && kind != RG_PARAM_NORM_G;
    int n = snprintf(e->param.name, sizeof e->param.name, "%s%s", name, suffix);
    if (n < 0 || (size_t)n >= sizeof e->param.name) {
        rg_fail(&params->error, RG_ERR_MISMATCH, "parameter name %s... is longer than %d bytes",
                e->param.name, RG_NAME_SIZE - 1);
        return NULL;
    }
    return &e->param;
}

/* The entry that holds a parameter; the parameter is its first member. */
static entry *entry_of(rg_param *param)
{
    return (entry *)param;
}

static view *add_view(rg_params *params, rg_shape shape)
{
    if (params->error.code) return NULL;
    view *v = calloc(1, sizeof *v);
    view **list = grown(params, params->views, params->n_views);
    if (list) params->views = list;
    if (!v || !list) {
        free(v);
        rg_fail(&params->error, RG_ERR_NOMEM, "parameters: out of memory");
        return NULL;
    }
    params->views[params->n_views++] = v;
    v->tensor = (rg_tensor){.shape = shape, .flags = RG_TENSOR_PARAM, .id = -1};
    return v;
}

rg_tensor *rg_params_add(rg_params *params, const char *name, rg_shape shape, rg_init init)
{
    rg_param *param = add_entry(params, name, "", shape, RG_PARAM_PLAIN);
    view *v = add_view(params, shape);
    if (!param || !v) return NULL;
    entry_of(param)->init = init;
    v->plain = param;
    return param->tensor = &v->tensor;
}

rg_tensor *rg_params_add_normed(rg_params *params, const char *name, rg_shape shape, int32_t axis,
                                rg_init init)
{
    assert(axis >= 0 && axis < shape.ndim);
    rg_param *g = add_entry(params, name, "_g", RG_SHAPE(shape.dim[axis]), RG_PARAM_NORM_G);
    rg_param *v = add_entry(params, name, "_v", shape, RG_PARAM_NORM_V);
    view *w = add_view(params, shape);
    if (!g || !v || !w) return NULL;
    entry_of(v)->init = init;
    entry_of(g)->v = v;
    entry_of(g)->axis = axis;
    w->g = g;
    w->v = v;
    w->axis = axis;
    return v->tensor = &w->tensor;
}

rg_tensor *rg_params_add_state(rg_params *params, const char *name, rg_dtype type, rg_shape shape)
{
    rg_param *param = add_entry(params, name, "", shape, RG_PARAM_STATE);
    if (!param) return NULL;
    entry *e = entry_of(param);
    param->dtype = type;
    param->decay = false;
    e->state = (rg_tensor){.shape = shape, .dtype = type, .flags = RG_TENSOR_STATE, .id = -1};
    return param->tensor = &e->state;
}

void rg_params_use_as_matrix(rg_params *params, rg_tensor *tensor)
{
    if (!tensor) return; /* an earlier declaration failed; finish says so */
    for (size_t i = params->n_views; i-- > 0;) {
        if (&params->views[i]->tensor != tensor) continue;
        params->views[i]->matrix = true;
        return;
    }
    assert(!"rg_params_use_as_matrix: not a parameter of this set");
}

void rg_params_set_companion(rg_params *params, rg_params *companion)
{
    params->companion = companion;
}

rg_params *rg_params_companion(const rg_params *params)
{
    return params->companion;
}

/* ---- looking at them ---- */

size_t rg_params_count(const rg_params *params)
{
    return params->n_entries;
}

const rg_param *rg_params_at(const rg_params *params, size_t i)
{
    return i < params->n_entries ? &params->entries[i]->param : NULL;
}

const rg_param *rg_params_find(const rg_params *params, const char *name)
{
    for (size_t i = 0; i < params->n_entries; i++)
        if (!strcmp(params->entries[i]->param.name, name)) return &params->entries[i]->param;
    return NULL;
}

int64_t rg_params_bytes(const rg_params *params)
{
    return params->arena ? (int64_t)rg_arena_used(params->arena) : 0;
}

int64_t rg_params_elements(const rg_params *params)
{
    return params->elements;
}

rg_tensor *const *rg_params_trainable(const rg_params *params, int32_t *n)
{
    *n = params->on.gradients ? (int32_t)params->n_views : 0;
    return params->trainable;
}

float *rg_params_values(rg_params *params)
{
    return params->host.values;
}

float *rg_params_gradients(rg_params *params)
{
    return params->host.gradients;
}

float *rg_params_moment1(rg_params *params)
{
    return params->host.moment1;
}

float *rg_params_moment2(rg_params *params)
{
    return params->host.moment2;
}

float *rg_params_ema(rg_params *params)
{
    return params->host.ema;
}

const uint8_t *rg_params_decay(const rg_params *params)
{
    return params->host.decay;
}

void *rg_param_data(rg_params *params, const rg_param *param)
{
    if (param->kind == RG_PARAM_STATE) return params->host.states + param->offset;
    return params->host.values + param->offset;
}

const char *rg_params_name_of(const rg_params *params, int64_t i)
{
    for (size_t k = 0; k < params->n_entries; k++) {
        const rg_param *p = &params->entries[k]->param;
        if (p->kind == RG_PARAM_STATE || i < p->offset) continue;
        if (i < p->offset + rg_shape_count(p->shape)) return p->name;
    }
    return "";
}
