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
#include <stdlib.h>
#include <string.h>

static const double least_presence = 0.15; /* share of 1-s bins in which a role must sound */
static const double guitar_share = 0.05;   /* of the notes on distorted guitars */

/* All that a build needs at hand. */
typedef struct build {
    const rg_band_corpus *corpus;
    rg_corpus_work work;
    rg_package packages[RG_BAND_SOURCES];
    rg_song_list list;
} build;

/* ---- which songs ---- */

static rg_status read_songs(build *b, rg_error *err)
{
    for (int32_t i = 0; i < b->corpus->n_sources; i++) {
        const rg_song_source *source = &b->corpus->sources[i];
        RG_TRY(rg_corpus_package(&b->work, source->package, &b->packages[i], err));
        RG_TRY(rg_song_list_add(&b->list, source, &b->packages[i], b->work.log, err));
    }
    RG_TRY(rg_song_list_group(&b->list, err));
    rg_log_line(b->work.log, RG_LOG_INFO,
                "%lld songs read, %lld doubles and %lld unusable left out", (long long)b->list.n,
                (long long)b->list.doubles, (long long)b->list.unusable);
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
    RG_TRY(rg_roles_assign(&song->midi, &b->work.map, &song->parts, err));
    RG_TRY(rg_roles_presence(&song->midi, &song->parts, b->work.map.n, share, err));
    *yes = true;
    for (int32_t r = 0; r < b->work.map.n; r++) *yes = *yes && share[r] >= least_presence;
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
        rg_log_line(b->work.log, RG_LOG_WARNING,
                    "%lld songs are not in this corpus version's list (other package versions?) "
                    "and are left out",
                    (long long)unlisted);
    rg_log_line(b->work.log, RG_LOG_INFO, "%lld songs have all %d roles, %lld lack one",
                (long long)b->list.n, b->work.map.n, (long long)incomplete);
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
    int64_t wanted = b->work.options->songs;
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

/* The beginning of a song that is cut: the bar (or beat) at or before its richest stretch. */
static rg_status find_start(const build *b, const rg_candidate *c, const rg_midi_grid *grid,
                            double *start, rg_error *err)
{
    double best = 0;
    *start = 0;
    if (c->midi.seconds <= 60 * b->work.minutes) return RG_OK;
    RG_TRY(
        rg_roles_best_window(&c->midi, &c->parts, b->work.map.n, 60 * b->work.minutes, &best, err));
    bool bars = grid->n_downbeats > 1;
    const double *times = bars ? grid->downbeats : grid->beats;
    for (int64_t i = 0; i < (bars ? grid->n_downbeats : grid->n_beats) && times[i] <= best; i++)
        *start = times[i];
    return RG_OK;
}

static void label_song(const rg_candidate *c, const rg_midi_grid *grid, rg_song *s)
{
    *s = (rg_song){.split = c->split,
                   .tempo_bpm = grid->tempo_bpm,
                   .meter = grid->meter,
                   .beats = grid->beats,
                   .downbeats = grid->downbeats,
                   .n_beats = grid->n_beats,
                   .n_downbeats = grid->n_downbeats};
    rg_copy_text(s->group, sizeof s->group, c->group);
    rg_copy_text(s->genre, sizeof s->genre, genre_of(c));
    rg_copy_text(s->signature, sizeof s->signature, grid->signature);
    rg_midi_key_of(&c->midi, &s->key_tonic, &s->key_mode);
}

static rg_status add_song(void *ctx, int64_t i, rg_error *err)
{
    build *b = ctx;
    const rg_candidate *c = &b->list.songs[i];
    rg_song *song = malloc(sizeof *song);
    rg_midi_grid grid = {0};
    double start = 0;
    rg_status status = song ? rg_midi_beats(&c->midi, &grid, err)
                            : rg_fail(err, RG_ERR_NOMEM, "no memory for a song");
    if (status == RG_OK) status = find_start(b, c, &grid, &start, err);
    if (status == RG_OK) {
        label_song(c, &grid, song);
        status = rg_corpus_add(&b->work, c, song, start, err);
    }
    rg_midi_grid_free(&grid);
    free(song);
    return status;
}

static const char *id_of(void *ctx, int64_t i)
{
    return ((build *)ctx)->list.songs[i].id;
}

/* ---- the build ---- */

rg_status rg_band_build(const rg_band_corpus *corpus, const rg_build_options *options,
                        const rg_log *log, rg_error *err)
{
    assert(corpus->n_sources <= RG_BAND_SOURCES);
    if (options->midi)
        return rg_fail(err, RG_ERR_USAGE,
                       "--midi is for composed songs (mma-v1); those of %s have "
                       "their MIDI in the packages",
                       corpus->about.name);
    build *b = calloc(1, sizeof *b);
    if (!b) return rg_fail(err, RG_ERR_NOMEM, "no memory to build a corpus");
    b->corpus = corpus;
    rg_split split;
    bool all = !options->split || !rg_split_parse(options->split, &split);
    rg_status status = rg_corpus_open(&b->work, &corpus->about, options, log, err);
    if (status == RG_OK) status = read_songs(b, err);
    if (status == RG_OK) status = keep_suitable(b, err);
    if (status == RG_OK) status = choose(b, err);
    for (int64_t i = b->list.n - 1; !all && i >= 0; i--)
        if (b->list.songs[i].split != split) rg_song_list_remove(&b->list, i);
    const rg_corpus_songs songs = {b->list.n, id_of, add_song, b};
    if (status == RG_OK) status = rg_corpus_write(&b->work, &songs, "", err);
    rg_corpus_close(&b->work);
    rg_song_list_free(&b->list);
    free(b);
    return status;
}
