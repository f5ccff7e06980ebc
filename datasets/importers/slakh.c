/*
 * Slakh2100: TrackNNNNN/{metadata.yaml, mix.flac, stems/Sxx.flac}.
 *
 * One idea: the metadata names each stem's program, which decides its role; whether a stem was
 * rendered is seen from its file, since the flag audio_rendered and the numbers are not always
 * right. Splits are those of the folders; tracks below "omitted", where the redux release keeps
 * its doubles, are passed over.
 * Not here: the lists of doubles of the first release (other folders, the same tracks).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/yaml.h"
#include "datasets/importers/import_internal.h"

enum { ARENA = 64 << 20 };

static const char *scalar(const rg_yaml_node *map, const char *key)
{
    const rg_yaml_node *node = map && map->kind == RG_YAML_MAP ? rg_yaml_member(map, key) : NULL;
    return node && node->kind == RG_YAML_SCALAR ? node->text : "";
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
    if (!rg_parse_int(scalar(stem, "program_num"), &program) || program < 0 || program > 128)
        program = -1;
    if (strcmp(scalar(stem, "is_drum"), "true") == 0) program = 128;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(name, sizeof name, "stems/%s%s", stem->key, suffixes[i]);
        if (rg_fs_join(path, sizeof path, folder, name, &song->fault) != RG_OK) return;
        if (!rg_fs_exists(path)) continue;
        rg__import_stem_file(list, song, folder, name, scalar(stem, "inst_class"),
                             (int32_t)program);
        return;
    }
    if (strcmp(scalar(stem, "audio_rendered"), "false") != 0)
        rg__import_note(song, "'stems/%s.flac' is missing", stem->key);
}

static void read_metadata(const rg__import_list *list, rg__import_song *song, const char *folder)
{
    char path[RG__IMPORT_PATH], *text = NULL;
    size_t n = 0;
    rg_error *fault = &song->fault;
    rg_arena *arena = rg_arena_create(ARENA, "metadata", fault);
    if (arena && rg_fs_join(path, sizeof path, folder, "metadata.yaml", fault) == RG_OK &&
        rg_fs_read_all(path, RG_YAML_BYTES, &text, &n, fault) == RG_OK) {
        rg_yaml_node *root = rg_yaml_parse(arena, text, n, "metadata.yaml", fault);
        const rg_yaml_node *stems =
            root && root->kind == RG_YAML_MAP ? rg_yaml_member(root, "stems") : NULL;
        if (!stems || stems->kind != RG_YAML_MAP)
            rg_fail(fault, RG_ERR_FORMAT, "metadata.yaml has no map 'stems'");
        else
            for (const rg_yaml_node *s = stems->first; s; s = s->next)
                add_stem(list, song, folder, s);
    }
    free(text);
    rg_arena_destroy(arena);
}

static rg_status one_track(rg__import_list *list, const char *folder, const char *name,
                           const rg_split *split, rg_error *err)
{
    char file[512], path[RG__IMPORT_PATH];
    if (strncmp(name, "Track", 5) != 0) return RG_OK;
    snprintf(file, sizeof file, "%s%s%.400s", split ? rg_split_name(*split) : "", split ? "/" : "",
             name);
    rg__import_song *song = rg__import_add(list, name, file, err);
    if (!song) return err ? err->code : RG_ERR_NOMEM;
    read_metadata(list, song, folder);
    if (split) song->split = *split;
    song->has_split = split != NULL;
    for (int i = 0; i < 2; i++) {
        const char *mix = i ? "mix.wav" : "mix.flac";
        RG_TRY(rg_fs_join(path, sizeof path, folder, mix, err));
        if (rg_fs_exists(path)) rg__import_mixture_file(list, song, folder, mix);
    }
    return RG_OK;
}

rg_status rg__import_find_slakh(rg__import_list *list, rg_error *err)
{
    return rg__import_walk(list, one_track, err);
}
