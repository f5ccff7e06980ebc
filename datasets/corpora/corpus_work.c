/*
 * From MIDI songs to a store (corpus_work.h).
 */
#include "datasets/corpora/corpus_work.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/threads.h"

enum { DEFAULT_RATE = 32000, DEFAULT_MINUTES = 4 };

/* ---- one song ---- */

/* Copies the times from `start` up to `end`; they count from `start` then. */
static int64_t keep_times(const double *times, int64_t n, double speed, double start, double end,
                          double *out)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        double t = times[i] / speed;
        if (t >= start && t < end) out[kept++] = t - start;
    }
    return kept;
}

static int64_t keep_chords(const rg_song_chord *chords, int64_t n, const rg_change *change,
                           double start, double end, rg_song_chord *out)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        rg_song_chord c = chords[i];
        c.start /= change->speed;
        c.end /= change->speed;
        if (c.end <= start || c.start >= end) continue;
        c.start = c.start > start ? c.start - start : 0;
        c.end = (c.end < end ? c.end : end) - start;
        rg_change_chord(change, c.label);
        out[kept++] = c;
    }
    return kept;
}

/* The song's labels changed and cut to what was rendered, its times in a new heap block; NULL when
 * there is no memory. */
static void *cut_labels(rg_song *s, const rg_change *change, double start, double end)
{
    size_t beats = (size_t)s->n_beats, downbeats = (size_t)s->n_downbeats;
    double *times = malloc((beats + downbeats + 1) * sizeof *times +
                           (size_t)s->n_chords * sizeof(rg_song_chord));
    if (!times) return NULL;
    double *bars = times + beats;
    rg_song_chord *chords = (rg_song_chord *)(bars + downbeats + 1);
    s->n_beats = keep_times(s->beats, s->n_beats, change->speed, start, end, times);
    s->n_downbeats = keep_times(s->downbeats, s->n_downbeats, change->speed, start, end, bars);
    s->n_chords = keep_chords(s->chords, s->n_chords, change, start, end, chords);
    s->beats = times;
    s->downbeats = bars;
    s->chords = chords;
    s->tempo_bpm *= change->speed;
    if (s->key_tonic >= 0) s->key_tonic = (s->key_tonic + change->semitones + 12) % 12;
    return times;
}

static void fill_song(const rg_corpus_work *w, const rg_candidate *c, const rg_stems *stems,
                      rg_song *s)
{
    const char *roles[RG_MAX_ROLES];
    s->frames = stems->frames;
    s->loudness_lufs = stems->loudness_lufs;
    s->gain_db = stems->gain_db;
    memcpy(s->present, stems->present, sizeof s->present);
    rg_copy_text(s->id, sizeof s->id, c->id);
    rg_copy_text(s->title, sizeof s->title, c->title);
    rg_copy_text(s->content_hash, sizeof s->content_hash, c->content_hash);
    for (int32_t r = 0; r < w->map.n; r++) {
        roles[r] = w->map.roles[r].name;
        rg_roles_instruments(&c->parts, r, 2, s->instruments[r], sizeof s->instruments[r]);
    }
    rg_prompt_write(s, w->map.n, roles, w->about->prompts, 0);
}

static rg_status store_song(const rg_corpus_work *w, const rg_sound *sound, const rg_candidate *c,
                            const rg_song *song, const rg_stems *stems, rg_error *err)
{
    rg_provenance p = {.package = c->package->name,
                       .package_version = c->package->version,
                       .file = c->file,
                       .file_sha256 = c->sha256,
                       .license = c->source->license,
                       .renderer = "fluidsynth",
                       .renderer_version = rg_renderer_version(sound->renderer),
                       .soundfont = rg_fs_base_name(sound->soundfont),
                       .soundfont_sha256 = rg_renderer_soundfont_sha256(sound->renderer),
                       .role_map_json = w->map_json,
                       .source_dataset = w->about->name,
                       .track_id = c->title};
    return rg_store_add(w->writer, song, &p, stems->samples, err);
}

