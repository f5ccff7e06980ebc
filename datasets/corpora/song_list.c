/*
 * Reading candidate songs out of unpacked packages (song_list.h).
 */
#include "datasets/corpora/song_list.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/fs.h"
#include "base/hash.h"
#include "datasets/corpora/wad.h"

enum { LEAST_NOTES = 100, LARGEST_FILE = 256 << 20, DEEPEST = 4 };
static const double least_seconds = 15, near_duplicate = 0.35;

/* What is common to the songs of one call. */
typedef struct adding {
    rg_song_list *list;
    const rg_song_source *source;
    const rg_package *package;
    const rg_log *log;
    rg_error *err;
} adding;

static bool excluded(const rg_song_source *source, const char *stem)
{
    for (const char *const *e = source->excluded; e && *e; e++)
        if (strcmp(*e, stem) == 0) return true;
    return false;
}

static bool is_double(const rg_song_list *list, const rg_candidate *song)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->songs[i].content_hash, song->content_hash) == 0) return true;
    return false;
}

/* Files of one name in several folders get numbers. */
static void make_id(const rg_song_list *list, const rg_song_source *source, const char *stem,
                    char id[RG_ID_SIZE])
{
    char numbered[140];
    rg_song_make_id(id, source->label, stem);
    for (int64_t i = 0, copy = 2; i < list->n; i++)
        if (strcmp(list->songs[i].id, id) == 0) {
            snprintf(numbered, sizeof numbered, "%s %lld", stem, (long long)copy++);
            rg_song_make_id(id, source->label, numbered);
            i = -1; /* the new one may be there too */
        }
}

static rg_status grow(rg_song_list *list, rg_error *err)
{
    if (list->n < list->capacity) return RG_OK;
    int64_t capacity = list->capacity ? 2 * list->capacity : 64;
    rg_candidate *songs = realloc(list->songs, (size_t)capacity * sizeof *songs);
    if (!songs) return rg_fail(err, RG_ERR_NOMEM, "no memory for the list of songs");
    list->songs = songs;
    list->capacity = capacity;
    return RG_OK;
}

static rg_status add_song(adding *a, const void *data, size_t n, const char *stem, const char *file)
{
    rg_song_list *list = a->list;
    rg_error parsing = {0};
    if (excluded(a->source, stem)) return RG_OK;
    RG_TRY(grow(list, a->err));
    rg_candidate *song = &list->songs[list->n];
    *song = (rg_candidate){.source = a->source, .package = a->package};
    if (rg_midi_parse(data, n, file, &song->midi, &parsing) != RG_OK) {
        rg_log_line(a->log, RG_LOG_WARNING, "left out: %s", parsing.text);
        list->unusable++;
        return RG_OK;
    }
    make_id(list, a->source, stem, song->id);
    rg_song_make_title(song->title, stem);
    rg_copy_text(song->file, sizeof song->file, file);
    rg_sha256_of(data, n, song->sha256);
    rg_midi_content_hash(&song->midi, song->content_hash);
    bool usable = song->midi.n_notes >= LEAST_NOTES && song->midi.seconds >= least_seconds;
    bool twice = usable && is_double(list, song);
    list->unusable += !usable;
    list->doubles += twice;
    if (usable && !twice)
        list->n++;
    else
        rg_midi_free(&song->midi);
    return RG_OK;
}

static rg_status add_lumps(adding *a, const char *data, size_t n, const char *stem,
                           const char *file)
{
    int64_t next = 0;
    rg_lump lump;
    for (;;) {
        RG_TRY(rg_wad_next(data, n, file, "D_", &next, &lump, a->err));
        if (next < 0) return RG_OK;
        char name[128], path[256];
        snprintf(name, sizeof name, "%.100s %s", stem, lump.name);
        snprintf(path, sizeof path, "%.230s#%s", file, lump.name);
        RG_TRY(add_song(a, lump.data, lump.n, name, path));
    }
}

/* A gzip file as it was before, at most RG_MIDI_MAX_BYTES; false when it is damaged or longer. */
static bool unzip(const char *data, size_t n, char **out, size_t *size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)n};
    *out = malloc(RG_MIDI_MAX_BYTES);
    if (!*out || inflateInit2(&z, 15 + 16) != Z_OK) return false;
    z.next_out = (Bytef *)*out;
    z.avail_out = RG_MIDI_MAX_BYTES;
    bool whole = inflate(&z, Z_FINISH) == Z_STREAM_END;
    *size = z.total_out;
    inflateEnd(&z);
    return whole;
}

static rg_status add_zipped(adding *a, const char *data, size_t n, const char *stem,
                            const char *file)
{
    char *song = NULL;
    size_t size = 0;
    rg_status status = RG_OK;
    if (unzip(data, n, &song, &size)) {
        status = add_song(a, song, size, stem, file);
    } else {
        rg_log_line(a->log, RG_LOG_WARNING, "left out: %s: cannot be unzipped", file);
        a->list->unusable++;
    }
    free(song);
    return status;
}

