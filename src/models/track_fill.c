/*
 * Step-wise decoding of one span (track_transformer.h).
 *
 * One idea: everything that does not depend on the choices (encoder, its keys and values, Same,
 * beat, near keys) is read once at the beginning and kept; a step adds one row per item.
 */
#include <stdlib.h>
#include <string.h>

#include "models/track_internal.h"

enum { MAX_REQUESTS = 5 + 4 * RG_TRACK_LAYERS };

struct rg_track_fill {
    rg_exec *ex;
    rg_tracks *tracks;
    int32_t role; /* of the span; RG_ANY_ROLE: not begun yet */
    int32_t rows, frames, books, entries;
    int32_t most_books, most_entries; /* of the roles it may get */
    int32_t items, first, last, step; /* span [first,last); next step */
    bool waiting;                     /* logits were given and choices not yet put */
    int32_t *codes;                   /* (rows,T,K) */
    uint8_t *seen, *cells;            /* (rows,T) */
    rg_kv_cache self[RG_TRACK_LAYERS];
    rg_arena *room, *data; /* of headers, and of what they head: the same on the CPU */
    void *device_memory;   /* under `data` on a GPU */
    track_reading kept;    /* persistent room for a reading */
    track_reading reading; /* this fill's view of it, without what it lacks; tensors in `views` */
    rg_tensor views[3 * RG_TRACK_LAYERS + 5];
    int32_t n_views;
    /* of a GPU */
    rg_gpu_letter *logits; /* (K,rows,V), in the kernels' type */
    rg_gpu_graph *graph;   /* of a step; NULL: none */
    bool warm;             /* a step of this role and these items has been made */
};

/* One cache: where its tensor goes, and what it is. */
typedef struct request {
    rg_tensor **slot;
    rg_dtype type;
    rg_shape shape;
} request;

static int32_t list_room(rg_track_fill *f, request out[MAX_REQUESTS])
{
    const rg_track_config *c = &f->tracks->config;
    rg_dtype real = rg_exec_activations(f->ex);
    int64_t d = c->width, prompt = c->n_fields + 1, steps = f->frames + f->most_books - 1;
    int64_t context = prompt + c->n_roles + (int64_t)c->n_roles * (f->frames / c->patch);
    int64_t near = (int64_t)(c->n_roles - 1) * f->frames, rows = f->rows;
    track_reading *kept = &f->kept;
    int32_t n = 0;
    out[n++] = (request){&kept->base, real, RG_SHAPE(rows, steps, d)};
    out[n++] = (request){&kept->context_mask, RG_U8, RG_SHAPE(rows, context)};
    out[n++] = (request){&kept->context_pos, RG_F32, RG_SHAPE(context)};
    out[n++] = (request){&kept->near_mask, RG_U8, RG_SHAPE(rows, near)};
    out[n++] = (request){&kept->near_pos, RG_F32, RG_SHAPE(near)};
    for (int32_t l = 0; l < c->decoder_layers; l++) {
        f->self[l].steps = (int32_t)steps;
        out[n++] = (request){&f->self[l].kv, real, RG_SHAPE(rows, steps, 2 * d)};
        out[n++] = (request){&kept->prompt_kv[l], real, RG_SHAPE(rows, prompt, 2 * d)};
        out[n++] = (request){&kept->context_kv[l], real, RG_SHAPE(rows, context, 2 * d)};
        if (track_near_layer(l))
            out[n++] = (request){&kept->near_kv[l], real, RG_SHAPE(rows, near, 2 * d)};
    }
    return n;
}

static size_t size_of(const request *r)
{
    return (size_t)rg_shape_count(r->shape) * rg_dtype_size(r->type);
}

/* Arenas for `bytes` of headers and data; data zeroed. */
static bool make_arenas(rg_track_fill *f, size_t bytes, rg_error *err)
{
    rg_gpu *gpu = f->ex->gpu;
    f->data = f->room = rg_arena_create(bytes, "fill", err);
    if (!gpu || !f->room) return f->room;
    f->data = NULL;
    f->device_memory = rg_gpu_alloc(gpu, bytes, err);
    if (f->device_memory && rg_gpu_zero(gpu, f->device_memory, bytes, err) == RG_OK)
        f->data = rg_arena_create_over(f->device_memory, bytes, "device fill", err);
    return f->data;
}

static size_t logits_bytes(const rg_track_fill *f)
{
    return (size_t)f->rows * (size_t)f->most_entries * rg_dtype_size(f->ex->kernels->real);
}

static bool make_post(rg_track_fill *f, rg_error *err)
{
    rg_gpu *gpu = f->ex->gpu;
    f->logits = rg_gpu_letter_create(gpu, (size_t)f->most_books * logits_bytes(f), err);
    if (f->logits && f->ex->graphs) f->graph = rg_gpu_graph_create(gpu, err);
    return f->logits && (f->graph || !f->ex->graphs);
}

