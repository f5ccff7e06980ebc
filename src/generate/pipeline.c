/*
 * Takes (pipeline.h): the order of fills, the window around each, guidance rows.
 */
#include "generate/pipeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { MAX_ROWS = 3, MAX_BARS = 4096, PLAIN_BAR = 100 /* frames, when no tempo is asked */ };

typedef struct role_cells {
    int32_t *codes;  /* (N,T,K) */
    float *latents;  /* (N,T,D) */
    uint8_t *state;  /* (T): rg_cell_state */
    uint8_t *wanted; /* (T): 1 = to be made */
} role_cells;

typedef struct segment {
    int32_t role, a, b;
} segment;

struct rg_take {
    rg_take_options options;
    rg_conditions conditions;
    const rg_track_config *config;
    int32_t takes, frames, padded, window; /* N; T; T rounded up to patches; W */
    role_cells roles[RG_TRACK_ROLES];
    rg_track_batch *batch;
    rg_track_fill *fill; /* of the role that is being made: nothing in it outlives a segment */
    float *logits, *guided;
    segment *segments;
    int32_t n_segments, segment, first; /* first: frame where the current window begins */
    int32_t rows, row_full, row_context, row_none; /* of each take */
    bool planned, filling;
    int64_t done, total;
};

static int32_t *codes_at(const rg_take *t, int32_t take, int32_t r, int64_t frame)
{
    return t->roles[r].codes + ((int64_t)take * t->padded + frame) * t->config->roles[r].books;
}

static float *latents_at(const rg_take *t, int32_t take, int32_t r, int64_t frame)
{
    return t->roles[r].latents + ((int64_t)take * t->padded + frame) * t->config->roles[r].dim;
}

/* ---- memory ---- */

static bool make_role(rg_take *t, int32_t r)
{
    const rg_track_role *role = t->config->roles + r;
    role_cells *c = t->roles + r;
    size_t n = (size_t)t->padded, cells = n * (size_t)t->takes;
    c->codes = malloc(cells * (size_t)role->books * sizeof *c->codes);
    c->latents = calloc(cells * (size_t)role->dim, sizeof *c->latents);
    c->state = malloc(n);
    c->wanted = calloc(n, 1);
    if (!c->codes || !c->latents || !c->state || !c->wanted) return false;
    memset(c->codes, 0xff, cells * (size_t)role->books * sizeof *c->codes);
    memset(c->state, RG_CELL_UNKNOWN, n);
    memset(c->wanted, 1, (size_t)t->frames);
    return true;
}

static bool make_buffers(rg_take *t)
{
    size_t largest = 1;
    for (int32_t r = 0; r < t->config->n_roles; r++) {
        const rg_track_role *role = t->config->roles + r;
        size_t n = (size_t)role->books * (size_t)role->entries;
        if (n > largest) largest = n;
        if (!make_role(t, r)) return false;
    }
    t->logits = malloc((size_t)rg_take_rows(t->takes) * largest * sizeof *t->logits);
    t->guided = malloc(largest * sizeof *t->guided);
    t->segments = malloc(sizeof *t->segments * (size_t)(t->config->n_roles * MAX_BARS));
    return t->logits && t->guided && t->segments;
}

int32_t rg_take_rows(int32_t takes)
{
    return MAX_ROWS * takes;
}

int32_t rg_take_window(const rg_track_config *config)
{
    return config->frames / config->patch * config->patch;
}

static int32_t padded_frames(const rg_track_config *config, int32_t frames)
{
    const int32_t padded = (frames + config->patch - 1) / config->patch * config->patch;
    return padded > rg_take_window(config) ? padded : rg_take_window(config);
}

int64_t rg_take_bytes(const rg_track_config *config, int32_t frames, int32_t takes)
{
    int64_t bytes = rg_track_batch_bytes(config, rg_take_rows(takes), rg_take_window(config));
    for (int32_t r = 0; r < config->n_roles; r++)
        bytes += (int64_t)takes * padded_frames(config, frames) *
                 (config->roles[r].books + config->roles[r].dim) * (int64_t)sizeof(float);
    return bytes;
}

rg_take *rg_take_create(const rg_take_options *options, rg_error *err)
{
    const rg_track_config *config = &options->bundle->config;
    assert(options->takes <= RG_MAX_TAKES);
    rg_take *t = calloc(1, sizeof *t);
    if (!t) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a take");
        return NULL;
    }
    t->options = *options;
    t->conditions = *options->conditions;
    t->config = config;
    t->takes = options->takes > 0 ? options->takes : 1;
    t->frames = options->frames;
    t->window = rg_take_window(config);
    t->padded = padded_frames(config, t->frames);
    t->batch = rg_track_batch_create(config, rg_take_rows(t->takes), t->window, err);
    if (!t->batch || !make_buffers(t)) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a take of %d frames", t->frames);
        rg_take_destroy(t);
        return NULL;
    }
    return t;
}

