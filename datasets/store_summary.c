/*
 * /summary: what is known about all songs of a shard, once more, as a few long arrays.
 *
 * One idea: opening a store of 100,000 songs must not open 400,000 HDF5 objects, so each field of
 * rg_song that a song's own groups hold is one array over the songs (per role: songs x roles), and
 * beats, chords and activity lie end to end. What counts are the songs' groups: `dataset verify`
 * compares both, and shards that have no /summary are read song by song.
 * Not here: the table /songs (store_song.c).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/store_internal.h"

enum { MAX_TIMES = 1 << 28 };

typedef enum field_kind { TEXT, REAL, INT32, UINT64, FLAG } field_kind;

static const struct field {
    const char *name;
    field_kind kind;
    bool per_role;
    size_t offset, size; /* in rg_song, of one value */
} fields[] = {
#define ONE(kind, field)                                                             \
    {                                                                                \
#field, kind, false, offsetof(rg_song, field), sizeof(((rg_song *)0)->field) \
    }
#define EACH(kind, field)                                                              \
    {                                                                                  \
#field, kind, true, offsetof(rg_song, field), sizeof(((rg_song *)0)->field[0]) \
    }
    EACH(FLAG, present),      EACH(REAL, rms_dbfs), EACH(REAL, peak),     EACH(TEXT, instruments),
    ONE(REAL, loudness_lufs), ONE(REAL, gain_db),   ONE(REAL, tempo_bpm), ONE(INT32, meter),
    ONE(INT32, key_tonic),    ONE(INT32, key_mode), ONE(UINT64, xxh3),    ONE(INT32, original_rate),
    ONE(TEXT, signature),     ONE(TEXT, groove),    ONE(TEXT, license),   ONE(TEXT, package),
#undef ONE
#undef EACH
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* The HDF5 type of a field's values in memory and file; to be closed. */
static hid_t type_of(const struct field *f)
{
    switch (f->kind) {
    case TEXT:
        return rg__h5_fixed_text(f->size);
    case REAL:
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    case INT32:
        return H5Tcopy(H5T_NATIVE_INT32);
    case UINT64:
        return H5Tcopy(H5T_NATIVE_UINT64);
    default:
        return H5Tcopy(H5T_NATIVE_UINT8);
    }
}

static size_t values_of(const struct field *f, int32_t n_roles)
{
    return f->per_role ? (size_t)n_roles : 1;
}

/* ---- writing ---- */

static bool write_field(hid_t at, const struct field *f, int32_t n_roles, const rg_song *songs,
                        int64_t n)
{
    size_t row = values_of(f, n_roles) * f->size;
    char *packed = malloc((size_t)n * row);
    for (int64_t i = 0; packed && i < n; i++)
        memcpy(packed + (size_t)i * row, (const char *)&songs[i] + f->offset, row);
    hid_t type = type_of(f);
    bool ok = packed && rg__h5_write(at, f->name, type, packed, (hsize_t)n * values_of(f, n_roles));
    H5Tclose(type);
    free(packed);
    return ok;
}

/* Arrays of the songs, end to end. */
typedef struct pile {
    int64_t n;
    char *data; /* heap */
} pile;

static bool pile_up(pile *p, const void *data, int64_t n, size_t size)
{
    char *grown = realloc(p->data, (size_t)(p->n + n) * size + 1);
    if (!grown) return false;
    if (n > 0) memcpy(grown + (size_t)p->n * size, data, (size_t)n * size);
    p->data = grown;
    p->n += n;
    return true;
}

typedef enum pile_name { BEATS, DOWNBEATS, CHORDS, ACTIVITY, PILES } pile_name;

/* Songs without chords write none, as their own groups do. */
static bool write_arrays(hid_t at, const pile p[PILES])
{
    return rg__h5_write(at, "beats_s", H5T_NATIVE_DOUBLE, p[BEATS].data, (hsize_t)p[BEATS].n) &&
           rg__h5_write(at, "downbeats_s", H5T_NATIVE_DOUBLE, p[DOWNBEATS].data,
                        (hsize_t)p[DOWNBEATS].n) &&
           rg__h5_write(at, "activity", H5T_NATIVE_UINT8, p[ACTIVITY].data,
                        (hsize_t)p[ACTIVITY].n) &&
           rg__store_write_chords(at, (const rg_song_chord *)p[CHORDS].data, p[CHORDS].n);
}

static const char *const count_names[] = {"n_beats", "n_downbeats", "n_chords"};
enum { COUNTS = 3 };

static bool write_piles(hid_t at, int32_t n_roles, const rg_song *songs, int64_t n)
{
    pile p[PILES] = {{0}};
    int64_t *counts = malloc(COUNTS * (size_t)n * sizeof *counts);
    bool ok = counts != NULL;
    for (int64_t i = 0; ok && i < n; i++) {
        const rg_song *s = &songs[i];
        counts[i] = s->n_beats;
        counts[n + i] = s->n_downbeats;
        counts[2 * n + i] = s->n_chords;
        ok = pile_up(&p[BEATS], s->beats, s->n_beats, sizeof *s->beats) &&
             pile_up(&p[DOWNBEATS], s->downbeats, s->n_downbeats, sizeof *s->downbeats) &&
             pile_up(&p[CHORDS], s->chords, s->n_chords, sizeof *s->chords) &&
             pile_up(&p[ACTIVITY], s->activity, s->n_activity * n_roles, 1);
    }
    for (int c = 0; ok && c < COUNTS; c++)
        ok = rg__h5_write(at, count_names[c], H5T_NATIVE_INT64, counts + c * n, (hsize_t)n);
    ok = ok && write_arrays(at, p);
    free(counts);
    for (int k = 0; k < PILES; k++) free(p[k].data);
    return ok;
}

/* Where the songs' samples lie in the file. */
static bool write_offsets(hid_t file, hid_t at, const rg_song *songs, int64_t n)
{
    int64_t *offsets = malloc((size_t)n * sizeof *offsets);
    bool ok = offsets != NULL;
    for (int64_t i = 0; ok && i < n; i++) {
        char name[128];
        snprintf(name, sizeof name, "/audio/%s", songs[i].id);
        hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
        haddr_t offset = set >= 0 ? H5Dget_offset(set) : HADDR_UNDEF;
        if (set >= 0) H5Dclose(set);
        ok = offset != HADDR_UNDEF;
        offsets[i] = (int64_t)offset;
    }
    ok = ok && rg__h5_write(at, "audio_offset", H5T_NATIVE_INT64, offsets, (hsize_t)n);
    free(offsets);
    return ok;
}

bool rg__store_write_summary(hid_t file, int32_t n_roles, const rg_song *songs, int64_t n)
{
    if (!rg__h5_make_group(file, RG__STORE_SUMMARY)) return false;
    hid_t at = H5Gopen2(file, RG__STORE_SUMMARY, H5P_DEFAULT);
    bool ok = at >= 0;
    for (size_t f = 0; ok && f < FIELDS; f++) ok = write_field(at, &fields[f], n_roles, songs, n);
    ok = ok && write_piles(at, n_roles, songs, n) && write_offsets(file, at, songs, n);
    if (at >= 0) ok = H5Gclose(at) >= 0 && ok;
    return ok;
}

/* ---- reading ---- */

static void take_value(const struct field *f, char *to, const char *from)
{
    memcpy(to, from, f->size);
    if (f->kind == TEXT) {
        to[f->size - 1] = 0;
        rg_song_clean_text(to);
    }
    if (f->kind == FLAG) *(bool *)to = *from != 0;
}

static bool read_field(hid_t at, const struct field *f, int32_t n_roles, rg_song *songs, int64_t n)
{
    size_t values = values_of(f, n_roles), row = values * f->size;
    char *packed = calloc((size_t)n, row);
    hid_t type = type_of(f);
    bool ok = packed && rg__h5_read(at, f->name, type, packed, (hsize_t)n * values);
    for (int64_t i = 0; ok && i < n; i++)
        for (size_t v = 0; v < values; v++)
            take_value(f, (char *)&songs[i] + f->offset + v * f->size,
                       packed + (size_t)i * row + v * f->size);
    H5Tclose(type);
    free(packed);
    return ok;
}

/* Sum of n counts; -1 when one is out of range. */
static int64_t sum_of(const int64_t *counts, int64_t n)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (counts[i] < 0 || counts[i] > MAX_TIMES || sum > MAX_TIMES) return -1;
        sum += counts[i];
    }
    return sum;
}