/* Memory for all of the list: zeroed, or addresses alone for a rehearsal. */
static bool make_room(rg_track_fill *f, bool rehearsed, rg_error *err)
{
    request list[MAX_REQUESTS];
    int32_t n = list_room(f, list);
    size_t bytes = 0, cells = (size_t)f->rows * (size_t)f->frames;
    for (int32_t i = 0; i < n; i++)
        bytes += size_of(&list[i]) + sizeof(rg_tensor) + (size_t)2 * RG_ARENA_DEVICE_ALIGN;
    if (!make_arenas(f, bytes, err)) return false;
    for (int32_t i = 0; i < n; i++) {
        rg_tensor *t = rg_arena_zalloc(f->room, sizeof *t);
        size_t size = size_of(&list[i]);
        *t = (rg_tensor){.shape = list[i].shape,
                         .dtype = list[i].type,
                         .gpu = f->ex->gpu,
                         .flags = RG_TENSOR_STATE,
                         .id = -1,
                         .data = f->ex->gpu || rehearsed ? rg_arena_alloc(f->data, size)
                                                         : rg_arena_zalloc(f->data, size)};
        *list[i].slot = t;
    }
    if (f->ex->gpu && !make_post(f, err)) return false;
    f->codes = malloc(cells * (size_t)f->most_books * sizeof *f->codes);
    f->seen = malloc(cells);
    f->cells = malloc(cells);
    return f->codes && f->seen && f->cells;
}

static rg_track_fill *create(rg_exec *ex, rg_tracks *tracks, int32_t role, int32_t rows,
                             int32_t frames, bool rehearsed, rg_error *err)
{
    const rg_track_config *c = &tracks->config;
    rg_track_fill *f = calloc(1, sizeof *f);
    if (f) {
        *f = (rg_track_fill){
            .ex = ex, .tracks = tracks, .role = RG_ANY_ROLE, .rows = rows, .frames = frames};
        for (int32_t r = 0; r < c->n_roles; r++) {
            const rg_track_role *of = &c->roles[r];
            if (role != RG_ANY_ROLE && role != r) continue;
            if (of->books > f->most_books) f->most_books = of->books;
            if (of->entries > f->most_entries) f->most_entries = of->entries;
        }
        if (make_room(f, rehearsed, err)) return f;
    }
    rg_fail(err, RG_ERR_NOMEM, "no memory for the caches of %d rows of %d frames", rows, frames);
    rg_track_fill_destroy(f);
    return NULL;
}

rg_track_fill *rg_track_fill_create(rg_exec *ex, rg_tracks *tracks, int32_t role, int32_t rows,
                                    int32_t frames, rg_error *err)
{
    const rg_track_config *c = &tracks->config;
    if (role < RG_ANY_ROLE || role >= c->n_roles) {
        rg_fail(err, RG_ERR_MISMATCH, "role %d has no model here", role);
        return NULL;
    }
    if (rows < 1 || frames < c->patch || frames % c->patch) {
        rg_fail(err, RG_ERR_SHAPE,
                "a fill of %d rows and %d frames: rows must be 1 or more, frames a multiple of %d",
                rows, frames, c->patch);
        return NULL;
    }
    return create(ex, tracks, role, rows, frames, false, err);
}

void rg_track_fill_destroy(rg_track_fill *fill)
{
    if (!fill) return;
    rg_gpu_graph_destroy(fill->graph);
    rg_gpu_letter_destroy(fill->logits);
    if (fill->data != fill->room) rg_arena_destroy(fill->data);
    if (fill->ex->gpu) rg_gpu_free(fill->ex->gpu, fill->device_memory);
    rg_arena_destroy(fill->room);
    free(fill->codes);
    free(fill->seen);
    free(fill->cells);
    free(fill);
}

/* Copies a tensor of the step arena into persistent room; a view with the tensor's own shape. */
static rg_tensor *keep(rg_track_fill *f, const rg_tensor *room, const rg_tensor *from)
{
    if (!from) return NULL;
    rg_tensor *view = &f->views[f->n_views++];
    *view = *room;
    view->shape = from->shape;
    if (from->dtype == f->ex->real || from->dtype == rg_exec_activations(f->ex))
        rg_copy_rows(f->ex, from->dtype, view->data, rg_shape_last(from->shape), from->data,
                     rg_shape_last(from->shape), rg_shape_rows(from->shape),
                     rg_shape_last(from->shape));
    else
        rg_tensor_filled(f->ex, view, rg_tensor_read(f->ex, from)); /* masks and positions */
    return view;
}

