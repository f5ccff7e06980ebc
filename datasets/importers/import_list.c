/*
 * The list of songs that importers fill (import_internal.h), and names that may be hostile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "datasets/importers/import_internal.h"

void rg__import_clean(char *out, size_t size, const char *text)
{
    rg_copy_text(out, size, text);
    rg_song_clean_text(out);
}

void rg__import_note(rg__import_song *song, const char *fmt, ...)
{
    char text[512], clean[512];
    va_list args;
    va_start(args, fmt);
    rg_vformat(text, sizeof text, fmt, args);
    va_end(args);
    rg__import_clean(clean, sizeof clean, text);
    json_array_append_new(song->notes, json_string(clean));
}

rg__import_song *rg__import_add(rg__import_list *list, const char *name, const char *file,
                                rg_error *err)
{
    if (list->n == RG__IMPORT_SONGS) {
        rg_fail(err, RG_ERR_USAGE, "more than %d songs; import parts of the data set one by one",
                RG__IMPORT_SONGS);
        return NULL;
    }
    if (list->n == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 64;
        rg__import_song *grown = realloc(list->songs, (size_t)capacity * sizeof *grown);
        if (grown) list->songs = grown;
        list->capacity = grown ? capacity : list->capacity;
    }
    rg__import_song *song = list->n < list->capacity ? &list->songs[list->n] : NULL;
    json_t *notes = json_array();
    if (!song || !notes) {
        json_decref(notes);
        rg_fail(err, RG_ERR_NOMEM, "no memory for the list of songs");
        return NULL;
    }
    char clean[128];
    *song = (rg__import_song){.notes = notes};
    list->n++;
    rg__import_clean(clean, sizeof clean, name);
    rg_song_make_id(song->id, list->label, clean);
    rg_song_make_title(song->title, clean);
    rg__import_clean(song->file, sizeof song->file, file);
    return song;
}

static bool lies_below(const char *root, const char *path)
{
    size_t n = strlen(root);
    return strncmp(root, path, n) == 0 && (path[n] == '/' || (n > 0 && root[n - 1] == '/'));
}

/* The resolved path of a regular file inside the data set, on the heap; NULL, with a note or a
 * fault, when there is none. */
static char *resolve(const rg__import_list *list, rg__import_song *song, const char *folder,
                     const char *name)
{
    char path[RG__IMPORT_PATH], clean[128];
    rg__import_clean(clean, sizeof clean, name);
    if (rg_fs_join(path, sizeof path, folder, name, &song->fault) != RG_OK) return NULL;
    char *real = realpath(path, NULL);
    if (!real) {
        if (errno == ENOENT)
            rg__import_note(song, "'%s' is missing", clean);
        else
            rg_fail(&song->fault, RG_ERR_IO, "'%s': %s", clean, strerror(errno));
        return NULL;
    }
    if (lies_below(list->root, real) && rg_fs_is_file(real)) return real;
    rg_fail(&song->fault, RG_ERR_FORMAT, "'%s' is not a file inside the data set; it is not read",
            clean);
    free(real);
    return NULL;
}

rg__import_stem *rg__import_stem_file(const rg__import_list *list, rg__import_song *song,
                                      const char *folder, const char *name, const char *label,
                                      int32_t program)
{
    if (song->n == RG__IMPORT_STEMS) {
        rg_fail(&song->fault, RG_ERR_FORMAT, "has more than %d stems", RG__IMPORT_STEMS);
        return NULL;
    }
    char *path = resolve(list, song, folder, name);
    if (!path) return NULL;
    rg__import_stem *grown = realloc(song->stems, (size_t)(song->n + 1) * sizeof *grown);
    if (!grown) {
        rg_fail(&song->fault, RG_ERR_NOMEM, "no memory for its stems");
        free(path);
        return NULL;
    }
    song->stems = grown;
    rg__import_stem *stem = &grown[song->n++];
    *stem = (rg__import_stem){.path = path, .program = program, .role = RG_ROLE_DROP};
    rg__import_clean(stem->label, sizeof stem->label, label);
    return stem;
}

void rg__import_bleeds(rg__import_song *song, rg__import_stem *stem)
{
    stem->bleed = true;
    rg__import_note(song, "'%s' holds other instruments too", stem->label);
}

