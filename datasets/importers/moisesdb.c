/*
 * MoisesDB: moisesdb_v0.1/UUID/{data.json, STEM/TRACK.wav}.
 *
 * One idea: data.json lists stems, each a list of recorded tracks; every track is added to the role
 * of its stem, so a stem named twice is one. "other" holds effects and click tracks and has no
 * role; its tracks keep the names of their types. The data set has no split: contents decide.
 */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "datasets/importers/import_internal.h"

enum { MOST_BYTES = 1 << 20 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void add_track(const rg__import_list *list, rg__import_song *song, const char *folder,
                      const char *stem, const json_t *track)
{
    char name[512];
    const char *id = text_of(track, "id"), *type = text_of(track, "trackType");
    int n = snprintf(name, sizeof name, "%s/%s.%s", stem, id, text_of(track, "extension"));
    if (!*stem || !*id || n >= (int)sizeof name) {
        rg_fail(&song->fault, RG_ERR_FORMAT, "data.json: a track needs an id and an extension");
        return;
    }
    rg__import_stem *added =
        rg__import_stem_file(list, song, folder, name, *type ? type : stem, -1);
    if (!added) return;
    if (strcmp(stem, "other") != 0) rg__import_clean(added->hint, sizeof added->hint, stem);
    if (json_is_true(json_object_get(track, "has_bleed"))) rg__import_bleeds(song, added);
}

static void add_stems(const rg__import_list *list, rg__import_song *song, const char *folder,
                      const json_t *root)
{
    json_t *stems = rg_json_get_array(root, "stems", "data.json", &song->fault), *stem, *track;
    size_t i, k;
    json_array_foreach(stems, i, stem)
    {
        json_t *tracks = rg_json_get_array(stem, "tracks", "data.json", &song->fault);
        json_array_foreach(tracks, k, track)
            add_track(list, song, folder, text_of(stem, "stemName"), track);
    }
}

static rg_status one_song(rg__import_list *list, const char *folder, const char *id, bool *is_song,
                          rg_error *err)
{
    char path[RG__IMPORT_PATH], name[300];
    rg_error fault = {0};
    RG_TRY(rg_fs_join(path, sizeof path, folder, "data.json", err));
    *is_song = rg_fs_exists(path);
    if (!*is_song) return RG_OK;
    json_t *root = NULL;
    if (rg__import_metadata(list, folder, "data.json", path, &fault))
        root = rg_json_read(path, MOST_BYTES, &fault);
    const char *artist = text_of(root, "artist"), *title = text_of(root, "song");
    snprintf(name, sizeof name, "%.100s%s%.180s", artist, *artist && *title ? " - " : "", title);
    rg__import_song *song = rg__import_add(list, *title ? name : id, id, err);
    if (song) {
        song->fault = fault;
        rg__import_clean(song->genre, sizeof song->genre, text_of(root, "genre"));
        if (fault.code == RG_OK) add_stems(list, song, folder, root);
    }
    json_decref(root);
    return song ? RG_OK : err ? err->code : RG_ERR_NOMEM;
}

rg_status rg__import_find_moisesdb(rg__import_list *list, rg_error *err)
{
    return rg__import_search(list, 2, one_song, err);
}