static void keep_reading(rg_track_fill *f, const track_reading *r)
{
    f->n_views = 0;
    f->reading = (track_reading){.items = r->items, .steps = r->steps};
    f->reading.base = keep(f, f->kept.base, r->base);
    f->reading.context_mask = keep(f, f->kept.context_mask, r->context_mask);
    f->reading.context_pos = keep(f, f->kept.context_pos, r->context_pos);
    f->reading.near_mask = keep(f, f->kept.near_mask, r->near_mask);
    f->reading.near_pos = keep(f, f->kept.near_pos, r->near_pos);
    for (int32_t l = 0; l < f->tracks->config.decoder_layers; l++) {
        f->reading.prompt_kv[l] = keep(f, f->kept.prompt_kv[l], r->prompt_kv[l]);
        f->reading.context_kv[l] = keep(f, f->kept.context_kv[l], r->context_kv[l]);
        f->reading.near_kv[l] = keep(f, f->kept.near_kv[l], r->near_kv[l]);
    }
}

/* Own codes: known ones are read from the start, target cells of the span as they are chosen. */
static void take_codes(rg_track_fill *f, const rg_track_batch *batch)
{
    for (int64_t i = 0; i < (int64_t)batch->items * f->frames; i++) {
        int32_t t = (int32_t)(i % f->frames);
        bool known = batch->state[f->role][i] == RG_CELL_KNOWN;
        f->cells[i] = batch->cells[i] && !known && t >= f->first && t < f->last;
        f->seen[i] = known || f->cells[i];
        for (int64_t q = 0; q < f->books; q++)
            f->codes[i * f->books + q] = known ? batch->codes[f->role][i * f->books + q] : -1;
    }
}

/* Decoder output of steps step .. step+n-1. */
static rg_tensor *run_steps(rg_track_fill *f, int32_t step, int32_t n)
{
    rg_exec *ex = f->ex;
    rg_tensor *base = rg_slice(ex, f->reading.base, 1, step, n);
    rg_tensor *own = track_decoder_tokens(ex, f->tracks, f->role, f->codes, f->seen, f->items,
                                          f->frames, step, n);
    rg_tensor *x = rg_add(ex, base, own, 1, 1);
    return track_decoder_run(ex, f->tracks, f->role, x, &f->reading, f->self, step);
}

static rg_status check_fill(rg_track_fill *f, const rg_track_batch *batch, int32_t a, int32_t b)
{
    const rg_track_role *role = &f->tracks->config.roles[batch->target];
    if (batch->items < 1 || batch->items > f->rows || batch->frames != f->frames ||
        role->books > f->most_books || role->entries > f->most_entries)
        return rg_exec_fail(f->ex, RG_ERR_SHAPE,
                            "a fill made for %d rows of %d frames, %d codebooks of %d entries was "
                            "given %d rows of %d frames, %d of %d",
                            f->rows, f->frames, f->most_books, f->most_entries, batch->items,
                            batch->frames, role->books, role->entries);
    if (a < 0 || a >= b || b > f->frames)
        return rg_exec_fail(f->ex, RG_ERR_SHAPE, "span [%d,%d) does not lie in %d frames", a, b,
                            f->frames);
    return RG_OK;
}

rg_status rg_track_fill_begin(rg_track_fill *fill, const rg_track_batch *batch, int32_t a,
                              int32_t b)
{
    rg_exec *ex = fill->ex;
    RG_TRY(rg_exec_status(ex));
    RG_TRY(check_fill(fill, batch, a, b));
    fill->warm = fill->warm && fill->role == batch->target && fill->items == batch->items;
    fill->role = batch->target;
    fill->books = fill->tracks->config.roles[fill->role].books;
    fill->entries = fill->tracks->config.roles[fill->role].entries;
    fill->items = batch->items;
    fill->first = fill->step = a;
    fill->last = b;
    fill->waiting = false;
    take_codes(fill, batch);
    bool recording = rg_set_recording(ex, false);
    rg_mark mark = rg_tape_mark(ex);
    track_reading reading;
    if (track_reading_make(ex, fill->tracks, batch, &reading) == RG_OK) {
        keep_reading(fill, &reading);
        if (a > 0) run_steps(fill, 0, a);
    }
    rg_tape_rewind(ex, mark);
    rg_set_recording(ex, recording);
    return rg_exec_status(ex);
}

int32_t rg_track_fill_steps(const rg_track_fill *fill)
{
    return fill->last - fill->first + fill->books - 1;
}

/* Whether any row has to choose codebook q at this step; then its frame, else -1. */
static int32_t frame_to_choose(const rg_track_fill *f, int32_t q)
{
    int32_t t = f->step - q;
    if (t < f->first || t >= f->last) return -1;
    for (int64_t b = 0; b < f->items; b++)
        if (f->cells[b * f->frames + t]) return t;
    return -1;
}

