/*
 * The crop sampler (sampler.h): where crops lie, reading them, and the ring of ready batches.
 *
 * One idea: a place is drawn by rejection from counted random numbers: a draw that is not active is
 * drawn again while the item is one of those that must be, so a place is a pure function of
 * (seed, step, micro, item). Batches are numbered step * micros + micro; thread t fills the next
 * free slot of the ring in order.
 */
#include "datasets/sampler.h"

#include <math.h>
#include <pthread.h>
#include <soxr.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "base/log.h"
#include "base/rng.h"
#include "datasets/store_internal.h"

enum { MAX_THREADS = 16, MAX_RING = 64, DRAWS = 32, DEFAULT_RING = 4 };
static const double margin_seconds = 0.05, ceiling = 0.99, silence_rms = 1e-4;

/* The ratio of rates: crops start at multiples of `in` frames of the store. */
typedef struct ratio {
    int64_t in, out; /* store frames per crop frames, in lowest terms */
} ratio;

/* What one thread needs to make crops. */
typedef struct maker {
    soxr_t soxr;        /* NULL when rates are equal */
    float *read, *made; /* store rate, crop rate, both with margins */
} maker;

typedef struct slot {
    int64_t batch; /* number of the batch in it or being made; -1 none */
    bool ready;
    float *samples; /* (B,T) */
    rg_error error;
} slot;