static rg_status render(const rg_corpus_work *w, const rg_sound *sound, const rg_candidate *c,
                        const rg_change *change, const rg_song *labels, double start, rg_error *err)
{
    rg_render_options options = {.rate = w->rate,
                                 .channels = w->options->channels,
                                 .start = start / change->speed,
                                 .seconds = 60 * w->minutes};
    rg_stems stems = {0};
    void *times = NULL;
    rg_song *song = malloc(sizeof *song);
    rg_status status = song ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a song");
    if (status == RG_OK)
        status =
            rg_render_song(sound->renderer, &c->midi, &c->parts, w->map.n, &options, &stems, err);
    if (status == RG_OK) {
        *song = *labels;
        times = cut_labels(song, change, options.start,
                           options.start + (double)stems.frames / stems.rate);
        if (!times) status = rg_fail(err, RG_ERR_NOMEM, "no memory for a song's beats");
    }
    if (status == RG_OK) {
        fill_song(w, c, &stems, song);
        status = store_song(w, sound, c, song, &stems, err);
    }
    free(times);
    free(song);
    rg_stems_free(&stems);
    return status;
}

/* Copies with odd numbers are played with the second SoundFont where there is one. */
static rg_status render_copy(const rg_corpus_work *w, const rg_candidate *c, int32_t copy,
                             const rg_song *labels, double start, rg_error *err)
{
    const rg_change change = rg_change_draw(c->id, copy);
    const rg_sound *sound = copy % 2 && w->second.renderer ? &w->second : &w->first;
    rg_candidate *changed = malloc(sizeof *changed);
    if (!changed) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song");
    rg_status status = rg_change_song(c, &change, copy, changed, err);
    if (status == RG_OK) {
        if (!rg_store_has(w->writer, changed->id))
            status = render(w, sound, changed, &change, labels, start, err);
        rg_midi_free(&changed->midi);
    }
    free(changed);
    return status;
}

rg_status rg_corpus_add(const rg_corpus_work *w, const rg_candidate *c, const rg_song *labels,
                        double start, rg_error *err)
{
    const rg_change none = rg_change_none();
    for (int32_t copy = 1; copy <= w->options->augment; copy++)
        RG_TRY(render_copy(w, c, copy, labels, start, err));
    /* last: where it is there, so are its copies */
    return render(w, &w->first, c, &none, labels, start, err);
}

/* ---- all of them ---- */

typedef struct adding {
    rg_corpus_work *work;
    const rg_corpus_songs *songs;
} adding;

/* One song; after a failure the others are skipped. */
static void add_block(void *ctx, int64_t i, int32_t thread)
{
    (void)thread;
    adding *a = ctx;
    rg_corpus_work *w = a->work;
    const char *id = a->songs->id(a->songs->ctx, i);
    rg_error err = {0};
    pthread_mutex_lock(&w->lock);
    bool stop = w->error.code != RG_OK;
    pthread_mutex_unlock(&w->lock);
    if (stop) return;
    if (!rg_store_has(w->writer, id) && a->songs->add(a->songs->ctx, i, &err) != RG_OK)
        rg_error_prefix(&err, "%s", id);
    pthread_mutex_lock(&w->lock);
    if (err.code != RG_OK) rg_fail(&w->error, err.code, "%s", err.text);
    rg_progress_step(&w->progress, w->log, ++w->done, id);
    pthread_mutex_unlock(&w->lock);
}

static rg_status add_all(rg_corpus_work *w, const rg_corpus_songs *songs, rg_error *err)
{
    rg_pool *pool = rg_pool_create(w->jobs, 0, false, err);
    if (!pool) return err ? err->code : RG_ERR_NOMEM;
    adding a = {w, songs};
    int64_t there = 0;
    for (int64_t i = 0; i < songs->n; i++)
        there += rg_store_has(w->writer, songs->id(songs->ctx, i));
    if (there)
        rg_log_line(w->log, RG_LOG_INFO, "going on: %lld of %lld songs are there already",
                    (long long)there, (long long)songs->n);
    rg_progress_start(&w->progress, "rendering", (long long)songs->n);
    rg_pool_run(pool, add_block, &a, songs->n);
    rg_pool_destroy(pool);
    if (w->error.code == RG_OK) return RG_OK;
    return rg_fail(err, w->error.code, "%s", w->error.text);
}

/* ---- the store ---- */

/* The settings that decide what the store holds: kept in it, and compared when a build goes on. */
static void write_settings(const rg_corpus_work *w, int64_t songs, const char *more, char *out,
                           size_t size)
{
    char copies[400] = "", split[32] = "";
    const char *channels = w->options->channels > 1 ? "channels: 2\n" : "";
    if (w->options->augment)
        rg_format(copies, sizeof copies, "augment: %d\naugment_soundfont_sha256: '%s'\n",
                  w->options->augment,
                  w->second.renderer ? rg_renderer_soundfont_sha256(w->second.renderer) : "");
    if (w->options->split) rg_format(split, sizeof split, "split: %.16s\n", w->options->split);
    rg_format(out, size,
              "corpus: %s\nsongs: %lld\nminutes: %g\nsample_rate: %d\n"
              "soundfont: %s\nsoundfont_sha256: %s\nrole_map: '%s'\n%s%s%s%s",
              w->about->name, (long long)songs, w->minutes, w->rate,
              rg_fs_base_name(w->first.soundfont), rg_renderer_soundfont_sha256(w->first.renderer),
              w->map_json, more, copies, split, channels);
}

