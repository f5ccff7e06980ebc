/*
 * Learning the codebooks of a residual vector quantizer (rvq.h).
 *
 * One idea: the layers are independent once codes and residuals are known, so each is one block of
 * the pool; inside a layer everything runs in one order.
 */
#include "nn/rvq.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/kmeans.h"

enum { KMEANS_ROUNDS = 50 };
enum { STREAM_START = 0x6b6d, STREAM_REVIVE = 0x7265 }; /* which random numbers */

rg_quantizer *rg_quantizer_declare(rg_params *params, const char *prefix, int32_t n_books,
                                   int32_t entries, int32_t dim)
{
    rg_quantizer *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    struct {
        const char *name;
        rg_tensor **out;
        rg_dtype type;
        rg_shape shape;
    } states[] = {
        {"books", &q->books, RG_F32, RG_SHAPE(n_books, entries, dim)},
        {"sums", &q->sums, RG_F32, RG_SHAPE(n_books, entries, dim)},
        {"cluster_size", &q->cluster_size, RG_F32, RG_SHAPE(n_books, entries)},
        {"started", &q->started, RG_I32, RG_SHAPE(n_books)},
    };
    q->n_books = n_books;
    q->entries = entries;
    q->dim = dim;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        char name[RG_NAME_SIZE];
        snprintf(name, sizeof name, "%s%s", prefix, states[i].name);
        *states[i].out = rg_params_add_state(params, name, states[i].type, states[i].shape);
    }
    return q;
}

void rg_quantizer_destroy(rg_quantizer *q)
{
    free(q);
}

bool rg_quantizer_started(const rg_quantizer *q)
{
    const int32_t *started = q->started->host;
    for (int32_t k = 0; k < q->n_books; k++) {
        if (!started[k]) return false;
    }
    return true;
}

/* Only kernels read the books; the others go along so that no copy is ever stale. */
static rg_status send_states(const rg_quantizer *q, rg_exec *ex)
{
    rg_tensor *const all[] = {q->books, q->sums, q->cluster_size, q->started};
    for (size_t i = 0; ex->gpu && i < sizeof all / sizeof *all; i++)
        RG_TRY(rg_tensor_put(ex, all[i], all[i]->host));
    return RG_OK;
}

/* Layer k from its inputs r (n,dim), which become the inputs of layer k+1. */
static rg_status start_layer(rg_quantizer *q, rg_exec *ex, int32_t k, float *r, int64_t n,
                             int32_t *codes, uint64_t seed)
{
    int64_t size = (int64_t)q->entries * q->dim;
    float *book = (float *)q->books->host + k * size;
    float *sums = (float *)q->sums->host + k * size;
    float *counts = (float *)q->cluster_size->host + (int64_t)k * q->entries;
    rg_rng rng = rg_rng_make(seed, rg_rng_stream(STREAM_START, (uint64_t)k, 0));
    RG_TRY(rg_kmeans(ex, r, n, q->dim, q->entries, KMEANS_ROUNDS, rng, book, counts, codes));
    for (int64_t i = 0; i < size; i++) sums[i] = book[i] * counts[i / q->dim];
    for (int64_t i = 0; i < n; i++) {
        const float *entry = book + (int64_t)codes[i] * q->dim;
        for (int32_t d = 0; d < q->dim; d++) r[i * q->dim + d] -= entry[d];
    }
    ((int32_t *)q->started->host)[k] = 1;
    return RG_OK;
}