void rg_take_destroy(rg_take *t)
{
    if (!t) return;
    for (int32_t r = 0; r < t->config->n_roles; r++) {
        role_cells *c = t->roles + r;
        free(c->codes);
        free(c->latents);
        free(c->state);
        free(c->wanted);
    }
    rg_track_fill_destroy(t->fill);
    rg_track_batch_free(t->batch);
    free(t->logits);
    free(t->guided);
    free(t->segments);
    free(t);
}

/* ---- what is known ---- */

/* Of all takes. */
static rg_status learn_latents(rg_take *t, int32_t r, int32_t a, int32_t b, rg_error *err)
{
    RG_TRY(rg_bundle_need(t->options.bundle, RG_PART_CODEC, r, err));
    for (int32_t take = 0; take < t->takes; take++) {
        rg_status status =
            rg_codec_dequantize(&t->options.bundle->codecs[r], codes_at(t, take, r, a), b - a,
                                latents_at(t, take, r, a));
        assert(status == RG_OK); /* codes come from this codec */
        (void)status;
    }
    return RG_OK;
}

rg_status rg_take_know(rg_take *t, int32_t role, const int32_t *codes, const uint8_t *known,
                       rg_error *err)
{
    role_cells *c = t->roles + role;
    int32_t books = t->config->roles[role].books;
    assert(!t->planned);
    for (int32_t f = 0; f < t->frames; f++) {
        if (!known[f]) continue;
        for (int32_t take = 0; take < t->takes; take++)
            memcpy(codes_at(t, take, role, f), codes + (int64_t)f * books,
                   (size_t)books * sizeof *codes);
        c->state[f] = RG_CELL_KNOWN;
        c->wanted[f] = 0;
    }
    return learn_latents(t, role, 0, t->frames, err);
}

void rg_take_leave_out(rg_take *t, int32_t role)
{
    assert(!t->planned);
    memset(t->roles[role].state, RG_CELL_ABSENT, (size_t)t->padded);
    memset(t->roles[role].wanted, 0, (size_t)t->padded);
}

const int32_t *rg_take_codes(const rg_take *t, int32_t i, int32_t role)
{
    return codes_at(t, i, role, 0);
}

void rg_take_id(const rg_take *t, int32_t i, char id[17])
{
    char hex[RG_SHA256_HEX];
    rg_sha256 *h = rg_sha256_begin();
    id[0] = 0;
    if (!h) return;
    rg_sha256_add(h, t->options.bundle->hash, sizeof t->options.bundle->hash);
    rg_sha256_add(h, t->options.seeds[i], sizeof t->options.seeds[i]);
    rg_sha256_add(h, t->conditions.ids, sizeof t->conditions.ids);
    rg_sha256_add(h, &t->conditions.tempo, sizeof t->conditions.tempo);
    if (t->options.precision != RG_F32)
        rg_sha256_add(h, rg_precision_text(t->options.precision), 4);
    for (int32_t r = 0; r < t->config->n_roles; r++) {
        const uint8_t *wanted = t->roles[r].wanted;
        rg_sha256_add(h, wanted, (size_t)t->frames);
        for (int32_t f = 0; f < t->frames; f++)
            if (!wanted[f])
                rg_sha256_add(h, codes_at(t, i, r, f),
                              (size_t)t->config->roles[r].books * sizeof(int32_t));
    }
    rg_sha256_end(h, hex);
    memcpy(id, hex, 16);
    id[16] = 0;
}

/* ---- the order of fills ---- */

static void add_segment(rg_take *t, int32_t role, int32_t a, int32_t b)
{
    const uint8_t *wanted = t->roles[role].wanted;
    while (a < b && !wanted[a]) a++;
    while (a < b && !wanted[b - 1]) b--;
    if (a == b) return;
    t->segments[t->n_segments++] = (segment){role, a, b};
    t->total += b - a + t->config->roles[role].books - 1;
}

