/*
 * Building a band corpus (band_build.h): from packages to a stem store.
 *
 * One idea: the steps are read, group, take the songs on the list that have every role, choose a
 * balanced subset, render; each works on the one list of candidates. A song that is not on the
 * list (another version of a package) is left out and said so: its side of the split would be a
 * guess.
 */
#include "datasets/corpora/band_build.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/threads.h"
#include "datasets/corpora/song_list.h"
#include "datasets/render.h"

enum { DEFAULT_RATE = 32000, DEFAULT_MINUTES = 4 };
static const double least_presence = 0.15; /* share of 1-s bins in which a role must sound */
static const double guitar_share = 0.05;   /* of the notes on distorted guitars */

/* All that a build needs at hand. */
typedef struct build {
    const rg_band_corpus *corpus;
    const rg_build_options *options;
    const rg_log *log;
    int32_t rate, jobs;
    double minutes;
    rg_role_map map;
    char *map_json, cache[1024], soundfont[1300];
    rg_package packages[RG_BAND_SOURCES + 1]; /* the last: the SoundFont's */
    rg_renderer *renderer;
    rg_song_list list;
    rg_store_writer *writer;
    rg_progress progress;
    int64_t done;
    pthread_mutex_t lock; /* of progress, done and error */
    rg_error error;       /* of the rendering threads: the first one */
} build;

/* ---- which songs ---- */

static rg_status read_songs(build *b, rg_error *err)
{
    for (int32_t i = 0; i < b->corpus->n_sources; i++) {
        const rg_song_source *source = &b->corpus->sources[i];
        RG_TRY(rg_package_get(source->package, b->options->packages, b->cache, b->log,
                              &b->packages[i], err));
        RG_TRY(rg_song_list_add(&b->list, source, &b->packages[i], b->log, err));
    }
    RG_TRY(rg_song_list_group(&b->list, err));
    rg_log_line(b->log, RG_LOG_INFO, "%lld songs read, %lld doubles and %lld unusable left out",
                (long long)b->list.n, (long long)b->list.doubles, (long long)b->list.unusable);
    return RG_OK;
}

static bool on_list(const rg_band_corpus *corpus, rg_candidate *song)
{
    for (int64_t i = 0; i < corpus->n_listed; i++)
        if (strcmp(corpus->listed[i].content_hash, song->content_hash) == 0) {
            song->split = corpus->listed[i].split;
            return true;
        }
    return false;
}

static rg_status has_every_role(const build *b, rg_candidate *song, bool *yes, rg_error *err)
{
    double share[RG_MAX_ROLES];
    RG_TRY(rg_roles_assign(&song->midi, &b->map, &song->parts, err));
    RG_TRY(rg_roles_presence(&song->midi, &song->parts, b->map.n, share, err));
    *yes = true;
    for (int32_t r = 0; r < b->map.n; r++) *yes = *yes && share[r] >= least_presence;
    return RG_OK;
}

static rg_status keep_suitable(build *b, rg_error *err)
{
    int64_t unlisted = 0, incomplete = 0;
    for (int64_t i = b->list.n - 1; i >= 0; i--) {
        bool complete = false, known = on_list(b->corpus, &b->list.songs[i]);
        if (known) RG_TRY(has_every_role(b, &b->list.songs[i], &complete, err));
        unlisted += !known;
        incomplete += known && !complete;
        if (!complete) rg_song_list_remove(&b->list, i);
    }
    if (unlisted)
        rg_log_line(b->log, RG_LOG_WARNING,
                    "%lld songs are not in this corpus version's list (other package versions?) "
                    "and are left out",
                    (long long)unlisted);
    rg_log_line(b->log, RG_LOG_INFO, "%lld songs have all %d roles, %lld lack one",
                (long long)b->list.n, b->map.n, (long long)incomplete);
    return b->list.n > 0 ? RG_OK
                         : rg_fail(err, RG_ERR_MISMATCH,
                                   "no song is left: the packages hold none of the corpus's songs "
                                   "with all roles");
}

static int by_source_and_hash(const void *x, const void *y)
{
    const rg_candidate *a = x, *b = y;
    if (a->source != b->source) return a->source < b->source ? -1 : 1;
    return strcmp(a->content_hash, b->content_hash);
}

/* The next song of a split, from the source that has given the fewest; -1: none is left. */
static int64_t next_song(const build *b, rg_split split, const bool *taken)
{
    int64_t given[RG_BAND_SOURCES] = {0}, best = -1;
    const rg_candidate *songs = b->list.songs;
    for (int64_t i = 0; i < b->list.n; i++) given[songs[i].source - b->corpus->sources] += taken[i];
    for (int64_t i = 0; i < b->list.n; i++)
        if (!taken[i] && songs[i].split == split &&
            (best < 0 || given[songs[i].source - b->corpus->sources] <
                             given[songs[best].source - b->corpus->sources]))
            best = i;
    return best;
}

