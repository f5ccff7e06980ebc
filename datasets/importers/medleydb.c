/*
 * MedleyDB: TRACK/{TRACK_MIX.wav, TRACK_STEMS/TRACK_STEM_01.wav, TRACK_METADATA.yaml}.
 *
 * One idea: the metadata names each stem's instrument and, for some, its part in the music: the
 * component, bass or melody, decides the role, but not of voices, whose role is their own.
 * Metadata may also lie together, in Metadata/ beside or above the audio. The data set has no
 * split: contents decide. Not here: the raw recordings behind the stems.
 */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "datasets/importers/import_internal.h"

enum { ARENA = 16 << 20, DEPTH = 3 };

static bool is_voice(const char *instrument)
{
    static const char *const voices[] = {"singer",   "speaker", "rapper",     "screamer",
                                         "vocalist", "choir",   "beatboxing", "vocals"};
    for (size_t i = 0; i < sizeof voices / sizeof *voices; i++)
        if (strstr(instrument, voices[i])) return true;
    return false;
}

/* One name, or several as "violin, viola". */
static void instrument_of(const rg_yaml_node *stem, char *out, size_t size)
{
    const rg_yaml_node *node = rg_yaml_member(stem, "instrument");
    out[0] = 0;
    if (!node || node->kind == RG_YAML_MAP) return;
    if (node->kind == RG_YAML_SCALAR) rg_copy_text(out, size, node->text);
    for (const rg_yaml_node *one = node->first; one; one = one->next) {
        size_t used = strlen(out);
        if (one->kind == RG_YAML_SCALAR)
            snprintf(out + used, size - used, "%s%s", used ? ", " : "", one->text);
    }
}

typedef struct track {
    rg__import_list *list;
    rg__import_song *song;
    const char *folder, *stem_folder;
    bool bleeds;
} track;

static void add_stem(const track *t, const rg_yaml_node *stem)
{
    char instrument[64], name[RG__IMPORT_PATH];
    const char *file = rg__import_scalar(stem, "filename");
    if (!*file) {
        rg_fail(&t->song->fault, RG_ERR_FORMAT, "metadata, line %d: a stem needs a filename",
                stem->key_line);
        return;
    }
    if (rg_fs_join(name, sizeof name, t->stem_folder, file, &t->song->fault) != RG_OK) return;
    instrument_of(stem, instrument, sizeof instrument);
    rg__import_stem *added = rg__import_stem_file(t->list, t->song, t->folder, name,
                                                  *instrument ? instrument : stem->key, -1);
    if (!added) return;
    added->bleed = t->bleeds;
    if (!is_voice(instrument))
        rg__import_clean(added->hint, sizeof added->hint, rg__import_scalar(stem, "component"));
}

static void add_track(rg__import_list *list, rg__import_song *song, const char *folder,
                      const char *id, const rg_yaml_node *root)
{
    char mix[300], stems[300];
    const char *text = rg__import_scalar(root, "mix_filename");
    snprintf(mix, sizeof mix, "%.128s%s", *text ? text : id, *text ? "" : "_MIX.wav");
    text = rg__import_scalar(root, "stem_dir");
    snprintf(stems, sizeof stems, "%.128s%s", *text ? text : id, *text ? "" : "_STEMS");
    track t = {.list = list, .song = song, .folder = folder, .stem_folder = stems};
    t.bleeds = strcmp(rg__import_scalar(root, "has_bleed"), "yes") == 0;
    if (t.bleeds) rg__import_note(song, "its stems bleed into each other");
    rg__import_clean(song->genre, sizeof song->genre, rg__import_scalar(root, "genre"));
    const rg_yaml_node *all = rg_yaml_member(root, "stems");
    if (!all || all->kind != RG_YAML_MAP)
        rg_fail(&song->fault, RG_ERR_FORMAT, "its metadata has no map 'stems'");
    else
        for (const rg_yaml_node *s = all->first; s; s = s->next) add_stem(&t, s);
    rg__import_mixture_file(list, song, folder, mix);
}

/* Where a track's metadata lies, of the places that releases use; false when nowhere. */
static bool find_metadata(const rg__import_list *list, const char *folder, const char *id,
                          char place[RG__IMPORT_PATH], char name[300])
{
    static const char *const below[] = {"", "/../Metadata", "/../../Metadata"};
    snprintf(name, 300, "%.255s_METADATA.yaml", id);
    for (size_t i = 0; i <= sizeof below / sizeof *below; i++) {
        char path[RG__IMPORT_PATH];
        bool up = i < sizeof below / sizeof *below;
        int n = snprintf(place, RG__IMPORT_PATH, "%s%s", up ? folder : list->root,
                         up ? below[i] : "/Metadata");
        if (n < RG__IMPORT_PATH && rg_fs_join(path, sizeof path, place, name, NULL) == RG_OK &&
            rg_fs_exists(path))
            return true;
    }
    return false;
}

static rg_status one_song(rg__import_list *list, const char *folder, const char *id, bool *is_song,
                          rg_error *err)
{
    char place[RG__IMPORT_PATH], name[300], stems[300], path[RG__IMPORT_PATH];
    bool known = find_metadata(list, folder, id, place, name);
    snprintf(stems, sizeof stems, "%.255s_STEMS", id);
    RG_TRY(rg_fs_join(path, sizeof path, folder, stems, err));
    *is_song = known || rg_fs_is_folder(path);
    if (!*is_song) return RG_OK;
    rg_error fault = {0};
    rg_arena *arena = rg_arena_create(ARENA, "metadata", err);
    if (!arena) return RG_ERR_NOMEM;
    const rg_yaml_node *root = known ? rg__import_yaml(list, place, name, arena, &fault) : NULL;
    if (!known) rg_fail(&fault, RG_ERR_FORMAT, "'%s' is missing", name);
    const char *artist = rg__import_scalar(root, "artist");
    const char *title = rg__import_scalar(root, "title");
    char both[300];
    snprintf(both, sizeof both, "%.100s%s%.180s", artist, *artist && *title ? " - " : "", title);
    rg__import_song *song = rg__import_add(list, *title ? both : id, id, err);
    if (song) {
        song->fault = fault;
        if (root) add_track(list, song, folder, id, root);
    }
    rg_arena_destroy(arena);
    return song ? RG_OK : err ? err->code : RG_ERR_NOMEM;
}

rg_status rg__import_find_medleydb(rg__import_list *list, rg_error *err)
{
    return rg__import_search(list, DEPTH, one_song, err);
}
