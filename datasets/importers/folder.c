/*
 * Folders of stems, SONG/STEM.wav, and MUSDB18-HQ, which is one with two splits and known defects.
 *
 * One idea: the name of a file is the name of its instrument; a file named mixture (or mix) is what
 * the stems should sum to.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fs.h"
#include "datasets/importers/import_internal.h"

static const char *const suffixes[] = {".wav", ".flac", ".ogg"};

/* The name without its suffix; false for files that are not sound. */
static bool sound_name(const char *name, char *stem, size_t size)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = strlen(suffixes[i]);
        if (length <= n || strcasecmp(name + length - n, suffixes[i]) != 0) continue;
        snprintf(stem, size, "%.*s", (int)(length - n), name);
        return true;
    }
    return false;
}

static bool is_mixture(const char *stem)
{
    return strcasecmp(stem, "mixture") == 0 || strcasecmp(stem, "mix") == 0;
}

/* NULL in *song when the folder holds no sound. */
static rg_status add_folder(rg__import_list *list, const char *folder, const char *name,
                            const rg_split *split, rg__import_song **song, rg_error *err)
{
    char **names = NULL, file[512];
    size_t n = 0;
    *song = NULL;
    RG_TRY(rg_fs_list(folder, &names, &n, err));
    snprintf(file, sizeof file, "%s%s%.400s", split ? rg_split_name(*split) : "", split ? "/" : "",
             name);
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        char stem[256];
        if (!sound_name(names[i], stem, sizeof stem)) continue;
        if (!*song && !(*song = rg__import_add(list, name, file, err)))
            status = err ? err->code : RG_ERR_NOMEM;
        else if (is_mixture(stem))
            rg__import_mixture_file(list, *song, folder, names[i]);
        else
            rg__import_stem_file(list, *song, folder, names[i], stem, -1);
    }
    rg_fs_free_names(names, n);
    if (status == RG_OK && *song && split) {
        (*song)->split = *split;
        (*song)->has_split = true;
    }
    return status;
}

static rg_status one_folder(rg__import_list *list, const char *folder, const char *name,
                            const rg_split *split, rg_error *err)
{
    rg__import_song *song;
    return add_folder(list, folder, name, split, &song, err);
}

rg_status rg__import_find_folder(rg__import_list *list, rg_error *err)
{
    return rg__import_walk(list, one_folder, err);
}

/* ---- MUSDB18-HQ ---- */

/* The tracks of the train folder that its authors keep for validation. */
static const char *const musdb_valid[] = {"Actions - One Minute Smile",
                                          "Clara Berry And Wooldog - Waltz For My Victims",
                                          "Johnny Lokke - Promises & Lies",
                                          "Patrick Talbot - A Reason To Leave",
                                          "Triviul - Angelsaint",
                                          "Alexander Ross - Goodbye Bolero",
                                          "Fergessen - Nos Palpitants",
                                          "Leaf - Summerghost",
                                          "Skelpolu - Human Mistakes",
                                          "Young Griffo - Pennies",
                                          "ANiMAL - Rockshow",
                                          "James May - On The Line",
                                          "Meaxic - Take A Step",
                                          "Traffic Experiment - Sirens"};

/* Defects that its authors list. */
static const struct {
    const char *track, *note, *bleeds; /* bleeds: the stem that holds another's sound */
} musdb_errata[] = {
    {"PR - Oh No", "the left channel of the mixture is not the sum of its stems", NULL},
    {"Leaf - Wicked", "guitar in the drums at 2:20 and 3:02", "drums"},
    {"Detsky Sad - Walkie Talkie", "other instruments in the drums", "drums"},
    {"Chris Durban - Celebrate", "other instruments bleed into the vocals", "vocals"},
    {"Hop Along - Sister Cities", "other instruments bleed into the vocals", "vocals"},
    {"Enda Reilly - Cur An Long Ag Seol", "speech in the other instruments", "other"},
};

static void musdb_facts(rg__import_song *song, const char *name)
{
    static const char *const stems[] = {"drums", "bass", "other", "vocals"};
    for (size_t i = 0; i < sizeof musdb_valid / sizeof *musdb_valid; i++)
        if (song->split == RG_SPLIT_TRAIN && strcmp(name, musdb_valid[i]) == 0)
            song->split = RG_SPLIT_VALID;
    for (size_t i = 0; i < sizeof musdb_errata / sizeof *musdb_errata; i++) {
        if (strcmp(name, musdb_errata[i].track) != 0) continue;
        rg__import_note(song, "known defect: %s", musdb_errata[i].note);
        for (int32_t k = 0; musdb_errata[i].bleeds && k < song->n; k++)
            if (strcmp(song->stems[k].label, musdb_errata[i].bleeds) == 0)
                rg__import_bleeds(song, &song->stems[k]);
    }
    for (size_t s = 0; s < sizeof stems / sizeof *stems; s++) {
        bool there = false;
        for (int32_t k = 0; k < song->n; k++)
            there = there || strcmp(song->stems[k].label, stems[s]) == 0;
        if (!there) rg__import_note(song, "'%s.wav' is missing", stems[s]);
    }
}

static rg_status one_musdb(rg__import_list *list, const char *folder, const char *name,
                           const rg_split *split, rg_error *err)
{
    rg__import_song *song;
    if (!split) return RG_OK;
    RG_TRY(add_folder(list, folder, name, split, &song, err));
    if (song) musdb_facts(song, name);
    return RG_OK;
}

/* MUSDB18 (not HQ) keeps a song's stems as five streams of one file. */
static rg_status refuse_mp4(const char *folder, rg_error *err)
{
    char **names = NULL;
    size_t n = 0;
    if (!rg_fs_is_folder(folder)) return RG_OK;
    RG_TRY(rg_fs_list(folder, &names, &n, err));
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        size_t length = strlen(names[i]);
        if (length < 9 || strcasecmp(names[i] + length - 9, ".stem.mp4") != 0) continue;
        char name[128];
        rg__import_clean(name, sizeof name, names[i]);
        status =
            rg_fail(err, RG_ERR_UNSUPPORTED,
                    "'%s' holds compressed stems; convert each such file first: mkdir \"SONG\" "
                    "&& ffmpeg -i SONG.stem.mp4 -map 0:0 SONG/mixture.wav -map 0:1 "
                    "SONG/drums.wav -map 0:2 SONG/bass.wav -map 0:3 SONG/other.wav -map 0:4 "
                    "SONG/vocals.wav (MUSDB18-HQ is better: it has the full band)",
                    name);
    }
    rg_fs_free_names(names, n);
    return status;
}

rg_status rg__import_find_musdb(rg__import_list *list, rg_error *err)
{
    static const char *const splits[] = {"train", "test"};
    char folder[RG__IMPORT_PATH];
    RG_TRY(refuse_mp4(list->root, err));
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        RG_TRY(rg_fs_join(folder, sizeof folder, list->root, splits[i], err));
        RG_TRY(refuse_mp4(folder, err));
    }
    return rg__import_walk(list, one_musdb, err);
}