/* The name without the suffix, and without ".gz" behind it; false: no song's name. */
static bool split_name(const char *name, const char *suffix, char stem[128], bool *zipped)
{
    size_t length = strlen(name), end = strlen(suffix);
    *zipped = length > 3 && strcasecmp(name + length - 3, ".gz") == 0;
    if (*zipped) length -= 3;
    if (length <= end || strncasecmp(name + length - end, suffix, end) != 0) return false;
    snprintf(stem, 128, "%.*s", (int)(length - end), name);
    return true;
}

/* `path` on this machine, `file` below the package's root. */
static rg_status add_file(adding *a, const char *path, const char *file)
{
    char stem[128], *data = NULL;
    size_t n = 0;
    bool zipped;
    if (!split_name(rg_fs_base_name(file), a->source->suffix, stem, &zipped)) return RG_OK;
    RG_TRY(rg_fs_read_all(path, LARGEST_FILE, &data, &n, a->err));
    rg_status status = zipped                                   ? add_zipped(a, data, n, stem, file)
                       : strcmp(a->source->suffix, ".wad") == 0 ? add_lumps(a, data, n, stem, file)
                                                                : add_song(a, data, n, stem, file);
    free(data);
    return status;
}

static rg_status add_folder(adding *a, const char *path, const char *folder, int depth)
{
    char inner[1400], file[256], **names = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_list(path, &names, &n, a->err));
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        status = rg_fs_join(inner, sizeof inner, path, names[i], a->err);
        if (status == RG_OK) status = rg_fs_join(file, sizeof file, folder, names[i], a->err);
        if (status != RG_OK) break;
        if (rg_fs_is_file(inner))
            status = add_file(a, inner, file);
        else if (depth < DEEPEST && rg_fs_is_folder(inner))
            status = add_folder(a, inner, file, depth + 1);
    }
    rg_fs_free_names(names, n);
    return status;
}

rg_status rg_song_list_add(rg_song_list *list, const rg_song_source *source,
                           const rg_package *package, const rg_log *log, rg_error *err)
{
    adding a = {list, source, package, log, err};
    char folder[1300];
    int64_t before = list->n;
    RG_TRY(rg_fs_join(folder, sizeof folder, package->root, source->folder, err));
    rg_status status = add_folder(&a, folder, source->folder, 0);
    if (status == RG_OK && list->n == before)
        status = rg_fail(err, RG_ERR_FORMAT, "%s: no song in it; package %s %s is not as expected",
                         folder, package->name, package->version);
    return status;
}

/* ---- groups ---- */

static void join_groups(rg_song_list *list, const char *a, const char *b)
{
    char low[33], high[33];
    rg_copy_text(low, sizeof low, strcmp(a, b) < 0 ? a : b);
    rg_copy_text(high, sizeof high, strcmp(a, b) < 0 ? b : a);
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->songs[i].group, high) == 0)
            rg_copy_text(list->songs[i].group, sizeof list->songs[i].group, low);
}

rg_status rg_song_list_group(rg_song_list *list, rg_error *err)
{
    uint64_t **runs = calloc((size_t)list->n + 1, sizeof *runs);
    int64_t *count = calloc((size_t)list->n + 1, sizeof *count);
    rg_status status = RG_OK;
    if (!runs || !count) status = rg_fail(err, RG_ERR_NOMEM, "no memory to compare songs");
    for (int64_t i = 0; status == RG_OK && i < list->n; i++) {
        rg_candidate *song = &list->songs[i];
        rg_copy_text(song->group, sizeof song->group, song->content_hash);
        status = rg_midi_signature(&song->midi, &runs[i], &count[i], err);
    }
    for (int64_t i = 0; status == RG_OK && i < list->n; i++)
        for (int64_t k = 0; k < i; k++)
            if (rg_midi_likeness(runs[i], count[i], runs[k], count[k]) > near_duplicate)
                join_groups(list, list->songs[i].group, list->songs[k].group);
    for (int64_t i = 0; runs && i < list->n; i++) free(runs[i]);
    free(runs);
    free(count);
    return status;
}

void rg_song_list_remove(rg_song_list *list, int64_t i)
{
    rg_midi_free(&list->songs[i].midi);
    list->n--;
    memmove(&list->songs[i], &list->songs[i + 1], (size_t)(list->n - i) * sizeof *list->songs);
}

void rg_song_list_free(rg_song_list *list)
{
    for (int64_t i = 0; i < list->n; i++) rg_midi_free(&list->songs[i].midi);
    free(list->songs);
    *list = (rg_song_list){0};
}