/* What lies end to end in the block of a shard; moved on from song to song. */
typedef struct lists {
    double *beats, *downbeats;
    rg_song_chord *chords;
    uint8_t *activity;
} lists;

/* The next song's part of the lists. */
static bool take_lists(lists *l, int32_t n_roles, rg_song *s)
{
    s->beats = l->beats;
    s->downbeats = l->downbeats;
    s->chords = l->chords;
    s->activity = l->activity;
    l->beats += s->n_beats;
    l->downbeats += s->n_downbeats;
    l->chords += s->n_chords;
    l->activity += s->n_activity * n_roles;
    return rg__song_is_sound(s);
}

/* One block for all songs of the shard: beats, downbeats, chords, activity. */
static bool read_piles(hid_t at, int32_t n_roles, rg_song *songs, int64_t n, const int64_t *counts,
                       void **block)
{
    int64_t sums[COUNTS], bytes = 0;
    for (int c = 0; c < COUNTS; c++)
        if ((sums[c] = sum_of(counts + c * n, n)) < 0) return false;
    for (int64_t i = 0; i < n; i++) bytes += songs[i].n_activity * n_roles;
    if (rg__h5_length(at, "beats_s") != sums[0] || rg__h5_length(at, "downbeats_s") != sums[1] ||
        (sums[2] > 0 && rg__h5_length(at, "chords_start_s") != sums[2]) ||
        rg__h5_length(at, "activity") != bytes)
        return false;
    *block = malloc((size_t)(sums[0] + sums[1]) * sizeof(double) +
                    (size_t)sums[2] * sizeof(rg_song_chord) + (size_t)bytes + 1);
    if (!*block) return false;
    lists l = {.beats = *block};
    l.downbeats = l.beats + sums[0];
    l.chords = (rg_song_chord *)(l.downbeats + sums[1]);
    l.activity = (uint8_t *)(l.chords + sums[2]);
    bool ok = rg__h5_read(at, "beats_s", H5T_NATIVE_DOUBLE, l.beats, (hsize_t)sums[0]) &&
              rg__h5_read(at, "downbeats_s", H5T_NATIVE_DOUBLE, l.downbeats, (hsize_t)sums[1]) &&
              rg__store_load_chords(at, l.chords, sums[2]) &&
              rg__h5_read(at, "activity", H5T_NATIVE_UINT8, l.activity, (hsize_t)bytes);
    for (int64_t i = 0; ok && i < n; i++) {
        songs[i].n_beats = counts[i];
        songs[i].n_downbeats = counts[n + i];
        songs[i].n_chords = counts[2 * n + i];
        ok = take_lists(&l, n_roles, &songs[i]);
    }
    return ok;
}

