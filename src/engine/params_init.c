/*
 * Parameters: initial values, a function of (seed, name) so that adding one changes no other.
 */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "engine/params_private.h"

static float truncated_normal(rg_rng *rng)
{
    for (;;) {
        double v = rg_rng_normal(rng);
        if (fabs(v) <= 3) return (float)v;
    }
}

static void fill(float *out, int64_t n, rg_init init, rg_rng *rng)
{
    switch (init.kind) {
    case RG_INIT_ZEROS:
        break;
    case RG_INIT_ONES:
        for (int64_t i = 0; i < n; i++) out[i] = 1;
        break;
    case RG_INIT_NORMAL:
        rg_rng_fill_normal(rng, out, n, 0, (float)init.scale);
        break;
    case RG_INIT_TRUNCATED:
        for (int64_t i = 0; i < n; i++) out[i] = (float)init.scale * truncated_normal(rng);
        break;
    case RG_INIT_UNIFORM:
        rg_rng_fill_uniform(rng, out, n, (float)-init.scale, (float)init.scale);
        break;
    }
}

/* g starts as the norms of v, so that the folded weight starts as v. */
static void fill_norms(const rg_params *params, const entry *g)
{
    rg_weight_norm_args a = rg_weight_norm_sizes(g->v->shape, g->axis);
    const float *v = params->values + g->v->offset;
    for (int64_t k = 0; k < a.n; k++) {
        double sum = 0;
        for (int64_t o = 0; o < a.outer; o++)
            for (int64_t i = 0; i < a.inner; i++) {
                double x = v[(o * a.n + k) * a.inner + i];
                sum += x * x;
            }
        params->values[g->param.offset + k] = (float)sqrt(sum);
    }
}

void rg_params_initialise(rg_params *params, uint64_t seed)
{
    for (size_t i = 0; i < params->n_entries; i++) {
        const entry *e = params->entries[i];
        if (e->param.kind == RG_PARAM_STATE) continue;
        int64_t n = rg_shape_count(e->param.shape);
        rg_rng rng = rg_rng_make(seed, rg_xxh3(e->param.name, strlen(e->param.name)));
        fill(params->values + e->param.offset, n, e->init, &rng);
        if (params->decay && n) memset(params->decay + e->param.offset, e->param.decay, (size_t)n);
    }
    for (size_t i = 0; i < params->n_entries; i++)
        if (params->entries[i]->v) fill_norms(params, params->entries[i]);
    if (params->ema && params->elements)
        memcpy(params->ema, params->values, (size_t)params->elements * sizeof(float));
}