/* Queues a step: y[q] (items,V) get the logits of book q. */
static rg_status queue_step(rg_track_fill *f, rg_tensor *y[RG_TRACK_BOOKS])
{
    rg_exec *ex = f->ex;
    rg_tensor *x = run_steps(f, f->step, 1);
    for (int32_t q = 0; q < f->books; q++) {
        y[q] = rg_linear(ex, x, f->tracks->net[f->role].head[q], NULL, RG_ACT_NONE);
        if (!y[q]) return rg_exec_status(ex);
        const size_t bytes = (size_t)rg_shape_count(y[q]->shape) * rg_dtype_size(y[q]->dtype);
        if (f->logits)
            RG_TRY(rg_gpu_letter_post(f->logits, (size_t)q * logits_bytes(f), y[q]->data, bytes,
                                      &ex->error));
    }
    return RG_OK;
}

/* The same as one graph, from the second step on: the first finds out what libraries need. */
static rg_status make_step(rg_track_fill *f, rg_tensor *y[RG_TRACK_BOOKS])
{
    rg_exec *ex = f->ex;
    rg_gpu_graph *graph = f->warm ? f->graph : NULL;
    f->warm = true;
    if (!graph) return queue_step(f, y);
    RG_TRY(rg_gpu_graph_begin(graph, &ex->error));
    rg_status status = queue_step(f, y);
    if (status == RG_OK) status = rg_gpu_graph_end(graph, &ex->error);
    if (status != RG_OK) rg_gpu_graph_drop(graph);
    return status;
}

static rg_status write_logits(rg_track_fill *f, rg_tensor *const y[RG_TRACK_BOOKS], float *logits)
{
    rg_exec *ex = f->ex;
    const char *sent = f->logits ? rg_gpu_letter_read(f->logits, &ex->error) : NULL;
    if (f->logits && !sent) return ex->error.code;
    for (int64_t q = 0; q < f->books; q++) {
        rg_tensor here = *y[q];
        here.gpu = NULL;
        if (sent) here.data = (void *)(uintptr_t)(sent + (size_t)q * logits_bytes(f));
        for (int64_t b = 0; b < f->items; b++)
            rg_tensor_floats(&here, b * f->entries, f->entries,
                             logits + (b * f->books + q) * f->entries);
    }
    return RG_OK;
}

bool rg_track_fill_next(rg_track_fill *fill, float *logits, int32_t frame[RG_TRACK_BOOKS])
{
    rg_exec *ex = fill->ex;
    rg_tensor *y[RG_TRACK_BOOKS];
    if (fill->waiting) fill->step++;
    fill->waiting = false;
    if (rg_exec_status(ex) != RG_OK || fill->step >= fill->last + fill->books - 1) return false;
    for (int32_t q = 0; q < RG_TRACK_BOOKS; q++)
        frame[q] = q < fill->books ? frame_to_choose(fill, q) : -1;
    bool recording = rg_set_recording(ex, false);
    rg_mark mark = rg_tape_mark(ex);
    if (make_step(fill, y) == RG_OK) (void)!write_logits(fill, y, logits); /* the error sticks */
    rg_tape_rewind(ex, mark);
    rg_set_recording(ex, recording);
    fill->waiting = true;
    return rg_exec_status(ex) == RG_OK;
}

void rg_track_fill_put(rg_track_fill *fill, const int32_t *codes)
{
    for (int64_t b = 0; b < fill->items; b++)
        for (int32_t q = 0; q < fill->books; q++) {
            int32_t t = fill->step - q;
            if (t < fill->first || t >= fill->last || !fill->cells[b * fill->frames + t]) continue;
            fill->codes[(b * fill->frames + t) * fill->books + q] = codes[b * fill->books + q];
        }
}

const int32_t *rg_track_fill_codes(const rg_track_fill *fill)
{
    return fill->codes;
}

/* Everything is known but the last frame: the longest way there is before the first step. */
rg_status rg_track_fill_rehearse(rg_exec *ex, rg_tracks *tracks, int32_t rows, int32_t frames,
                                 int64_t *caches, rg_error *err)
{
    const rg_track_config *c = &tracks->config;
    rg_track_batch *batch = rg_track_batch_create(c, rows, frames, err);
    rg_track_fill *f = batch ? create(ex, tracks, RG_ANY_ROLE, rows, frames, true, err) : NULL;
    rg_status status = f ? RG_OK : err->code;
    if (f) {
        for (int32_t r = 0; r < c->n_roles; r++) {
            memset(batch->state[r], RG_CELL_KNOWN, (size_t)rows * (size_t)frames);
            if (c->roles[r].books == f->most_books) batch->target = r;
        }
        status = rg_track_fill_begin(f, batch, frames - 1, frames);
        if (status != RG_OK) rg_fail(err, status, "%s", ex->error.text);
        *caches = (int64_t)rg_arena_used(f->data);
    }
    rg_track_fill_destroy(f);
    rg_track_batch_free(batch);
    return status;
}