rg_status rg_quantizer_start(rg_quantizer *q, rg_exec *ex, const float *vectors, int64_t n,
                             double per_step, uint64_t seed)
{
    assert(n > 0 && per_step > 0);
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    size_t bytes = (size_t)n * (size_t)q->dim * sizeof(float);
    float *r = rg_arena_alloc(ex->scratch, bytes);
    int32_t *codes = rg_arena_alloc(ex->scratch, (size_t)n * sizeof *codes);
    if (!r || !codes)
        return rg_exec_fail(ex, RG_ERR_NOMEM, "quantizer: no memory for %lld vectors",
                            (long long)n);
    rg_status status = RG_OK;
    memcpy(r, vectors, bytes);
    for (int32_t k = 0; k < q->n_books && status == RG_OK; k++) {
        status = start_layer(q, ex, k, r, n, codes, seed);
    }
    rg_arena_restore(ex->scratch, mark);
    if (status != RG_OK) return status;
    /* The running sums are those of one step, not of the whole pool. */
    float scale = (float)(per_step / (double)n);
    int64_t entries = (int64_t)q->n_books * q->entries;
    for (int64_t i = 0; i < entries; i++) ((float *)q->cluster_size->host)[i] *= scale;
    for (int64_t i = 0; i < entries * q->dim; i++) ((float *)q->sums->host)[i] *= scale;
    return send_states(q, ex);
}

void rg_quantizer_go_on(rg_quantizer *q, double per_step)
{
    for (int64_t k = 0; k < q->n_books; k++) {
        float *sizes = (float *)q->cluster_size->host + k * q->entries;
        float *sums = (float *)q->sums->host + k * q->entries * q->dim;
        const float *book = (const float *)q->books->host + k * q->entries * q->dim;
        int64_t numbers = (int64_t)q->entries * q->dim;
        double total = 0;
        for (int32_t v = 0; v < q->entries; v++) total += (double)sizes[v];
        if (!(total > 0)) {
            total = q->entries;
            for (int32_t v = 0; v < q->entries; v++) sizes[v] = 1;
            memcpy(sums, book, (size_t)numbers * sizeof *sums);
        }
        float scale = (float)(per_step / total);
        for (int32_t v = 0; v < q->entries; v++) sizes[v] *= scale;
        for (int64_t i = 0; i < numbers; i++) sums[i] *= scale;
        ((int32_t *)q->started->host)[k] = 1;
    }
}

/* What one layer learns from in one step. */
typedef struct lesson {
    rg_quantizer *q;
    const int32_t *codes;   /* (M,K) */
    const float *residuals; /* (n_q,M,D) */
    int64_t m;
    const rg_quantizer_update *update;
    int64_t *revived; /* (n_q) */
} lesson;

/* Moving averages of how many vectors chose an entry, and of their sum. */
static void average(const lesson *s, int32_t k, float *sums, float *sizes)
{
    const rg_quantizer *q = s->q;
    const float *r = s->residuals + k * s->m * q->dim;
    float keep = (float)s->update->decay, take = (float)(1 - s->update->decay);
    for (int32_t v = 0; v < q->entries; v++) sizes[v] *= keep;
    for (int64_t i = 0; i < (int64_t)q->entries * q->dim; i++) sums[i] *= keep;
    for (int64_t i = 0; i < s->m; i++) {
        int32_t code = s->codes[i * q->n_books + k];
        if (code < 0) continue;
        float *sum = sums + (int64_t)code * q->dim;
        sizes[code] += take;
        for (int32_t d = 0; d < q->dim; d++) sum[d] += take * r[i * q->dim + d];
    }
}