/* Bars of the asked tempo, or pieces of two seconds; none longer than half a window. */
static int32_t find_bars(const rg_take *t, int32_t starts[MAX_BARS + 1])
{
    rg_beat_grid grid = rg_conditions_grid(&t->conditions);
    int32_t bars[MAX_BARS], n = 0, longest = t->window / 2, at = 0, next = 0;
    int32_t n_bars = grid.tempo > 0
                         ? rg_bar_starts(&grid, t->config->frame_rate, 0, t->frames, bars, MAX_BARS)
                         : 0;
    while (at < t->frames && n < MAX_BARS) {
        starts[n++] = at;
        while (next < n_bars && bars[next] <= at) next++;
        int32_t end = next < n_bars ? bars[next] : n_bars ? t->frames : at + PLAIN_BAR;
        if (end - at > longest) end = at + longest;
        at = end < t->frames ? end : t->frames;
    }
    starts[n] = t->frames;
    return n;
}

static void plan(rg_take *t)
{
    int32_t starts[MAX_BARS + 1], n = find_bars(t, starts);
    for (int32_t bar = 0; bar < n; bar++)
        for (int32_t r = 0; r < t->config->n_roles; r++)
            add_segment(t, r, starts[bar], starts[bar + 1]);
    t->planned = true;
}

/* ---- one fill ---- */

static bool known_after(const rg_take *t, int32_t frame)
{
    for (int32_t r = 0; r < t->config->n_roles; r++)
        for (int32_t f = frame; f < t->frames; f++)
            if (t->roles[r].state[f] == RG_CELL_KNOWN) return true;
    return false;
}

/* As much past as fits; a quarter of what is left goes to the future when something is known there.
 * */
static int32_t place_window(const rg_take *t, const segment *s)
{
    int32_t spare = t->window - (s->b - s->a), patch = t->config->patch;
    int32_t future = known_after(t, s->b) ? spare / 4 : 0;
    int32_t first = s->b + future - t->window, last = t->padded - t->window;
    first = (first + patch - 1) / patch * patch;
    if (first < 0) first = 0;
    return first < last ? first : last;
}

static void fill_item(rg_take *t, const segment *s, int32_t take, int32_t item)
{
    rg_track_batch *b = t->batch;
    int64_t w = t->window, at = (int64_t)item * w;
    for (int32_t r = 0; r < t->config->n_roles; r++) {
        const rg_track_role *role = t->config->roles + r;
        const role_cells *c = t->roles + r;
        memcpy(b->codes[r] + at * role->books, codes_at(t, take, r, t->first),
               (size_t)(w * role->books) * sizeof *c->codes);
        memcpy(b->latents[r] + at * role->dim, latents_at(t, take, r, t->first),
               (size_t)(w * role->dim) * sizeof *c->latents);
        memcpy(b->state[r] + at, c->state + t->first, (size_t)w);
    }
    for (int32_t f = s->a; f < s->b; f++) b->cells[at + f - t->first] = t->roles[s->role].wanted[f];
    rg_beat_grid grid = rg_conditions_grid(&t->conditions);
    rg_beat_features(&grid, t->config->frame_rate, t->first, t->window,
                     b->beat + at * RG_BEAT_FEATURES);
    memcpy(b->conditions + (int64_t)item * t->config->n_fields, t->conditions.ids[s->role],
           (size_t)t->config->n_fields * sizeof *b->conditions);
}

static bool has_conditions(const rg_take *t, int32_t role)
{
    for (int32_t f = 0; f < t->config->n_fields; f++)
        if (t->conditions.ids[role][f] >= 0) return true;
    return t->conditions.tempo > 0;
}

static bool has_context(const rg_take *t, int32_t role)
{
    for (int32_t r = 0; r < t->config->n_roles; r++)
        for (int32_t f = 0; f < t->window; f++)
            if (r != role && t->roles[r].state[t->first + f] == RG_CELL_KNOWN) return true;
    return false;
}

/* Only rows that differ are computed: equal ones share a number. */
static void choose_rows(rg_take *t, int32_t role)
{
    const rg_sampling *s = &t->options.sampling;
    bool conditions = has_conditions(t, role), context = has_context(t, role);
    bool guided = s->guidance_context != 1 || s->guidance_conditions != 1;
    t->rows = 1;
    t->row_full = t->row_context = t->row_none = 0;
    if (guided && conditions) t->row_context = t->row_none = t->rows++;
    if (guided && context) t->row_none = t->rows++;
}

