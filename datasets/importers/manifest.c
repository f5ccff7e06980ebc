/*
 * Manifests: a JSON object a line, as audiocraft's data.jsonl, with stems added.
 *
 * One idea: {"path": MIXTURE, "stems": {NAME: PATH}}; paths are relative to the manifest's folder.
 * "title", "genre", "license" and "split" may be there too; every other key is somebody else's and
 * is passed over. A line without stems is a song whose only stem is named "mixture".
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "datasets/importers/import_internal.h"

enum { MOST_BYTES = 1 << 30 };

static void text_of(const json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    rg__import_clean(out, size, text ? text : "");
}

static void set_split(rg__import_song *song, const json_t *line)
{
    const json_t *value = json_object_get(line, "split");
    if (!value) return;
    const char *text = json_string_value(value);
    song->has_split = text && rg_split_parse(text, &song->split);
    if (!song->has_split)
        rg_fail(&song->fault, RG_ERR_FORMAT, "\"split\" must be train, valid or test");
}

static void add_stems(const rg__import_list *list, rg__import_song *song, const char *folder,
                      json_t *line)
{
    json_t *stems = json_object_get(line, "stems"), *value;
    const char *mixture = json_string_value(json_object_get(line, "path")), *key;
    if (mixture && !stems) rg__import_stem_file(list, song, folder, mixture, "mixture", -1);
    if (mixture && stems) rg__import_mixture_file(list, song, folder, mixture);
    if (stems && !json_is_object(stems))
        rg_fail(&song->fault, RG_ERR_FORMAT, "\"stems\" must be an object {name: path}");
    json_object_foreach(stems, key, value)
    {
        if (json_is_string(value))
            rg__import_stem_file(list, song, folder, json_string_value(value), key, -1);
        else
            rg_fail(&song->fault, RG_ERR_FORMAT, "the path of a stem must be a text");
    }
}

static rg_status add_line(rg__import_list *list, const char *folder, const char *text, size_t n,
                          long long number, rg_error *err)
{
    char name[128], place[64], title[128] = "";
    rg_error fault = {0};
    rg_format(place, sizeof place, "line %lld", number);
    json_t *line = rg_json_parse(text, n, place, &fault);
    if (line && !json_is_object(line))
        rg_fail(&fault, RG_ERR_FORMAT, "%s: an object was expected", place);
    text_of(line, "title", title, sizeof title);
    const char *path = json_string_value(json_object_get(line, "path"));
    rg_copy_text(name, sizeof name, title[0] ? title : path ? rg_fs_base_name(path) : place);
    rg__import_song *song = rg__import_add(list, name, place, err);
    if (song) {
        song->fault = fault;
        text_of(line, "genre", song->genre, sizeof song->genre);
        text_of(line, "license", song->license, sizeof song->license);
        if (fault.code == RG_OK) set_split(song, line);
        if (fault.code == RG_OK) add_stems(list, song, folder, line);
    }
    json_decref(line);
    return song ? RG_OK : err ? err->code : RG_ERR_NOMEM;
}

rg_status rg__import_find_manifest(rg__import_list *list, rg_error *err)
{
    char *data = NULL, *slash = strrchr(list->root, '/');
    size_t n = 0;
    RG_TRY(rg_fs_read_all(list->root, MOST_BYTES, &data, &n, err));
    if (n > 1 && (unsigned char)data[0] == 0x1f && (unsigned char)data[1] == 0x8b) {
        free(data);
        return rg_fail(err, RG_ERR_UNSUPPORTED, "%s is compressed: gunzip it first", list->root);
    }
    if (slash) slash[slash == list->root] = 0; /* files lie in the manifest's folder */
    rg_status status = RG_OK;
    long long number = 0;
    for (char *at = data, *end; status == RG_OK && at < data + n; at = end + 1) {
        end = memchr(at, '\n', (size_t)(data + n - at));
        if (!end) end = data + n;
        number++;
        if (strspn(at, " \t\r") < (size_t)(end - at))
            status = add_line(list, list->root, at, (size_t)(end - at), number, err);
    }
    free(data);
    return status;
}