bool rg__store_has_summary(hid_t file)
{
    return H5Lexists(file, RG__STORE_SUMMARY, H5P_DEFAULT) > 0;
}

rg_status rg__store_read_summary(hid_t file, const char *path, int32_t n_roles, rg_song *songs,
                                 int64_t *offsets, int64_t n, void **block, rg_error *err)
{
    hid_t at = H5Gopen2(file, RG__STORE_SUMMARY, H5P_DEFAULT);
    int64_t *counts = malloc(COUNTS * (size_t)n * sizeof *counts);
    bool ok = at >= 0 && counts;
    *block = NULL;
    for (size_t f = 0; ok && f < FIELDS; f++) ok = read_field(at, &fields[f], n_roles, songs, n);
    for (int c = 0; ok && c < COUNTS; c++)
        ok = rg__h5_read(at, count_names[c], H5T_NATIVE_INT64, counts + c * n, (hsize_t)n);
    ok = ok && rg__h5_read(at, "audio_offset", H5T_NATIVE_INT64, offsets, (hsize_t)n) &&
         read_piles(at, n_roles, songs, n, counts, block);
    if (at >= 0) H5Gclose(at);
    free(counts);
    if (ok) return RG_OK;
    free(*block);
    *block = NULL;
    return rg__h5_fail(err, RG_ERR_FORMAT, path, "its " RG__STORE_SUMMARY " is malformed");
}

/* ---- comparing ---- */

const char *rg__store_compare(int32_t n_roles, const rg_song *a, const rg_song *b)
{
    for (size_t f = 0; f < FIELDS; f++)
        if (fields[f].kind == TEXT) {
            for (size_t v = 0; v < values_of(&fields[f], n_roles); v++)
                if (strcmp((const char *)a + fields[f].offset + v * fields[f].size,
                           (const char *)b + fields[f].offset + v * fields[f].size) != 0)
                    return fields[f].name;
        } else if (memcmp((const char *)a + fields[f].offset, (const char *)b + fields[f].offset,
                          values_of(&fields[f], n_roles) * fields[f].size) != 0)
            return fields[f].name;
    if (a->n_beats != b->n_beats ||
        memcmp(a->beats, b->beats, (size_t)a->n_beats * sizeof *a->beats) != 0)
        return "beats";
    if (a->n_downbeats != b->n_downbeats ||
        memcmp(a->downbeats, b->downbeats, (size_t)a->n_downbeats * sizeof *a->downbeats) != 0)
        return "downbeats";
    if (a->n_chords != b->n_chords ||
        memcmp(a->chords, b->chords, (size_t)a->n_chords * sizeof *a->chords) != 0)
        return "chords";
    if (a->n_activity != b->n_activity ||
        memcmp(a->activity, b->activity, (size_t)(a->n_activity * n_roles)) != 0)
        return "activity";
    return NULL;
}