/* Entries = sums / smoothed sizes (Laplace). */
static void smooth(const lesson *s, const float *sums, const float *sizes, float *book)
{
    const rg_quantizer *q = s->q;
    double total = 0, eps = s->update->epsilon;
    for (int32_t v = 0; v < q->entries; v++) total += (double)sizes[v];
    if (!(total > 0)) return;
    for (int32_t v = 0; v < q->entries; v++) {
        double smoothed = ((double)sizes[v] + eps) / (total + q->entries * eps) * total;
        float scale = (float)(1 / smoothed);
        const float *sum = sums + (int64_t)v * q->dim;
        for (int32_t d = 0; d < q->dim; d++) book[(int64_t)v * q->dim + d] = sum[d] * scale;
    }
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/*
 * Dead entries become vectors of the batch, each vector at most once: i, i + stride, i + 2 stride
 * ... with a stride prime to m visits them all. The sums are reset too, or the next smoothing would
 * undo it.
 */
static int64_t revive(const lesson *s, int32_t k, float *sums, float *sizes, float *book)
{
    const rg_quantizer *q = s->q;
    const float *r = s->residuals + k * s->m * q->dim;
    double fair = (double)s->m / q->entries;
    rg_rng rng =
        rg_rng_make(s->update->seed, rg_rng_stream(STREAM_REVIVE, (uint64_t)k, s->update->step));
    int64_t at = (int64_t)rg_rng_below(&rng, (uint64_t)s->m), stride = 1, count = 0;
    do {
        stride = 1 + (int64_t)rg_rng_below(&rng, (uint64_t)s->m);
    } while (common_divisor(stride, s->m) != 1);
    for (int32_t v = 0; v < q->entries && count < s->m; v++) {
        if (!((double)sizes[v] < s->update->dead_threshold * fair)) continue;
        for (int32_t d = 0; d < q->dim; d++) {
            float value = r[at * q->dim + d];
            book[(int64_t)v * q->dim + d] = value;
            sums[(int64_t)v * q->dim + d] = value * (float)fair;
        }
        sizes[v] = (float)fair;
        at = (at + stride) % s->m;
        count++;
    }
    return count;
}

static void learn_layer(void *ctx, int64_t layer, int32_t thread)
{
    const lesson *s = ctx;
    const rg_quantizer *q = s->q;
    int32_t k = (int32_t)layer;
    float *book = (float *)q->books->host + (int64_t)k * q->entries * q->dim;
    float *sums = (float *)q->sums->host + (int64_t)k * q->entries * q->dim;
    float *sizes = (float *)q->cluster_size->host + (int64_t)k * q->entries;
    (void)thread;
    average(s, k, sums, sizes);
    smooth(s, sums, sizes, book);
    s->revived[k] = revive(s, k, sums, sizes, book);
}

rg_status rg_quantizer_learn(rg_quantizer *q, rg_exec *ex, const int32_t *codes,
                             const float *residuals, int64_t m, int32_t n_q,
                             const rg_quantizer_update *update, int64_t *revived)
{
    assert(n_q <= q->n_books && n_q <= RG_MAX_BOOKS);
    int64_t counts[RG_MAX_BOOKS] = {0};
    *revived = 0;
    if (m <= 0) return RG_OK;
    lesson s = {q, codes, residuals, m, update, counts};
    rg_pool_run(ex->kernel_ctx.pool, learn_layer, &s, n_q);
    for (int32_t k = 0; k < n_q; k++) *revived += counts[k];
    return send_states(q, ex);
}

/* Sums from which used entries and perplexity of one codebook follow, without a table. */
typedef struct tally {
    double total, weighted; /* sum of c, sum of c log2 c */
    int64_t used;
} tally;

static void tally_add(tally *t, double count)
{
    if (!(count > 0)) return;
    t->total += count;
    t->weighted += count * log2(count);
    t->used++;
}

static double tally_perplexity(const tally *t)
{
    return t->total > 0 ? exp2(log2(t->total) - t->weighted / t->total) : 0;
}

void rg_codebook_usage(const int64_t *counts, int32_t n_books, int32_t entries, int64_t *used,
                       double *perplexity)
{
    for (int32_t k = 0; k < n_books; k++) {
        tally t = {0};
        for (int32_t v = 0; v < entries; v++) {
            tally_add(&t, (double)counts[(int64_t)k * entries + v]);
        }
        used[k] = t.used;
        perplexity[k] = tally_perplexity(&t);
    }
}

int64_t rg_quantizer_usage(const rg_quantizer *q, int32_t book, double share, double *perplexity)
{
    const float *sizes = (const float *)q->cluster_size->host + (int64_t)book * q->entries;
    tally t = {0};
    int64_t used = 0;
    for (int32_t v = 0; v < q->entries; v++) tally_add(&t, (double)sizes[v]);
    for (int32_t v = 0; v < q->entries; v++) {
        used += (double)sizes[v] > share * t.total / q->entries;
    }
    *perplexity = tally_perplexity(&t);
    return used;
}