void rg__import_mixture_file(const rg__import_list *list, rg__import_song *song, const char *folder,
                             const char *name)
{
    char *path = resolve(list, song, folder, name);
    free(song->mixture);
    song->mixture = path;
}

void rg__import_free(rg__import_list *list)
{
    for (int64_t i = 0; i < list->n; i++) {
        rg__import_song *song = &list->songs[i];
        for (int32_t k = 0; k < song->n; k++) free(song->stems[k].path);
        free(song->stems);
        free(song->mixture);
        free(song->print);
        json_decref(song->notes);
    }
    free(list->songs);
}

/* ---- folders of songs ---- */

static const struct {
    const char *name;
    rg_split split;
} split_folders[] = {{"train", RG_SPLIT_TRAIN},
                     {"valid", RG_SPLIT_VALID},
                     {"validation", RG_SPLIT_VALID},
                     {"test", RG_SPLIT_TEST}};

static const rg_split *split_of_folder(const char *name)
{
    for (size_t i = 0; i < sizeof split_folders / sizeof *split_folders; i++)
        if (strcmp(split_folders[i].name, name) == 0) return &split_folders[i].split;
    return NULL;
}

/* Symbolic links to folders outside are followed no further than to their files, which are
 * refused. */
static rg_status walk(rg__import_list *list, const char *folder, const rg_split *split,
                      rg__import_song_fn *one, rg_error *err)
{
    char **names = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_list(folder, &names, &n, err));
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        char path[RG__IMPORT_PATH];
        const rg_split *own = split ? NULL : split_of_folder(names[i]);
        status = rg_fs_join(path, sizeof path, folder, names[i], err);
        if (status != RG_OK || names[i][0] == '.' || !rg_fs_is_folder(path)) continue;
        status = own ? walk(list, path, own, one, err) : one(list, path, names[i], split, err);
    }
    rg_fs_free_names(names, n);
    return status;
}

static rg_status search(rg__import_list *list, const char *folder, int depth,
                        rg__import_try_fn *one, rg_error *err)
{
    char **names = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_list(folder, &names, &n, err));
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        char path[RG__IMPORT_PATH];
        bool is_song = false;
        status = rg_fs_join(path, sizeof path, folder, names[i], err);
        if (status != RG_OK || names[i][0] == '.' || !rg_fs_is_folder(path)) continue;
        status = one(list, path, names[i], &is_song, err);
        if (status == RG_OK && !is_song && depth > 1)
            status = search(list, path, depth - 1, one, err);
    }
    rg_fs_free_names(names, n);
    return status;
}

rg_status rg__import_search(rg__import_list *list, int depth, rg__import_try_fn *one, rg_error *err)
{
    return search(list, list->root, depth, one, err);
}

rg_status rg__import_walk(rg__import_list *list, rg__import_song_fn *one, rg_error *err)
{
    return walk(list, list->root, NULL, one, err);
}

/* ---- metadata ---- */

bool rg__import_metadata(const rg__import_list *list, const char *folder, const char *name,
                         char path[RG__IMPORT_PATH], rg_error *fault)
{
    if (rg_fs_join(path, RG__IMPORT_PATH, folder, name, fault) != RG_OK) return false;
    char *real = realpath(path, NULL);
    if (!real)
        rg_fail(fault, RG_ERR_IO, "'%s': %s", name, strerror(errno));
    else if (!lies_below(list->root, real) || !rg_fs_is_file(real))
        rg_fail(fault, RG_ERR_FORMAT, "'%s' is not a file inside the data set; it is not read",
                name);
    free(real);
    return fault->code == RG_OK;
}

const rg_yaml_node *rg__import_yaml(const rg__import_list *list, const char *folder,
                                    const char *name, rg_arena *arena, rg_error *fault)
{
    char path[RG__IMPORT_PATH], *text = NULL;
    size_t n = 0;
    const rg_yaml_node *root = NULL;
    if (rg__import_metadata(list, folder, name, path, fault) &&
        rg_fs_read_all(path, RG_YAML_BYTES, &text, &n, fault) == RG_OK)
        root = rg_yaml_parse(arena, text, n, name, fault);
    free(text);
    return root;
}

const char *rg__import_scalar(const rg_yaml_node *map, const char *key)
{
    const rg_yaml_node *node = map && map->kind == RG_YAML_MAP ? rg_yaml_member(map, key) : NULL;
    return node && node->kind == RG_YAML_SCALAR ? node->text : "";
}
