/*
 * Slakh2100: TrackNNNNN/{metadata.yaml, mix.flac, stems/Sxx.flac}.
 *
 * One idea: the metadata names each stem's program, which decides its role; whether a stem was
 * rendered is seen from its file, since the flag audio_rendered and the numbers are not always
 * right. Of tracks made from one MIDI file one is taken (slakh_doubles.list: the redux release),
 * and tracks below "omitted" are passed over. Splits are those of the folders, else of the first
 * release by number, which redux kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/yaml.h"
#include "datasets/importers/import_internal.h"

enum { ARENA = 64 << 20 };

/* Tracks made from one MIDI file. */
static const struct {
    int64_t track, kept;
} doubles[] = {
#define DOUBLE(track, kept) {track, kept},
#include "datasets/importers/slakh_doubles.list"
#undef DOUBLE
};

/* The one of the same MIDI file that the redux release keeps: mostly the track itself. */
static int64_t kept_of(int64_t track)
{
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++)
        if (doubles[i].track == track) return doubles[i].kept;
    return track;
}

static void add_stem(const rg__import_list *list, rg__import_song *song, const char *folder,
                     const rg_yaml_node *stem)
{
    static const char *const suffixes[] = {".flac", ".wav"};
    int64_t program = -1;
    char name[128], path[RG__IMPORT_PATH];
    if (strspn(stem->key, "0123456789S") != strlen(stem->key) || strlen(stem->key) > 8) {
        rg_fail(&song->fault, RG_ERR_FORMAT, "metadata.yaml:%d: a stem is named S00, S01 ...",
                stem->key_line);
        return;
    }
    if (!rg_parse_int(rg__import_scalar(stem, "program_num"), &program) || program < 0 ||
        program > 128)
        program = -1;
    if (strcmp(rg__import_scalar(stem, "is_drum"), "true") == 0) program = 128;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(name, sizeof name, "stems/%s%s", stem->key, suffixes[i]);
        if (rg_fs_join(path, sizeof path, folder, name, &song->fault) != RG_OK) return;
        if (!rg_fs_exists(path)) continue;
        rg__import_stem_file(list, song, folder, name, rg__import_scalar(stem, "inst_class"),
                             (int32_t)program);
        return;
    }
    if (strcmp(rg__import_scalar(stem, "audio_rendered"), "false") != 0)
        rg__import_note(song, "'stems/%s.flac' is missing", stem->key);
}

static void read_metadata(const rg__import_list *list, rg__import_song *song, const char *folder)
{
    rg_error *fault = &song->fault;
    rg_arena *arena = rg_arena_create(ARENA, "metadata", fault);
    const rg_yaml_node *root =
        arena ? rg__import_yaml(list, folder, "metadata.yaml", arena, fault) : NULL;
    const rg_yaml_node *stems = root ? rg_yaml_member(root, "stems") : NULL;
    if (!stems || stems->kind != RG_YAML_MAP)
        rg_fail(fault, RG_ERR_FORMAT, "metadata.yaml has no map 'stems'");
    else
        for (const rg_yaml_node *s = stems->first; s; s = s->next) add_stem(list, song, folder, s);
    rg_arena_destroy(arena);
}

/* Its side by number, where no folder says it. */
static rg_split split_of_track(int64_t track)
{
    enum { LAST_TRAIN = 1500, LAST_VALID = 1875 };
    return track <= LAST_TRAIN   ? RG_SPLIT_TRAIN
           : track <= LAST_VALID ? RG_SPLIT_VALID
                                 : RG_SPLIT_TEST;
}

static rg_status one_track(rg__import_list *list, const char *folder, const char *name,
                           const rg_split *split, rg_error *err)
{
    char file[512], path[RG__IMPORT_PATH];
    int64_t track = 0;
    if (strncmp(name, "Track", 5) != 0 || !rg_parse_int(name + 5, &track)) return RG_OK;
    int64_t kept = kept_of(track);
    if (kept != track && !list->options->keep_doubles) {
        list->left_out++;
        return RG_OK;
    }
    snprintf(file, sizeof file, "%s%s%.400s", split ? rg_split_name(*split) : "", split ? "/" : "",
             name);
    rg__import_song *song = rg__import_add(list, name, file, err);
    if (!song) return err ? err->code : RG_ERR_NOMEM;
    read_metadata(list, song, folder);
    snprintf(song->group, sizeof song->group, "midi-of-Track%05d", (int)kept);
    song->split = split ? *split : split_of_track(track);
    song->has_split = true;
    for (int i = 0; i < 2; i++) {
        const char *mix = i ? "mix.wav" : "mix.flac";
        RG_TRY(rg_fs_join(path, sizeof path, folder, mix, err));
        if (rg_fs_exists(path)) rg__import_mixture_file(list, song, folder, mix);
    }
    return RG_OK;
}

rg_status rg__import_find_slakh(rg__import_list *list, rg_error *err)
{
    RG_TRY(rg__import_walk(list, one_track, err));
    if (list->left_out)
        rg_log_line(list->log, RG_LOG_INFO,
                    "%lld tracks are made from the MIDI file of another one and left out, as in "
                    "Slakh2100-redux; --keep-doubles takes them too, on one side of the split",
                    (long long)list->left_out);
    return RG_OK;
}
