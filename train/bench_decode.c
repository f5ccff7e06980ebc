/*
 * Step-wise decoding: 100 steps of a transformer decoder with caches, four codebooks, two rows
 * (guidance), and what they hear of an encoder: our base size, and the shape of MusicGen small
 * (Copet et al. 2306.05284, section 3.1).
 *
 * One idea: the layers are those that the track models decode with (nn/attention.h, nn/linear.h);
 * the largest logit is chosen, as the peer does. A row per precision of the weights. Not here: the
 * tracks' other listeners.
 */
#include <stdio.h>

#include "base/rng.h"
#include "models/bundle.h"
#include "nn/attention.h"
#include "nn/linear.h"
#include "train/bench_internal.h"

enum { ROWS = 2, BOOKS = 4, ENTRIES = 2048, STEPS = 100, MAX_LAYERS = 24 };

typedef struct decoder_shape {
    const char *name;
    int32_t layers, heads, width, context;
} decoder_shape;

static const decoder_shape shapes[] = {
    {"decode-base", 6, 8, 512, 256},
    {"decode-small", 24, 16, 1024, 16},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct decoder_layer {
    rg_norm norm_self, norm_listen, norm_feed;
    rg_self_attention self;
    rg_tensor *cross_q, *cross_kv, *cross_out;
    rg_feed feed;
    rg_kv_cache cache;  /* (ROWS,STEPS,2C) */
    rg_tensor *context; /* keys and values of the encoder (ROWS,context,2C) */
} decoder_layer;

typedef struct decoder {
    rg_exec *ex;
    const decoder_shape *shape;
    rg_tensor *table, *head[BOOKS];
    rg_norm last;
    decoder_layer layer[MAX_LAYERS];
    uint64_t step;
} decoder;

static void declare(decoder *d, rg_params *params)
{
    const decoder_shape *s = d->shape;
    d->table = rg_table_declare(params, BOOKS, ENTRIES, s->width, 0.02, "table");
    for (int32_t i = 0; i < s->layers; i++) {
        decoder_layer *l = &d->layer[i];
        l->norm_self = rg_norm_declare(params, s->width, "%d.norm_self", i);
        l->self = rg_self_attention_declare(params, s->width, s->heads, 0, 1, "%d.self", i);
        l->norm_listen = rg_norm_declare(params, s->width, "%d.norm_listen", i);
        l->cross_q = rg_weight_declare(params, s->width, s->width, 1, "%d.cross.q", i);
        l->cross_kv = rg_weight_declare(params, s->width, 2 * s->width, 1, "%d.cross.kv", i);
        l->cross_out = rg_weight_declare(params, s->width, s->width, 1, "%d.cross.out", i);
        l->norm_feed = rg_norm_declare(params, s->width, "%d.norm_feed", i);
        l->feed = rg_feed_declare(params, s->width, 1, "%d.feed", i);
    }
    d->last = rg_norm_declare(params, s->width, "last");
    for (int32_t q = 0; q < BOOKS; q++)
        d->head[q] = rg_weight_declare(params, s->width, ENTRIES, 1, "head.%d", q);
}

/* A tensor (ROWS,n,cols) that outlives the steps, filled with normal numbers of this deviation. */
static rg_tensor *lasting(rg_bench *b, int64_t n, int64_t cols, float deviation)
{
    rg_tensor *t = rg_arena_zalloc(b->data, sizeof *t);
    float *data = rg_arena_zalloc(b->data, (size_t)(ROWS * n * cols) * sizeof *data);
    rg_rng rng = rg_rng_make(1, (uint64_t)n);
    if (!t || !data) return NULL;
    if (deviation > 0) rg_rng_fill_normal(&rng, data, ROWS * n * cols, 0, deviation);
    *t = (rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(ROWS, n, cols), .data = data};
    return t;
}

static rg_status make_memory(rg_bench *b, decoder *d)
{
    const decoder_shape *s = d->shape;
    for (int32_t i = 0; i < s->layers; i++) {
        decoder_layer *l = &d->layer[i];
        l->cache = (rg_kv_cache){lasting(b, STEPS, 2 * s->width, 0), STEPS};
        l->context = lasting(b, s->context, 2 * s->width, 1);
        if (!l->cache.kv || !l->context)
            return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for caches");
    }
    return RG_OK;
}

static rg_tensor *run_step(decoder *d, const int32_t codes[ROWS * BOOKS], int32_t step)
{
    rg_exec *ex = d->ex;
    const decoder_shape *s = d->shape;
    const rg_attention_attr listen = {
        .heads = s->heads, .channels = s->width, .v_column = s->width, .window = -1};
    rg_tensor *in = rg_tensor_from_ints(ex, RG_SHAPE(ROWS, 1, BOOKS), codes), *add = NULL;
    rg_tensor *x = rg_embedding(ex, in, d->table);
    for (int32_t i = 0; i < s->layers; i++) {
        decoder_layer *l = &d->layer[i];
        rg_tensor *h = rg_norm_add(ex, &l->norm_self, &x, add);
        add = rg_attend_cached(ex, &l->self, h, &l->cache, step);
        h = rg_norm_add(ex, &l->norm_listen, &x, add);
        rg_tensor *q = rg_linear(ex, h, l->cross_q, NULL, RG_ACT_NONE);
        q = rg_attention(ex, q, l->context, NULL, NULL, NULL, &listen);
        add = rg_linear(ex, q, l->cross_out, NULL, RG_ACT_NONE);
        h = rg_norm_add(ex, &l->norm_feed, &x, add);
        add = rg_feed_run(ex, &l->feed, h);
    }
    return rg_norm_add(ex, &d->last, &x, add);
}

static int32_t largest(const float *logits)
{
    int32_t best = 0;
    for (int32_t v = 1; v < ENTRIES; v++)
        if (logits[v] > logits[best]) best = v;
    return best;
}

static rg_status decode(rg_bench *b, void *args)
{
    (void)b;
    decoder *d = args;
    int32_t codes[ROWS * BOOKS] = {0};
    for (int32_t step = 0; step < STEPS; step++) {
        rg_step_begin(d->ex, d->step++);
        rg_tensor *h = run_step(d, codes, step);
        for (int32_t q = 0; q < BOOKS; q++) {
            rg_tensor *y = rg_linear(d->ex, h, d->head[q], NULL, RG_ACT_NONE);
            RG_TRY(rg_exec_status(d->ex));
            for (int32_t r = 0; r < ROWS; r++)
                codes[r * BOOKS + q] = largest((const float *)y->data + (int64_t)r * ENTRIES);
        }
    }
    return RG_OK;
}

static rg_status time_decoder(rg_bench *b, rg_exec *ex, rg_params *params, const void *what)
{
    decoder *d = rg_arena_zalloc(b->data, sizeof *d);
    if (!d) return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for a decoder");
    d->ex = ex;
    d->shape = what;
    declare(d, params);
    RG_TRY(make_memory(b, d));
    RG_TRY(rg_params_finish(params, ex, 1, false, b->err));
    static const rg_dtype types[] = {RG_F32, RG_BF16, RG_I8};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const rg_bench_work work = {
            .count = STEPS, .counted = "steps", .precision = rg_precision_text(types[i])};
        rg_params_set_packed_type(params, types[i]);
        RG_TRY(rg_params_refresh(params, ex));
        RG_TRY(rg_bench_time(b, "decode", d->shape->name, &work, decode, d));
    }
    return RG_OK;
}

rg_status rg_bench_decode(rg_bench *b)
{
    for (int i = 0; i < SHAPES; i++) {
        RG_TRY(rg_bench_engine(b, time_decoder, &shapes[i]));
        rg_arena_reset(b->data);
    }
    return RG_OK;
}
