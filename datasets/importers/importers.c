/*
 * The table of data sets, and an import from beginning to end (importer.h).
 *
 * One idea: the steps are find, name roles, settle splits, store; each works on the one list of
 * songs. Not here: what one song needs (import_song.c), sides of the split (import_splits.c).
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/threads.h"
#include "datasets/importers/import_internal.h"

enum { DEFAULT_RATE = 32000, MOST_UNMAPPED = 4096 };

static const rg__importer importers[] = {
    {"folder", "SONG/STEM.wav, also below train, valid and test", "LicenseRef-unknown", "",
     rg__import_find_folder},
    {"musdb18hq", "MUSDB18-HQ: 150 songs, vocals, drums, bass, other",
     "LicenseRef-MUSDB18-academic", "https://sigsep.github.io/datasets/musdb.html",
     rg__import_find_musdb},
    {"slakh", "Slakh2100: TrackNNNNN/stems/Sxx.flac, without the doubles that redux leaves out",
     "CC-BY-4.0", "http://www.slakh.com", rg__import_find_slakh},
    {"moisesdb", "MoisesDB: UUID/data.json and UUID/STEM/TRACK.wav", "CC-BY-NC-SA-4.0",
     "https://arxiv.org/abs/2307.15913", rg__import_find_moisesdb},
    {"medleydb", "MedleyDB: TRACK_STEMS/TRACK_STEM_01.wav and TRACK_METADATA.yaml",
     "CC-BY-NC-SA-4.0", "https://medleydb.weebly.com", rg__import_find_medleydb},
    {"fretsonfire", "Frets on Fire: SONG/guitar.ogg and SONG/song.ogg, the rest; all for tests",
     "LicenseRef-unknown", "https://fretsonfire.sourceforge.net", rg__import_find_fretsonfire},
    {"manifest", "a JSON object a line: {\"path\", \"stems\": {name: path}}", "LicenseRef-unknown",
     "", rg__import_find_manifest},
};
enum { N_IMPORTERS = sizeof importers / sizeof importers[0] };

/* All that an import needs at hand. */
typedef struct import {
    rg__import_job job;
    rg__import_list list;
    rg_role_map map;
    const rg_log *log;
    rg__import_room **rooms; /* one a thread */
    rg_progress progress;
    int64_t done;
    pthread_mutex_t lock; /* of progress and done */
} import;

/* ---- roles ---- */

typedef struct count {
    char name[64];
    int64_t n;
} count;

