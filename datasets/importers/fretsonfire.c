/*
 * Songs of the game Frets on Fire: SONG/{guitar.ogg, song.ogg, rhythm.ogg, song.ini}.
 *
 * One idea: recordings of real players, the guitar on a track of its own and "song" everything
 * else; rhythm.ogg, where there is one, is a bass or second guitar. They are few and for checks
 * of codecs on sound that no synthesizer made, so all of them are test songs.
 */
#include <string.h>

#include "base/fs.h"
#include "datasets/importers/import_internal.h"

/* Collections whose licence is known, by the folder that holds their songs. */
static const struct {
    const char *folder, *license;
} collections[] = {{"muldjord", "CC-BY-SA-3.0"}, {"sectoid", "MIT"}};

static const char *license_of(const char *path)
{
    char part[40];
    for (size_t i = 0; i < sizeof collections / sizeof collections[0]; i++) {
        rg_format(part, sizeof part, "/%s/", collections[i].folder);
        if (strstr(path, part)) return collections[i].license;
    }
    return "";
}

static bool has_file(const char *folder, const char *name)
{
    char path[RG__IMPORT_PATH];
    rg_error ignored = {0};
    return rg_fs_join(path, sizeof path, folder, name, &ignored) == RG_OK && rg_fs_exists(path);
}

static rg_status one_song(rg__import_list *list, const char *folder, const char *name,
                          bool *is_song, rg_error *err)
{
    *is_song = has_file(folder, "song.ogg") || has_file(folder, "guitar.ogg");
    if (!*is_song) return RG_OK;
    rg__import_song *song = rg__import_add(list, name, name, err);
    if (!song) return err ? err->code : RG_ERR_NOMEM;
    song->split = RG_SPLIT_TEST;
    song->has_split = true;
    rg_copy_text(song->license, sizeof song->license, license_of(folder));
    rg__import_stem_file(list, song, folder, "guitar.ogg", "guitar", -1);
    rg__import_stem_file(list, song, folder, "song.ogg", "band", -1);
    if (has_file(folder, "rhythm.ogg"))
        rg__import_stem_file(list, song, folder, "rhythm.ogg", "rhythm", -1);
    return RG_OK;
}

rg_status rg__import_find_fretsonfire(rg__import_list *list, rg_error *err)
{
    enum { DEPTH = 10 }; /* from a folder with unpacked packages */
    return rg__import_search(list, DEPTH, one_song, err);
}