/* Takes `wanted` songs of a split, evenly from the sources; returns how many there were. */
static int64_t take_turns(const build *b, rg_split split, int64_t wanted, bool *taken)
{
    int64_t got = 0;
    for (int64_t i; got < wanted && (i = next_song(b, split, taken)) >= 0; got++) taken[i] = true;
    return got;
}

/* N songs: a sixth each for valid and test, one at least; what a split lacks goes to train. */
static rg_status choose(build *b, rg_error *err)
{
    rg_song_list *list = &b->list;
    qsort(list->songs, (size_t)list->n, sizeof *list->songs, by_source_and_hash);
    int64_t wanted = b->options->songs;
    if (wanted == 0 || wanted >= list->n) return RG_OK;
    bool *taken = calloc((size_t)list->n, sizeof *taken);
    if (!taken) return rg_fail(err, RG_ERR_NOMEM, "no memory to choose songs");
    int64_t held = wanted / 6 > 0 ? wanted / 6 : 1;
    int64_t got = take_turns(b, RG_SPLIT_VALID, held, taken);
    got += take_turns(b, RG_SPLIT_TEST, held, taken);
    take_turns(b, RG_SPLIT_TRAIN, wanted - got, taken);
    for (int64_t i = list->n - 1; i >= 0; i--)
        if (!taken[i]) rg_song_list_remove(list, i);
    free(taken);
    return RG_OK;
}

/* ---- what is said of a song ---- */

static const char *genre_of(const rg_candidate *c)
{
    int64_t guitar = 0;
    for (int32_t k = 0; k < c->parts.n; k++) {
        const rg_midi_part *p = &c->parts.part[k];
        if (p->channel != RG_MIDI_DRUM_CHANNEL && (p->program == 29 || p->program == 30))
            guitar += p->notes;
    }
    bool much = (double)guitar >= guitar_share * (double)c->midi.n_notes;
    return much && c->source->guitar_genre ? c->source->guitar_genre : c->source->genre;
}

/* "rock, 140 bpm, E minor, 4/4, picked bass, distorted guitar" */
static void describe_song(const build *b, const rg_candidate *c, rg_song *s)
{
    static const char *const tonics[12] = {"C",  "C#", "D",  "Eb", "E",  "F",
                                           "F#", "G",  "Ab", "A",  "Bb", "B"};
    size_t n = (size_t)snprintf(s->prompt, sizeof s->prompt, "%s", s->genre);
#define ADD(...)                                                                     \
    do {                                                                             \
        if (n < sizeof s->prompt)                                                    \
            n += (size_t)snprintf(s->prompt + n, sizeof s->prompt - n, __VA_ARGS__); \
    } while (0)
    if (s->tempo_bpm > 0) ADD("%s%.0f bpm", n ? ", " : "", s->tempo_bpm);
    if (s->key_tonic >= 0) ADD(", %s %s", tonics[s->key_tonic], s->key_mode ? "minor" : "major");
    if (s->meter == 3 || s->meter == 4) ADD(", %d/4", s->meter);
    for (int32_t r = 0; r < b->map.n; r++) {
        char first[64];
        rg_roles_instruments(&c->parts, r, 2, s->instruments[r], sizeof s->instruments[r]);
        rg_roles_instruments(&c->parts, r, 1, first, sizeof first);
        if (strcmp(first, "drum kit") != 0 && !strstr(s->prompt, first)) ADD(", %s", first);
    }
#undef ADD
}

/* Cuts the times before `start` and at or after `end`; they count from `start` then. */
static int64_t keep_within(double *times, int64_t n, double start, double end)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (times[i] >= start && times[i] < end) times[kept++] = times[i] - start;
    return kept;
}

/* The beginning of a song that is cut: the bar (or beat) at or before its richest stretch. */
static rg_status find_start(const build *b, const rg_candidate *c, const rg_midi_grid *grid,
                            double *start, rg_error *err)
{
    double best = 0;
    *start = 0;
    if (c->midi.seconds <= 60 * b->minutes) return RG_OK;
    RG_TRY(rg_roles_best_window(&c->midi, &c->parts, b->map.n, 60 * b->minutes, &best, err));
    bool bars = grid->n_downbeats > 1;
    const double *times = bars ? grid->downbeats : grid->beats;
    for (int64_t i = 0; i < (bars ? grid->n_downbeats : grid->n_beats) && times[i] <= best; i++)
        *start = times[i];
    return RG_OK;
}