static int by_count(const void *a, const void *b)
{
    const count *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

static void add_count(count *counts, int32_t *n, const char *name)
{
    for (int32_t i = 0; i < *n; i++)
        if (strcmp(counts[i].name, name) == 0) {
            counts[i].n++;
            return;
        }
    if (*n == MOST_UNMAPPED) return;
    rg_copy_text(counts[*n].name, sizeof counts[*n].name, name);
    counts[(*n)++].n = 1;
}

static rg_status name_roles(import *im, rg_import_result *result, rg_error *err)
{
    int32_t n = 0;
    count *counts = calloc(MOST_UNMAPPED, sizeof *counts);
    if (!counts) return rg_fail(err, RG_ERR_NOMEM, "no memory for names of instruments");
    for (int64_t i = 0; i < im->list.n; i++) {
        rg__import_song *song = &im->list.songs[i];
        for (int32_t k = 0; k < song->n; k++) {
            rg__import_stem *stem = &song->stems[k];
            stem->role = RG_ROLE_DROP;
            if (stem->hint[0]) stem->role = rg_role_map_find(&im->map, stem->hint, stem->program);
            if (stem->role == RG_ROLE_DROP)
                stem->role = rg_role_map_find(&im->map, stem->label, stem->program);
            if (stem->role == RG_ROLE_DROP) add_count(counts, &n, stem->label);
        }
        if (song->n == 0) rg_fail(&song->fault, RG_ERR_FORMAT, "has no stems");
    }
    qsort(counts, (size_t)n, sizeof *counts, by_count);
    for (int32_t i = 0; i < n; i++)
        rg_text_printf(&result->unmapped, "%6lld  %s\n", (long long)counts[i].n, counts[i].name);
    free(counts);
    return rg_text_status(&result->unmapped, err);
}

/* ---- identity ---- */

static int by_id(const void *a, const void *b)
{
    const rg__import_song *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order ? order : strcmp(x->file, y->file);
}

/* Songs whose names differ in signs only, or are long, get a hash of where they lie. */
static void make_ids_unique(rg__import_list *list)
{
    qsort(list->songs, (size_t)list->n, sizeof *list->songs, by_id);
    char last[RG_ID_SIZE] = "";
    int again = 0;
    for (int64_t i = 0; i < list->n; i++) {
        char *id = list->songs[i].id;
        again = strcmp(id, last) == 0 ? again + 1 : 0;
        rg_copy_text(last, sizeof last, id);
        if (!again) continue;
        const char *file = list->songs[i].file;
        uint32_t place = (uint32_t)rg_xxh3(file, strlen(file)) + (uint32_t)again;
        snprintf(id, RG_ID_SIZE, "%.52s.%08x", last, place);
    }
    qsort(list->songs, (size_t)list->n, sizeof *list->songs, by_id);
}

/* ---- storing ---- */

/* Whether it is there already, with this content on this side of the split. */
static bool is_stored(const rg_store_writer *writer, const rg__import_song *song)
{
    rg_song there;
    return rg_store_find_added(writer, song->id, &there) && there.split == song->split &&
           strcmp(there.group, song->group) == 0 &&
           strcmp(there.content_hash, song->content_hash) == 0;
}

static void store_block(void *ctx, int64_t i, int32_t thread)
{
    import *im = ctx;
    rg__import_song *song = &im->list.songs[i];
    rg__import_room **room = &im->rooms[thread];
    if (song->fault.code == RG_OK && is_stored(im->job.writer, song)) {
        song->stereo = true;
    } else if (song->fault.code == RG_OK) {
        if (!*room) *room = rg__import_room_create();
        if (*room)
            (void)!rg__import_store(&im->job, *room, song, &song->fault);
        else
            rg_fail(&song->fault, RG_ERR_NOMEM, "no memory to import a song");
    }
    pthread_mutex_lock(&im->lock);
    rg_progress_step(&im->progress, im->log, ++im->done, song->title);
    pthread_mutex_unlock(&im->lock);
}

static void tell(const import *im, rg_import_result *result)
{
    bool stereo = im->job.channels == 1 || im->job.options->dry;
    for (int64_t i = 0; i < im->list.n; i++) {
        const rg__import_song *song = &im->list.songs[i];
        size_t k;
        json_t *note;
        stereo |= song->stereo;
        json_array_foreach(song->notes, k, note)
            rg_log_line(im->log, RG_LOG_WARNING, "%s: %s", song->title, json_string_value(note));
        result->warnings += (int64_t)json_array_size(song->notes);
        result->bad += song->fault.code != RG_OK;
        char fault[RG_ERROR_TEXT]; /* paths in it may hold anything */
        rg__import_clean(fault, sizeof fault, song->fault.text);
        if (song->fault.code != RG_OK)
            rg_log_line(im->log, RG_LOG_WARNING, "left out: %s: %s", song->title, fault);
    }
    result->songs = im->list.n - result->bad;
    if (!stereo && result->songs > 0)
        rg_log_line(im->log, RG_LOG_INFO,
                    "every stem is mono; --stereo mean makes a store of half the size");
    rg_log_line(im->log, RG_LOG_INFO, "%lld songs, %lld left out, %lld warnings",
                (long long)result->songs, (long long)result->bad, (long long)result->warnings);
}

/* An earlier import into the same folder may have had songs that are bad now, or gone. */
static bool is_wanted(void *ctx, const char *id)
{
    const rg__import_list *list = &((const import *)ctx)->list;
    int64_t low = 0, high = list->n; /* the list is sorted by id */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(list->songs[middle].id, id);
        if (order == 0) return list->songs[middle].fault.code == RG_OK;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

static rg_status finish(import *im, const rg_import_result *result, rg_error *err)
{
    if (result->songs == 0)
        return rg_fail(err, RG_ERR_FORMAT, "%s: no song could be imported", im->list.root);
    if (result->bad && !im->job.options->skip_bad)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%lld of %lld songs are bad (listed above); mend them and import again, or "
                       "leave them out with --skip-bad",
                       (long long)result->bad, (long long)im->list.n);
    rg_store_writer *writer = im->job.writer;
    RG_TRY(rg_store_keep(writer, is_wanted, im, err));
    im->job.writer = NULL;
    return rg_store_finish(writer, err);
}

/* Settles the splits, then stores the songs. */
static rg_status work(import *im, rg_pool *pool, rg_error *err)
{
    RG_TRY(rg__import_settle(&im->list, pool, err));
    int32_t threads = rg_pool_threads(pool);
    im->rooms = calloc((size_t)threads, sizeof *im->rooms);
    if (!im->rooms) return rg_fail(err, RG_ERR_NOMEM, "no memory to import songs");
    rg_progress_start(&im->progress, "importing", (long long)im->list.n);
    rg_pool_run(pool, store_block, im, im->list.n);
    for (int32_t t = 0; t < threads; t++) rg__import_room_destroy(im->rooms[t]);
    free(im->rooms);
    return RG_OK;
}

static rg_status store_all(import *im, rg_import_result *result, rg_error *err)
{
    char settings[1024];
    static const char *const lengths[] = {"pad", "trim", "error"};
    static const char *const downmixes[] = {"mean", "left", "right", "error", "keep"};
    const rg_import_options *o = im->job.options;
    snprintf(settings, sizeof settings,
             "dataset: %s\nsample_rate: %d\nlengths: %s\nstereo: %s\nrequire: '%.200s'\n"
             "role_map: '%s'\n",
             im->job.importer->name, im->job.rate, lengths[o->lengths], downmixes[o->downmix],
             o->require ? o->require : "", im->job.map_json);
    if (o->same_source && rg_store_is_finished(o->out, settings)) {
        rg_log_line(im->log, RG_LOG_INFO, "%s: the store is complete already", o->out);
        return RG_OK;
    }
    rg_store_info info = {.title = im->job.importer->name,
                          .creator = "resonant dataset import",
                          .license = im->job.importer->license,
                          .references = im->job.importer->references,
                          .config_yaml = settings,
                          .rate = im->job.rate,
                          .channels = im->job.channels,
                          .n_roles = im->map.n};
    for (int32_t r = 0; r < im->map.n; r++) info.roles[r] = im->map.roles[r].name;
    im->job.writer = rg_store_create(im->job.options->out, &info, err);
    if (!im->job.writer) return err ? err->code : RG_ERR_IO;
    rg_pool *pool = rg_pool_create(im->job.options->jobs, 0, false, err);
    if (!pool) return err ? err->code : RG_ERR_NOMEM;
    rg_status status = work(im, pool, err);
    rg_pool_destroy(pool);
    RG_TRY(status);
    tell(im, result);
    return finish(im, result, err);
}

/* ---- the import ---- */

static rg_status check_options(const rg_import_options *o, rg_error *err)
{
    if (!o->dry && (!o->out || !*o->out))
        return rg_fail(err, RG_ERR_USAGE, "the folder of the store is missing (--out STORE)");
    if (o->rate != 0 && (o->rate < 8000 || o->rate > 96000))
        return rg_fail(err, RG_ERR_USAGE, "--rate %d: 8000 to 96000 Hz are allowed", o->rate);
    if (o->jobs < 0 || o->jobs > 256)
        return rg_fail(err, RG_ERR_USAGE, "--jobs %d: 1 to 256 are allowed", o->jobs);
    return RG_OK;
}

static const rg__importer *find_importer(const char *name, rg_error *err)
{
    const char *names[N_IMPORTERS];
    char list[256] = "";
    for (int32_t i = 0; i < N_IMPORTERS; i++) {
        if (strcmp(name, importers[i].name) == 0) return &importers[i];
        names[i] = importers[i].name;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = rg_nearest_name(name, names, N_IMPORTERS);
    rg_fail(err, RG_ERR_USAGE, "data sets of the form '%s' are not known; %s%s%sknown are: %s",
            name, near ? "did you mean '" : "", near ? near : "", near ? "'? " : "", list);
    return NULL;
}

/* The folder that all files must lie in, resolved: the root, or that of a manifest. */
static rg_status resolve_root(import *im, rg_error *err)
{
    const char *root = im->job.options->root;
    char *real = realpath(root, NULL);
    if (!real) return rg_fail(err, RG_ERR_IO, "%s: %s", root, strerror(errno));
    bool fits = rg_copy_text(im->list.root, sizeof im->list.root, real);
    free(real);
    return fits ? RG_OK : rg_fail(err, RG_ERR_USAGE, "%s: the path is too long", root);
}

static rg_status run(import *im, rg_import_result *result, rg_error *err)
{
    const rg_import_options *o = im->job.options;
    im->map = o->roles ? *o->roles : *rg_role_map_stems();
    if (o->role_map) RG_TRY(rg_role_map_load(o->role_map, &im->map, err));
    char *map_json = rg_role_map_to_json(&im->map);
    if (!map_json) return rg_fail(err, RG_ERR_NOMEM, "no memory for the role map");
    im->job.map_json = map_json;
    rg_status status = resolve_root(im, err);
    if (status == RG_OK) status = im->job.importer->find(&im->list, err);
    if (status == RG_OK && im->list.n == 0)
        status = rg_fail(err, RG_ERR_FORMAT, "%s: no songs found; '%s' looks for %s", o->root,
                         im->job.importer->name, im->job.importer->summary);
    if (status == RG_OK) status = name_roles(im, result, err);
    if (status == RG_OK) make_ids_unique(&im->list);
    if (status == RG_OK && o->dry)
        tell(im, result);
    else if (status == RG_OK)
        status = store_all(im, result, err);
    rg_store_abandon(im->job.writer);
    free(map_json);
    return status;
}

rg_status rg_import(const char *name, const rg_import_options *options, rg_import_result *result,
                    const rg_log *log, rg_error *err)
{
    *result = (rg_import_result){0};
    rg_text_init(&result->unmapped, 1 << 20);
    RG_TRY(check_options(options, err));
    const rg__importer *importer = find_importer(name, err);
    if (!importer) return RG_ERR_USAGE;
    import *im = calloc(1, sizeof *im);
    if (!im) return rg_fail(err, RG_ERR_NOMEM, "no memory to import a data set");
    im->job = (rg__import_job){.options = options,
                               .importer = importer,
                               .map = &im->map,
                               .channels = options->downmix == RG_IMPORT_KEEP ? 2 : 1,
                               .rate = options->rate ? options->rate : DEFAULT_RATE};
    im->list.options = options;
    im->list.log = log;
    im->list.label = importer->name;
    im->log = log;
    pthread_mutex_init(&im->lock, NULL);
    rg_status status = run(im, result, err);
    rg__import_free(&im->list);
    pthread_mutex_destroy(&im->lock);
    free(im);
    return status;
}
