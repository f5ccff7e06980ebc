/*
 * What is odd about a store's songs: what the importer noted, what labels and levels show.
 *
 * One idea: a kind of oddity is a row of a table with the function that finds it; the page says how
 * many songs each concerns, and which.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "eval/store_page_internal.h"

enum { MOST_LISTED = 300 };

typedef struct finder {
    rg__page *p;
    int64_t listed, found;
} finder;

static void add_warning(finder *f, const char *song, const char *what, const char *detail)
{
    rg_text *out = &f->p->out;
    f->found++;
    if (f->listed == MOST_LISTED) return;
    f->listed++;
    rg_text_add(out, "<li><b>");
    rg_html_escape(out, song);
    rg_text_add(out, "</b>: ");
    rg_html_escape(out, what);
    rg_html_escape(out, detail);
    rg_text_add(out, "</li>\n");
}

/* ---- levels ---- */

static const double full_scale = 0.9999, faint_dbfs = -60, rare_share = 0.05;

static bool is_clipped(const rg_store *store, int64_t song, int32_t r)
{
    return rg_store_song(store, song)->peak[r] >= full_scale;
}

static bool is_faint(const rg_store *store, int64_t song, int32_t r)
{
    return rg_store_song(store, song)->rms_dbfs[r] < faint_dbfs;
}

static bool is_rare(const rg_store *store, int64_t song, int32_t r)
{
    const rg_song *s = rg_store_song(store, song);
    return !is_faint(store, song, r) &&
           rg_store_active_share(store, song, r, 0, s->frames) < rare_share;
}

static const struct {
    bool (*holds)(const rg_store *store, int64_t song, int32_t role);
    const char *text;
} oddities[] = {
    {is_clipped, "reaches full scale: "},
    {is_faint, "is below -60 dBFS: "},
    {is_rare, "sounds in less than 5 % of the song: "},
};

static void check_levels(finder *f, int64_t song)
{
    const rg_store *store = f->p->store;
    const rg_song *s = rg_store_song(store, song);
    for (size_t k = 0; k < sizeof oddities / sizeof oddities[0]; k++)
        for (int32_t r = 0; r < rg_store_roles(store); r++)
            if (s->present[r] && oddities[k].holds(store, song, r))
                add_warning(f, s->id, oddities[k].text, rg_store_role(store, r));
}

/* ---- songs of equal content or group on two sides of the split ---- */

typedef struct keyed {
    const char *key;
    const rg_song *song;
} keyed;

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : strcmp(x->song->id, y->song->id);
}

static rg_status check_sides(finder *f, size_t offset, const char *what, rg_error *err)
{
    int64_t n = rg_store_songs(f->p->store);
    keyed *songs = malloc((size_t)n * sizeof *songs);
    if (!songs) return rg_fail(err, RG_ERR_NOMEM, "no memory for a list of songs");
    for (int64_t i = 0; i < n; i++) {
        songs[i].song = rg_store_song(f->p->store, i);
        songs[i].key = (const char *)songs[i].song + offset;
    }
    qsort(songs, (size_t)n, sizeof *songs, by_key);
    for (int64_t i = 1; i < n; i++)
        if (songs[i].key[0] && strcmp(songs[i].key, songs[i - 1].key) == 0 &&
            songs[i].song->split != songs[i - 1].song->split)
            add_warning(f, songs[i].song->id, what, songs[i - 1].song->id);
    free(songs);
    return RG_OK;
}

/* ---- what the importer noted ---- */

static rg_status check_notes(finder *f, int64_t song, rg_error *err)
{
    rg_provenance from;
    rg_error ignored = {0};
    size_t k;
    json_t *note;
    const char *id = rg_store_song(f->p->store, song)->id;
    RG_TRY(rg_store_provenance(f->p->store, song, &from, err));
    json_t *map = rg_json_parse(from.role_map_json, strlen(from.role_map_json), id, &ignored);
    json_array_foreach(json_object_get(map, "notes"), k, note) if (json_is_string(note))
        add_warning(f, id, json_string_value(note), "");
    json_decref(map);
    if (strcmp(from.license, "LicenseRef-unknown") == 0)
        add_warning(f, id, "its licence is not known", "");
    rg_provenance_free(&from);
    return RG_OK;
}

static rg_status find_all(finder *f, rg_error *err)
{
    RG_TRY(check_sides(f, offsetof(rg_song, content_hash),
                       "has the content of a song on another side of the split: ", err));
    RG_TRY(check_sides(f, offsetof(rg_song, group),
                       "is of the group of a song on another side of the split: ", err));
    for (int64_t i = 0; i < rg_store_songs(f->p->store); i++) {
        check_levels(f, i);
        RG_TRY(check_notes(f, i, err));
    }
    return RG_OK;
}

rg_status rg__page_warnings(rg__page *p, rg_error *err)
{
    finder f = {.p = p};
    rg_text_add(&p->out, "<ul class=\"warnings\">\n");
    rg_status status = find_all(&f, err);
    rg_text_add(&p->out, "</ul>\n");
    if (f.found > f.listed)
        rg_text_printf(&p->out, "<p>The first %lld of %lld.</p>\n", (long long)f.listed,
                       (long long)f.found);
    if (f.found == 0) rg_text_add(&p->out, "<p>None.</p>\n");
    return status == RG_OK ? rg_text_status(&p->out, err) : status;
}