static void fill_song(const build *b, const rg_candidate *c, const rg_midi_grid *grid,
                      const rg_stems *stems, rg_song *s)
{
    *s = (rg_song){.split = c->split,
                   .frames = stems->frames,
                   .loudness_lufs = stems->loudness_lufs,
                   .gain_db = stems->gain_db,
                   .tempo_bpm = grid->tempo_bpm,
                   .meter = grid->meter,
                   .beats = grid->beats,
                   .downbeats = grid->downbeats,
                   .n_beats = grid->n_beats,
                   .n_downbeats = grid->n_downbeats};
    memcpy(s->present, stems->present, sizeof s->present);
    rg_copy_text(s->id, sizeof s->id, c->id);
    rg_copy_text(s->title, sizeof s->title, c->title);
    rg_copy_text(s->group, sizeof s->group, c->group);
    rg_copy_text(s->genre, sizeof s->genre, genre_of(c));
    rg_copy_text(s->content_hash, sizeof s->content_hash, c->content_hash);
    rg_midi_key_of(&c->midi, &s->key_tonic, &s->key_mode);
    describe_song(b, c, s);
}

/* ---- rendering ---- */

static rg_status store_song(build *b, const rg_candidate *c, const rg_midi_grid *grid,
                            const rg_stems *stems, rg_error *err)
{
    rg_song *song = malloc(sizeof *song);
    if (!song) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory", c->id);
    fill_song(b, c, grid, stems, song);
    rg_provenance p = {.package = c->package->name,
                       .package_version = c->package->version,
                       .file = c->file,
                       .file_sha256 = c->sha256,
                       .license = c->source->license,
                       .renderer = "fluidsynth",
                       .renderer_version = rg_renderer_version(b->renderer),
                       .soundfont = rg_fs_base_name(b->soundfont),
                       .soundfont_sha256 = rg_renderer_soundfont_sha256(b->renderer),
                       .role_map_json = b->map_json,
                       .source_dataset = b->corpus->name,
                       .track_id = c->title};
    rg_status status = rg_store_add(b->writer, song, &p, stems->samples, err);
    free(song);
    return status;
}

static rg_status render_song(build *b, const rg_candidate *c, rg_error *err)
{
    rg_render_options options = {.rate = b->rate, .seconds = 60 * b->minutes};
    rg_midi_grid grid = {0};
    rg_stems stems = {0};
    rg_status status = rg_midi_beats(&c->midi, &grid, err);
    if (status == RG_OK) status = find_start(b, c, &grid, &options.start, err);
    if (status == RG_OK)
        status = rg_render_song(b->renderer, &c->midi, &c->parts, b->map.n, &options, &stems, err);
    double end = options.start + (stems.rate ? (double)stems.frames / stems.rate : 0);
    grid.n_beats = keep_within(grid.beats, grid.n_beats, options.start, end);
    grid.n_downbeats = keep_within(grid.downbeats, grid.n_downbeats, options.start, end);
    if (status == RG_OK) status = store_song(b, c, &grid, &stems, err);
    rg_stems_free(&stems);
    rg_midi_grid_free(&grid);
    if (status != RG_OK) rg_error_prefix(err, "%s", c->id);
    return status;
}

/* One song of the list; after a failure the others are skipped. */
static void render_block(void *ctx, int64_t i, int32_t thread)
{
    (void)thread;
    build *b = ctx;
    const rg_candidate *c = &b->list.songs[i];
    rg_error err = {0};
    pthread_mutex_lock(&b->lock);
    bool stop = b->error.code != RG_OK;
    pthread_mutex_unlock(&b->lock);
    if (stop) return;
    bool there = rg_store_has(b->writer, c->id);
    if (!there) (void)!render_song(b, c, &err);
    pthread_mutex_lock(&b->lock);
    if (err.code != RG_OK) rg_fail(&b->error, err.code, "%s", err.text);
    rg_progress_step(&b->progress, b->log, ++b->done, c->title);
    pthread_mutex_unlock(&b->lock);
}

static rg_status render_all(build *b, rg_error *err)
{
    rg_pool *pool = rg_pool_create(b->jobs, 0, false, err);
    if (!pool) return err ? err->code : RG_ERR_NOMEM;
    int64_t there = 0;
    for (int64_t i = 0; i < b->list.n; i++) there += rg_store_has(b->writer, b->list.songs[i].id);
    if (there)
        rg_log_line(b->log, RG_LOG_INFO, "going on: %lld of %lld songs are there already",
                    (long long)there, (long long)b->list.n);
    rg_progress_start(&b->progress, "rendering", (long long)b->list.n);
    rg_pool_run(pool, render_block, b, b->list.n);
    rg_pool_destroy(pool);
    if (b->error.code == RG_OK) return RG_OK;
    return rg_fail(err, b->error.code, "%s", b->error.text);
}

/* ---- the build ---- */

