/*
 * Parameters: initial values, a function of (seed, name) so that adding one changes no other.
 *
 * One idea: element i comes from block i (or i / 4) of its parameter's stream of random numbers, so
 * pieces are drawn by any number of threads with the same bits. Of a truncated normal the refused
 * draws are skipped: pieces are drawn where they would lie if none were, then moved together.
 */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "engine/params_private.h"

enum { PIECE = 16384, PIECES = 256, WORDS_PER_BLOCK = 4 };

typedef struct drawing {
    rg_init init;
    rg_rng rng; /* at the first draw */
    float *out;
    int64_t n;            /* draws */
    int64_t kept[PIECES]; /* of a truncated normal: values of each piece */
} drawing;

static int64_t draw_truncated(rg_rng rng, float scale, float *out, int64_t n)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = rg_rng_normal(&rng);
        if (fabs(v) <= 3) out[kept++] = scale * (float)v;
    }
    return kept;
}

static void draw_piece(void *ctx, int64_t piece, int32_t thread)
{
    (void)thread;
    drawing *d = ctx;
    const int64_t first = piece * PIECE, n = d->n - first < PIECE ? d->n - first : PIECE;
    float *out = d->out + first;
    const float scale = (float)d->init.scale;
    rg_rng rng = d->rng;
    switch (d->init.kind) {
    case RG_INIT_ZEROS:
        break;
    case RG_INIT_ONES:
        for (int64_t i = 0; i < n; i++) out[i] = 1;
        break;
    case RG_INIT_NORMAL:
        rng.counter += (uint64_t)first;
        rg_rng_fill_normal(&rng, out, n, 0, scale);
        break;
    case RG_INIT_TRUNCATED:
        rng.counter += (uint64_t)first * WORDS_PER_BLOCK;
        d->kept[piece] = draw_truncated(rng, scale, out, n);
        break;
    case RG_INIT_UNIFORM:
        rng.counter += (uint64_t)first;
        rg_rng_fill_uniform(&rng, out, n, -scale, scale);
        break;
    }
}

static int64_t pieces_of(int64_t n)
{
    return (n + PIECE - 1) / PIECE;
}

/* Moves what was kept of each piece together; returns how many values there are. */
static int64_t close_gaps(drawing *d)
{
    int64_t n = 0;
    for (int64_t p = 0; p < pieces_of(d->n); p++) {
        memmove(d->out + n, d->out + p * PIECE, (size_t)d->kept[p] * sizeof *d->out);
        n += d->kept[p];
    }
    return n;
}

/* Draws as many as lack, until none does. */
static void fill_truncated(drawing *d, int64_t n, rg_pool *pool)
{
    while (n > 0) {
        d->n = n < (int64_t)PIECE * PIECES ? n : (int64_t)PIECE * PIECES;
        rg_pool_run(pool, draw_piece, d, pieces_of(d->n));
        d->rng.counter += (uint64_t)d->n * WORDS_PER_BLOCK;
        const int64_t kept = close_gaps(d);
        d->out += kept;
        n -= kept;
    }
}

static void fill(float *out, int64_t n, rg_init init, rg_rng rng, rg_pool *pool)
{
    drawing d = {.init = init, .rng = rng, .out = out, .n = n};
    if (init.kind == RG_INIT_TRUNCATED)
        fill_truncated(&d, n, pool);
    else
        rg_pool_run(pool, draw_piece, &d, pieces_of(n));
}

/* g starts as the norms of v, so that the folded weight starts as v. */
static void fill_norms(const rg_params *params, const entry *g)
{
    rg_weight_norm_args a = rg_weight_norm_sizes(g->v->shape, g->axis);
    const float *v = params->host.values + g->v->offset;
    for (int64_t k = 0; k < a.n; k++) {
        double sum = 0;
        for (int64_t o = 0; o < a.outer; o++)
            for (int64_t i = 0; i < a.inner; i++) {
                double x = v[(o * a.n + k) * a.inner + i];
                sum += x * x;
            }
        params->host.values[g->param.offset + k] = (float)sqrt(sum);
    }
}

void rg_params_initialise(rg_params *params, uint64_t seed, rg_pool *pool)
{
    for (size_t i = 0; i < params->n_entries; i++) {
        const entry *e = params->entries[i];
        if (e->param.kind == RG_PARAM_STATE) continue;
        int64_t n = rg_shape_count(e->param.shape);
        rg_rng rng = rg_rng_make(seed, rg_xxh3(e->param.name, strlen(e->param.name)));
        fill(params->host.values + e->param.offset, n, e->init, rng, pool);
        if (params->host.decay && n)
            memset(params->host.decay + e->param.offset, e->param.decay, (size_t)n);
    }
    for (size_t i = 0; i < params->n_entries; i++)
        if (params->entries[i]->v) fill_norms(params, params->entries[i]);
    if (params->host.ema && params->elements)
        memcpy(params->host.ema, params->host.values, (size_t)params->elements * sizeof(float));
}