struct rg_sampler {
    const rg_store *store;
    int32_t role, n_threads, n_ring;
    rg_sampler_options o;
    ratio ratio;
    int64_t need;   /* store frames of a crop without margins */
    int64_t margin; /* store frames on each side, a multiple of ratio.in */
    int64_t n_songs, *songs;
    double *ends; /* running sum of the songs' usable frames */
    rg_sampler_summary summary;
    maker makers[MAX_THREADS + 1]; /* the last one is the caller's */
    pthread_t threads[MAX_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slot ring[MAX_RING];
    int64_t wanted; /* the batch the caller wants next; the ring holds wanted .. wanted+n_ring-1 */
    int64_t next;   /* the next batch to make */
    bool stop;
};

rg_sampler_options rg_sampler_defaults(void)
{
    return (rg_sampler_options){.micros = 1,
                                .batch = 1,
                                .split = RG_SPLIT_TRAIN,
                                .threads = 1,
                                .ring = DEFAULT_RING,
                                .active = 0.75,
                                .active_min = 0.5};
}

/* ---- making one crop ---- */

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

static void maker_free(maker *m)
{
    if (m->soxr) soxr_delete(m->soxr);
    free(m->read);
    free(m->made);
    *m = (maker){0};
}

static rg_status maker_make(const rg_sampler *s, maker *m, rg_error *err)
{
    int64_t in = s->need + 2 * s->margin, out = in / s->ratio.in * s->ratio.out + 64;
    m->read = malloc((size_t)in * sizeof *m->read);
    m->made = malloc((size_t)out * sizeof *m->made);
    if (!m->read || !m->made) return rg_fail(err, RG_ERR_NOMEM, "no memory for crops");
    if (s->ratio.in == s->ratio.out) return RG_OK;
    soxr_error_t failed = NULL;
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    m->soxr =
        soxr_create((double)s->ratio.in, (double)s->ratio.out, 1, &failed, NULL, &quality, NULL);
    if (!m->soxr) return rg_fail(err, RG_ERR_NOMEM, "soxr: %s", failed ? failed : "failed");
    return RG_OK;
}

/* The crop at store frame `start` of a song: with margins, resampled, margins cut. */
static rg_status make_crop(const rg_sampler *s, maker *m, int64_t song, int64_t start, float *out,
                           rg_error *err)
{
    int64_t in = s->need + 2 * s->margin;
    if (!m->soxr) return rg_store_read(s->store, song, s->role, start, s->o.frames, out, err);
    RG_TRY(rg_store_read(s->store, song, s->role, start - s->margin, in, m->read, err));
    size_t used = 0, got = 0, more = 0, room = (size_t)(in / s->ratio.in * s->ratio.out + 64);
    soxr_clear(m->soxr);
    soxr_error_t failed = soxr_process(m->soxr, m->read, (size_t)in, &used, m->made, room, &got);
    if (!failed) failed = soxr_process(m->soxr, NULL, 0, NULL, m->made + got, room - got, &more);
    size_t skip = (size_t)(s->margin / s->ratio.in * s->ratio.out);
    if (failed || got + more < skip + (size_t)s->o.frames)
        return rg_fail(err, RG_ERR_NUMERIC, "soxr: resampling a crop failed: %s",
                       failed ? failed : "too few samples");
    memcpy(out, m->made + skip, (size_t)s->o.frames * sizeof *out);
    return RG_OK;
}

static void set_level(float *x, int64_t n, double dbfs)
{
    double energy = 0, peak = 0;
    for (int64_t i = 0; i < n; i++) {
        energy += (double)x[i] * x[i];
        peak = fmax(peak, fabs((double)x[i]));
    }
    double rms = sqrt(energy / (double)n);
    if (!(rms > silence_rms)) return;
    double gain = fmin(pow(10, dbfs / 20) / rms, ceiling / peak);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(x[i] * gain);
}

/* ---- where crops lie ---- */

static int64_t usable_frames(const rg_sampler *s, const rg_song *song)
{
    return s->o.split == song->split && song->present[s->role] && song->frames >= s->need
               ? song->frames - s->need + 1
               : 0;
}

static bool is_active(const rg_sampler *s, int64_t song, int64_t start)
{
    return rg_store_active_share(s->store, song, s->role, start, s->need) >= s->o.active_min;
}

/* One draw: a song by its usable length, a place in it on the grid of the ratio. */
static void draw_place(const rg_sampler *s, rg_rng *rng, int64_t *song, int64_t *start)
{
    double at = rg_rng_uniform(rng) * s->ends[s->n_songs - 1];
    int64_t low = 0, high = s->n_songs - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (s->ends[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    *song = s->songs[low];
    int64_t places = usable_frames(s, rg_store_song(s->store, *song)) / s->ratio.in;
    *start = (int64_t)rg_rng_below(rng, (uint64_t)(places > 0 ? places : 1)) * s->ratio.in;
}

static rg_rng rng_of(const rg_sampler *s, int64_t step, int32_t micro, int32_t item)
{
    uint64_t stream = rg_rng_stream((uint64_t)step, (uint64_t)micro, (uint64_t)item);
    return rg_rng_make(s->o.seed, rg_rng_stream(stream, (uint64_t)s->role, 0x63726f70));
}

/* The k-th item of each batch must be active when k < active * B, so the share holds in each. */
static void place_of(const rg_sampler *s, int32_t item, rg_rng *rng, int64_t *song, int64_t *start)
{
    bool must = item < ceil(s->o.active * s->o.batch);
    for (int draw = 0; draw < DRAWS; draw++) {
        draw_place(s, rng, song, start);
        if (!must || is_active(s, *song, *start)) return;
    }
}

void rg_sampler_place(const rg_sampler *s, int64_t step, int32_t micro, int32_t item, int64_t *song,
                      int64_t *start)
{
    rg_rng rng = rng_of(s, step, micro, item);
    place_of(s, item, &rng, song, start);
}

static rg_status make_batch(const rg_sampler *s, maker *m, int64_t batch, float *out, rg_error *err)
{
    for (int32_t item = 0; item < s->o.batch; item++) {
        rg_rng rng = rng_of(s, batch / s->o.micros, (int32_t)(batch % s->o.micros), item);
        float *crop = out + item * s->o.frames;
        int64_t song, start;
        place_of(s, item, &rng, &song, &start);
        RG_TRY(make_crop(s, m, song, start, crop, err));
        if (s->o.low_dbfs < s->o.high_dbfs)
            set_level(crop, s->o.frames,
                      s->o.low_dbfs + (s->o.high_dbfs - s->o.low_dbfs) * rg_rng_uniform(&rng));
    }
    return RG_OK;
}

/* ---- opening ---- */

static rg_status check(const rg_sampler_options *o, const rg_store *store, int32_t role,
                       rg_error *err)
{
    int32_t rate = rg_store_rate(store);
    if (role < 0 || role >= rg_store_roles(store))
        return rg_fail(err, RG_ERR_USAGE, "%s: has no role %d", rg_store_folder(store), role);
    if (o->rate < 1000 || o->rate > rate)
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: crops at %d Hz were asked for, the store has %d Hz; build the store at "
                       "a higher rate or lower the codec's",
                       rg_store_folder(store), o->rate, rate);
    if (rate / gcd(rate, o->rate) > 1000)
        return rg_fail(err, RG_ERR_USAGE, "%s: %d Hz has no small ratio to the store's %d Hz",
                       rg_store_folder(store), o->rate, rate);
    if (o->frames < 1 || o->batch < 1 || o->micros < 1 || o->threads < 0 ||
        o->threads > MAX_THREADS || o->ring > MAX_RING)
        return rg_fail(err, RG_ERR_USAGE,
                       "sampler: frames, batch and micros are at least 1, "
                       "threads at most %d, ring at most %d",
                       MAX_THREADS, MAX_RING);
    return RG_OK;
}

static void set_geometry(rg_sampler *s)
{
    int64_t rate = rg_store_rate(s->store), common = gcd(rate, s->o.rate);
    s->ratio = (ratio){rate / common, s->o.rate / common};
    s->need = (s->o.frames + s->ratio.out - 1) / s->ratio.out * s->ratio.in;
    int64_t margin = (int64_t)(margin_seconds * (double)rate) + 1;
    s->margin = (margin + s->ratio.in - 1) / s->ratio.in * s->ratio.in;
    if (s->ratio.in == s->ratio.out) s->margin = 0;
}

/* Share of active crops in an even walk through the songs, for the summary. */
static void measure_activity(rg_sampler *s)
{
    int64_t active = 0, all = 0;
    for (int64_t i = 0; i < s->n_songs; i++) {
        int64_t frames = rg_store_song(s->store, s->songs[i])->frames;
        for (int64_t at = 0; at + s->need <= frames; at += s->need, all++)
            active += is_active(s, s->songs[i], at);
    }
    s->summary.active_share = all ? (double)active / (double)all : 0;
}

static rg_status find_songs(rg_sampler *s, rg_error *err)
{
    int64_t n = rg_store_songs(s->store);
    double sum = 0, frames = 0;
    s->songs = malloc((size_t)n * sizeof *s->songs);
    s->ends = malloc((size_t)n * sizeof *s->ends);
    if (!s->songs || !s->ends) return rg_fail(err, RG_ERR_NOMEM, "no memory for a sampler");
    s->n_songs = 0;
    for (int64_t i = 0; i < n; i++) {
        const rg_song *song = rg_store_song(s->store, i);
        int64_t usable = usable_frames(s, song);
        if (!usable) continue;
        sum += (double)usable;
        frames += (double)song->frames;
        s->songs[s->n_songs] = i;
        s->ends[s->n_songs++] = sum;
    }
    s->summary =
        (rg_sampler_summary){.songs = s->n_songs, .hours = frames / rg_store_rate(s->store) / 3600};
    measure_activity(s);
    const char *role = rg_store_role(s->store, s->role), *split = rg_split_name(s->o.split);
    if (s->n_songs == 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: no %s song has role %s for %.3g s; use another store or shorter crops",
                       rg_store_folder(s->store), split, role,
                       (double)s->need / rg_store_rate(s->store));
    if (!(s->summary.active_share > 0))
        return rg_fail(err, RG_ERR_MISMATCH, "%s: role %s is silent in every %s song",
                       rg_store_folder(s->store), role, split);
    return RG_OK;
}

/* ---- the ring ---- */

/* The batch that should be made next, into which slot; waits; false when the sampler closes. */
static bool next_work(rg_sampler *s, int64_t *batch, slot **out)
{
    pthread_mutex_lock(&s->lock);
    while (!s->stop && s->next >= s->wanted + s->n_ring) pthread_cond_wait(&s->changed, &s->lock);
    bool go = !s->stop;
    if (go) {
        *batch = s->next++;
        *out = &s->ring[*batch % s->n_ring];
    }
    pthread_mutex_unlock(&s->lock);
    return go;
}

typedef struct thread_start {
    rg_sampler *sampler;
    maker *maker;
} thread_start;

/* Makes the batch in the thread's own memory and swaps it in, so that a slot which the caller has
 * jumped away from meanwhile is never half written. */
static void *fill_ring(void *start)
{
    rg_sampler *s = ((thread_start *)start)->sampler;
    maker *m = ((thread_start *)start)->maker;
    free(start);
    int64_t batch;
    slot *to;
    float *mine = malloc((size_t)(s->o.batch * s->o.frames) * sizeof *mine);
    while (next_work(s, &batch, &to)) {
        rg_error err = {0};
        if (mine)
            (void)!make_batch(s, m, batch, mine, &err);
        else
            rg_fail(&err, RG_ERR_NOMEM, "no memory for a batch of crops");
        pthread_mutex_lock(&s->lock);
        if (batch >= s->wanted && batch < s->wanted + s->n_ring) {
            float *theirs = to->samples;
            if (mine) to->samples = mine;
            if (mine) mine = theirs;
            to->error = err;
            to->batch = batch;
            to->ready = true;
        }
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
    free(mine);
    return NULL;
}

static rg_status start_threads(rg_sampler *s, rg_error *err)
{
    s->n_ring = s->o.ring > 0 ? s->o.ring : DEFAULT_RING;
    for (int32_t i = 0; i < s->n_ring && s->o.threads > 0; i++) {
        s->ring[i].batch = -1;
        s->ring[i].samples = malloc((size_t)(s->o.batch * s->o.frames) * sizeof(float));
        if (!s->ring[i].samples) return rg_fail(err, RG_ERR_NOMEM, "no memory for the sampler");
    }
    for (int32_t t = 0; t < s->o.threads; t++) {
        RG_TRY(maker_make(s, &s->makers[t], err));
        thread_start *start = malloc(sizeof *start);
        if (!start) return rg_fail(err, RG_ERR_NOMEM, "no memory for the sampler");
        *start = (thread_start){s, &s->makers[t]};
        if (pthread_create(&s->threads[t], NULL, fill_ring, start) != 0) {
            free(start);
            return rg_fail(err, RG_ERR_NOMEM, "cannot start a thread of the sampler");
        }
        s->n_threads++;
    }
    return RG_OK;
}

rg_sampler *rg_sampler_create(const rg_store *store, int32_t role,
                              const rg_sampler_options *options, rg_error *err)
{
    if (check(options, store, role, err) != RG_OK) return NULL;
    rg_sampler *s = calloc(1, sizeof *s);
    if (!s) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a sampler");
        return NULL;
    }
    s->store = store;
    s->role = role;
    s->o = *options;
    if (s->o.active < 0) s->o.active = 0.75;
    if (s->o.active_min < 0) s->o.active_min = 0.5;
    set_geometry(s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    rg_status status = find_songs(s, err);
    if (status == RG_OK) status = maker_make(s, &s->makers[MAX_THREADS], err);
    if (status == RG_OK) status = start_threads(s, err);
    if (status == RG_OK) return s;
    rg_sampler_destroy(s);
    return NULL;
}

void rg_sampler_destroy(rg_sampler *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    for (int32_t t = 0; t < s->n_threads; t++) pthread_join(s->threads[t], NULL);
    for (int32_t m = 0; m <= MAX_THREADS; m++) maker_free(&s->makers[m]);
    for (int32_t i = 0; i < MAX_RING; i++) free(s->ring[i].samples);
    free(s->songs);
    free(s->ends);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* Takes the wanted batch out of the ring; a batch out of order empties the ring first. */
static rg_status take(rg_sampler *s, int64_t batch, float *out, rg_error *err)
{
    pthread_mutex_lock(&s->lock);
    if (batch != s->wanted) {
        for (int32_t i = 0; i < s->n_ring; i++) s->ring[i].ready = false;
        s->next = batch;
    }
    s->wanted = batch;
    pthread_cond_broadcast(&s->changed);
    slot *from = &s->ring[batch % s->n_ring];
    while (!(from->ready && from->batch == batch)) pthread_cond_wait(&s->changed, &s->lock);
    rg_error failure = from->error;
    memcpy(out, from->samples, (size_t)(s->o.batch * s->o.frames) * sizeof *out);
    from->ready = false;
    s->wanted = batch + 1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return failure.code == RG_OK ? RG_OK : rg_fail(err, failure.code, "%s", failure.text);
}

rg_status rg_sampler_next(rg_sampler *s, int64_t step, int32_t micro, float *out, double *wait,
                          rg_error *err)
{
    double started = rg_clock_seconds();
    int64_t batch = step * s->o.micros + micro;
    rg_status status = s->n_threads > 0 ? take(s, batch, out, err)
                                        : make_batch(s, &s->makers[MAX_THREADS], batch, out, err);
    if (wait) *wait += rg_clock_seconds() - started;
    return status;
}

rg_sampler_summary rg_sampler_describe(const rg_sampler *sampler)
{
    return sampler->summary;
}

/* ---- fixed crops ---- */

/* Of 21 places around the even one the most active; the nearest among equals. */
static int64_t best_place(const rg_sampler *s, int64_t song, int64_t even, int64_t step)
{
    int64_t best = -1, last = rg_store_song(s->store, song)->frames - s->need;
    double most = -1;
    for (int64_t k = 0; k < 21; k++) {
        int64_t away = (k + 1) / 2 * (k % 2 ? 1 : -1), at = even + away * step;
        if (at < 0 || at > last) continue;
        at -= at % s->ratio.in;
        double share = rg_store_active_share(s->store, song, s->role, at, s->need);
        if (share > most) {
            most = share;
            best = at;
        }
    }
    return best < 0 ? 0 : best;
}

static rg_status fill_fixed(rg_sampler *s, int32_t per_song, rg_fixed_crops *out, rg_error *err)
{
    size_t n = (size_t)(s->n_songs * per_song);
    *out = (rg_fixed_crops){.frames = s->o.frames,
                            .samples = malloc(n * (size_t)s->o.frames * sizeof(float)),
                            .song = malloc(n * sizeof(int64_t)),
                            .start = malloc(n * sizeof(int64_t))};
    if (!out->samples || !out->song || !out->start)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for %zu validation crops", n);
    for (int64_t i = 0; i < s->n_songs; i++)
        for (int32_t k = 0; k < per_song; k++, out->n++) {
            int64_t room = rg_store_song(s->store, s->songs[i])->frames - s->need;
            int64_t even = room * (2 * k + 1) / (2 * per_song);
            float *crop = out->samples + out->n * out->frames;
            out->song[out->n] = s->songs[i];
            out->start[out->n] = best_place(s, s->songs[i], even, room / per_song / 24 + 1);
            RG_TRY(
                make_crop(s, &s->makers[MAX_THREADS], s->songs[i], out->start[out->n], crop, err));
            if (s->o.low_dbfs < s->o.high_dbfs)
                set_level(crop, out->frames, (s->o.low_dbfs + s->o.high_dbfs) / 2);
        }
    return RG_OK;
}

rg_status rg_sampler_fixed(const rg_store *store, int32_t role, const rg_sampler_options *options,
                           int32_t per_song, rg_fixed_crops *out, rg_error *err)
{
    rg_sampler_options alone = *options;
    alone.threads = 0;
    *out = (rg_fixed_crops){0};
    if (per_song < 1)
        return rg_fail(err, RG_ERR_USAGE, "at least one validation crop a song is needed");
    rg_sampler *s = rg_sampler_create(store, role, &alone, err);
    if (!s) return err && err->code != RG_OK ? err->code : RG_ERR_MISMATCH;
    rg_status status = fill_fixed(s, per_song, out, err);
    rg_sampler_destroy(s);
    if (status != RG_OK) rg_fixed_crops_free(out);
    return status;
}

void rg_fixed_crops_free(rg_fixed_crops *crops)
{
    free(crops->samples);
    free(crops->song);
    free(crops->start);
    *crops = (rg_fixed_crops){0};
}

/* ---- whole songs ---- */

rg_status rg_store_read_resampled(const rg_store *store, int64_t song, int32_t role, int32_t rate,
                                  float **out, int64_t *n, rg_error *err)
{
    rg_audio whole = {0}, made = {0};
    *out = NULL;
    *n = 0;
    if (song < 0 || song >= rg_store_songs(store))
        return rg_fail(err, RG_ERR_USAGE, "%s: there is no song %lld", rg_store_folder(store),
                       (long long)song);
    int64_t frames = rg_store_song(store, song)->frames;
    RG_TRY(rg_audio_make(&whole, frames, 1, rg_store_rate(store), err));
    rg_status status = rg_store_read(store, song, role, 0, frames, whole.samples, err);
    if (status == RG_OK) status = rg_audio_resample(&whole, rate, &made, err);
    rg_audio_free(&whole);
    *out = made.samples;
    *n = made.frames;
    return status;
}