static rg_status find_soundfont(build *b, rg_error *err)
{
    if (b->options->soundfont) {
        if (!rg_copy_text(b->soundfont, sizeof b->soundfont, b->options->soundfont))
            return rg_fail(err, RG_ERR_USAGE, "the path of the SoundFont is too long");
    } else {
        rg_package *p = &b->packages[RG_BAND_SOURCES];
        RG_TRY(rg_package_get(b->corpus->soundfont_package, b->options->packages, b->cache, b->log,
                              p, err));
        RG_TRY(
            rg_fs_join(b->soundfont, sizeof b->soundfont, p->root, b->corpus->soundfont_file, err));
    }
    b->renderer = rg_renderer_open(b->soundfont, err);
    return b->renderer ? RG_OK : RG_ERR_UNSUPPORTED;
}

static rg_status prepare(build *b, rg_error *err)
{
    const rg_build_options *o = b->options;
    b->rate = o->rate ? o->rate : DEFAULT_RATE;
    b->minutes = o->minutes > 0 ? o->minutes : DEFAULT_MINUTES;
    b->jobs = o->jobs ? o->jobs : rg_cpu_count();
    b->map = *rg_role_map_band();
    if (o->role_map) RG_TRY(rg_role_map_load(o->role_map, &b->map, err));
    b->map_json = rg_role_map_to_json(&b->map);
    if (!b->map_json) return rg_fail(err, RG_ERR_NOMEM, "no memory for the role map");
    if (!o->cache) return rg_corpus_default_cache(b->cache, sizeof b->cache, err);
    return rg_copy_text(b->cache, sizeof b->cache, o->cache)
               ? RG_OK
               : rg_fail(err, RG_ERR_USAGE, "the path of the cache is too long");
}

/* The settings that decide what the store holds: kept in it, and compared when a build goes on. */
static void write_settings(const build *b, char *out, size_t size)
{
    snprintf(out, size,
             "corpus: %s\nsongs: %lld\nminutes: %g\nsample_rate: %d\n"
             "soundfont: %s\nsoundfont_sha256: %s\nrole_map: '%s'\n",
             b->corpus->name, (long long)b->list.n, b->minutes, b->rate,
             rg_fs_base_name(b->soundfont), rg_renderer_soundfont_sha256(b->renderer), b->map_json);
}

/* Whether a finished store of the same settings is there. */
static bool is_finished(const build *b, const char *settings)
{
    rg_error ignored = {0};
    rg_store *store = rg_store_open(b->options->out, &ignored);
    bool same = store && strcmp(rg_store_config_yaml(store), settings) == 0;
    rg_store_close(store);
    return same;
}

static rg_status write_store(build *b, rg_error *err)
{
    char settings[4096];
    write_settings(b, settings, sizeof settings);
    if (is_finished(b, settings)) {
        rg_log_line(b->log, RG_LOG_INFO, "%s: the store is complete already", b->options->out);
        return RG_OK;
    }
    rg_store_info info = {.title = b->corpus->name,
                          .creator = "resonant dataset build",
                          .license = b->corpus->license,
                          .references = b->corpus->references,
                          .config_yaml = settings,
                          .rate = b->rate,
                          .n_roles = b->map.n};
    for (int32_t r = 0; r < b->map.n; r++) info.roles[r] = b->map.roles[r].name;
    b->writer = rg_store_create(b->options->out, &info, err);
    if (!b->writer) return err ? err->code : RG_ERR_IO;
    RG_TRY(render_all(b, err));
    rg_log_line(b->log, RG_LOG_INFO, "gathering the songs into the store");
    rg_store_writer *writer = b->writer;
    b->writer = NULL;
    return rg_store_finish(writer, err);
}

rg_status rg_band_build(const rg_band_corpus *corpus, const rg_build_options *options,
                        const rg_log *log, rg_error *err)
{
    assert(corpus->n_sources <= RG_BAND_SOURCES);
    build *b = calloc(1, sizeof *b);
    if (!b) return rg_fail(err, RG_ERR_NOMEM, "no memory to build a corpus");
    b->corpus = corpus;
    b->options = options;
    b->log = log;
    pthread_mutex_init(&b->lock, NULL);
    rg_status status = prepare(b, err);
    if (status == RG_OK) status = find_soundfont(b, err);
    if (status == RG_OK) status = read_songs(b, err);
    if (status == RG_OK) status = keep_suitable(b, err);
    if (status == RG_OK) status = choose(b, err);
    if (status == RG_OK) status = write_store(b, err);
    rg_store_abandon(b->writer);
    rg_renderer_close(b->renderer);
    rg_song_list_free(&b->list);
    free(b->map_json);
    pthread_mutex_destroy(&b->lock);
    free(b);
    return status;
}