static rg_status begin_fill(rg_take *t, rg_error *err)
{
    const segment *s = t->segments + t->segment;
    rg_exec *ex = t->options.ex;
    rg_bundle *bundle = t->options.bundle;
    if (!t->fill)
        t->fill = rg_track_fill_create(ex, bundle->tracks, RG_ANY_ROLE, rg_take_rows(t->takes),
                                       t->window, err);
    if (!t->fill) return err->code;
    RG_TRY(rg_bundle_need(bundle, RG_PART_TRACK, s->role, err));
    t->first = place_window(t, s);
    choose_rows(t, s->role);
    rg_track_batch_clear(t->config, t->batch);
    t->batch->items = t->rows * t->takes;
    t->batch->target = s->role;
    for (int32_t item = 0; item < t->batch->items; item++) {
        const int32_t row = item % t->rows;
        fill_item(t, s, item / t->rows, item);
        if (row >= t->row_context && t->row_context > t->row_full)
            rg_track_drop_conditions(t->config, t->batch, item);
        if (row == t->row_none && t->row_none > t->row_context)
            rg_track_drop_context(t->config, t->batch, item);
    }
    rg_status status = rg_track_fill_begin(t->fill, t->batch, s->a - t->first, s->b - t->first);
    t->filling = status == RG_OK;
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

static rg_status end_fill(rg_take *t, rg_error *err)
{
    const segment *s = t->segments + t->segment;
    const int64_t books = t->config->roles[s->role].books;
    role_cells *c = t->roles + s->role;
    const int32_t *codes = rg_track_fill_codes(t->fill);
    for (int32_t take = 0; take < t->takes; take++, codes += t->rows * t->window * books)
        for (int32_t f = s->a; f < s->b; f++)
            if (c->wanted[f])
                memcpy(codes_at(t, take, s->role, f), codes + (f - t->first) * books,
                       (size_t)books * sizeof *codes);
    for (int32_t f = s->a; f < s->b; f++)
        if (c->wanted[f]) c->state[f] = RG_CELL_KNOWN;
    t->filling = false;
    t->segment++;
    return learn_latents(t, s->role, s->a, s->b, err);
}

/* The choices of one take, for each of its rows. */
static void choose_of_take(rg_take *t, int32_t take, const int32_t frame[RG_TRACK_BOOKS],
                           int32_t *codes)
{
    const int32_t r = t->segments[t->segment].role;
    const rg_track_role *role = t->config->roles + r;
    const int64_t row = (int64_t)role->books * role->entries;
    const float *logits = t->logits + (int64_t)take * t->rows * row;
    rg_guide(logits + t->row_full * row, logits + t->row_context * row, logits + t->row_none * row,
             row, &t->options.sampling, t->guided);
    for (int32_t q = 0; q < role->books; q++) {
        int32_t code = -1;
        if (frame[q] >= 0) {
            double u =
                rg_cell_uniform(t->options.seeds[take][r], role->name, frame[q] + t->first, q);
            code = rg_sample_token(t->guided + (int64_t)q * role->entries, role->entries,
                                   &t->options.sampling, u);
        }
        for (int32_t i = 0; i < t->rows; i++) codes[i * role->books + q] = code;
    }
}

static void choose_codes(rg_take *t, const int32_t frame[RG_TRACK_BOOKS], rg_take_progress *p)
{
    const int32_t r = t->segments[t->segment].role, books = t->config->roles[r].books;
    int32_t codes[RG_MAX_TAKES * MAX_ROWS * RG_TRACK_BOOKS];
    for (int32_t take = 0; take < t->takes; take++)
        choose_of_take(t, take, frame, codes + take * t->rows * books);
    for (int32_t q = 0; q < books; q++)
        if (frame[q] >= 0 && frame[q] + t->first > p->frame) p->frame = frame[q] + t->first;
    rg_track_fill_put(t->fill, codes);
}

rg_status rg_take_step(rg_take *t, rg_take_progress *progress, rg_error *err)
{
    int32_t frame[RG_TRACK_BOOKS];
    if (!t->planned) plan(t);
    *progress = (rg_take_progress){.done = t->done, .total = t->total, .frame = -1};
    if (!t->filling && t->segment < t->n_segments) RG_TRY(begin_fill(t, err));
    if (t->segment < t->n_segments) {
        progress->role = t->segments[t->segment].role;
        if (rg_track_fill_next(t->fill, t->logits, frame)) {
            choose_codes(t, frame, progress);
            progress->done = ++t->done;
        } else {
            rg_status status = rg_exec_status(t->options.ex);
            if (status != RG_OK) return rg_fail(err, status, "%s", t->options.ex->error.text);
            RG_TRY(end_fill(t, err));
        }
    }
    progress->finished = t->segment == t->n_segments;
    return RG_OK;
}