rg_status rg_corpus_write(rg_corpus_work *w, const rg_corpus_songs *songs, const char *more,
                          rg_error *err)
{
    char settings[4096];
    write_settings(w, songs->n, more, settings, sizeof settings);
    if (rg_store_is_finished(w->options->out, settings)) {
        rg_log_line(w->log, RG_LOG_INFO, "%s: the store is complete already", w->options->out);
        return RG_OK;
    }
    rg_store_info info = {.title = w->about->name,
                          .creator = "resonant dataset build",
                          .license = w->about->license,
                          .references = w->about->references,
                          .config_yaml = settings,
                          .rate = w->rate,
                          .channels = w->options->channels,
                          .n_roles = w->map.n};
    for (int32_t r = 0; r < w->map.n; r++) info.roles[r] = w->map.roles[r].name;
    w->writer = rg_store_create(w->options->out, &info, err);
    if (!w->writer) return err ? err->code : RG_ERR_IO;
    RG_TRY(add_all(w, songs, err));
    rg_log_line(w->log, RG_LOG_INFO, "gathering the songs into the store");
    rg_store_writer *writer = w->writer;
    w->writer = NULL;
    return rg_store_finish(writer, err);
}

/* ---- opening ---- */

rg_status rg_corpus_package(const rg_corpus_work *w, const char *name, rg_package *out,
                            rg_error *err)
{
    return rg_package_get(name, w->options->packages, w->cache, w->log, out, err);
}

static rg_status open_sound(rg_sound *s, const char *path, rg_error *err)
{
    if (!rg_copy_text(s->soundfont, sizeof s->soundfont, path))
        return rg_fail(err, RG_ERR_USAGE, "the path of the SoundFont is too long");
    s->renderer = rg_renderer_open(s->soundfont, err);
    return s->renderer ? RG_OK : RG_ERR_UNSUPPORTED;
}

static rg_status find_soundfonts(rg_corpus_work *w, rg_error *err)
{
    char path[1300];
    rg_package *p = &w->soundfont_package;
    if (w->options->augment_soundfont)
        RG_TRY(open_sound(&w->second, w->options->augment_soundfont, err));
    if (w->options->soundfont) return open_sound(&w->first, w->options->soundfont, err);
    RG_TRY(rg_corpus_package(w, w->about->soundfont_package, p, err));
    RG_TRY(rg_fs_join(path, sizeof path, p->root, w->about->soundfont_file, err));
    return open_sound(&w->first, path, err);
}

static rg_status take_options(rg_corpus_work *w, const rg_build_options *o, rg_error *err)
{
    w->rate = o->rate ? o->rate : DEFAULT_RATE;
    w->minutes = o->minutes > 0 ? o->minutes : DEFAULT_MINUTES;
    w->jobs = o->jobs ? o->jobs : rg_cpu_count();
    w->map = *rg_role_map_band();
    if (o->role_map) RG_TRY(rg_role_map_load(o->role_map, &w->map, err));
    w->map_json = rg_role_map_to_json(&w->map);
    if (!w->map_json) return rg_fail(err, RG_ERR_NOMEM, "no memory for the role map");
    if (!o->cache) return rg_corpus_default_cache(w->cache, sizeof w->cache, err);
    return rg_copy_text(w->cache, sizeof w->cache, o->cache)
               ? RG_OK
               : rg_fail(err, RG_ERR_USAGE, "the path of the cache is too long");
}

rg_status rg_corpus_open(rg_corpus_work *w, const rg_corpus_about *about,
                         const rg_build_options *options, const rg_log *log, rg_error *err)
{
    *w = (rg_corpus_work){.about = about, .options = options, .log = log};
    pthread_mutex_init(&w->lock, NULL);
    RG_TRY(take_options(w, options, err));
    return find_soundfonts(w, err);
}

void rg_corpus_close(rg_corpus_work *w)
{
    rg_store_abandon(w->writer);
    rg_renderer_close(w->first.renderer);
    rg_renderer_close(w->second.renderer);
    free(w->map_json);
    pthread_mutex_destroy(&w->lock);
}
