/*
 * Codecs in bundles (bundle.h): one found by name, and a bundle that holds nothing else.
 *
 * One idea: wherever a codec is asked for, one text names it: a file, a bundle, a run, or one of
 * these and a role. Not here: bundles with tracks (bundle.c, bundle_export.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "models/bundle.h"

enum { INFO_LIMIT = 16 << 20, PATH_SIZE = 1024 };

/* ---- finding ---- */

/* The only role of a bundle, or the one that is asked for. */
static rg_status pick_role(const json_t *roles, const char *folder, const char *role,
                           const json_t **out, rg_error *err)
{
    rg_text names;
    size_t i;
    const json_t *entry;
    rg_text_init(&names, 4096);
    *out = NULL;
    json_array_foreach((json_t *)roles, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (!name) continue;
        rg_text_printf(&names, "%s%s", i ? ", " : "", name);
        if (role ? !strcmp(role, name) : json_array_size(roles) == 1) *out = entry;
    }
    if (!*out && role)
        rg_fail(err, RG_ERR_USAGE, "%s: has no role '%s'; it has %s", folder, role,
                names.data ? names.data : "none");
    else if (!*out)
        rg_fail(err, RG_ERR_USAGE, "%s: holds several codecs; say which as %s:ROLE, one of %s",
                folder, folder, names.data ? names.data : "none");
    rg_text_free(&names);
    return *out ? RG_OK : RG_ERR_USAGE;
}

static rg_status find_in_bundle(const char *info_path, const char *folder, const char *role,
                                char path[PATH_SIZE], char hash[65], rg_error *err)
{
    const json_t *entry;
    const char *name, *expected;
    char file[128];
    json_t *info = rg_json_read(info_path, INFO_LIMIT, err);
    if (!info) return err->code;
    rg_status status =
        rg_json_check_format(info, "resonant-bundle", RG_BUNDLE_MAJOR, info_path, err);
    if (status == RG_OK)
        status = pick_role(json_object_get(info, "roles"), folder, role, &entry, err);
    if (status == RG_OK) status = rg_json_get_text(entry, "name", info_path, &name, err);
    if (status == RG_OK) status = rg_json_get_text(entry, "codec_hash", info_path, &expected, err);
    if (status == RG_OK) {
        snprintf(file, sizeof file, "codec-%s.safetensors", name);
        rg_copy_text(hash, 65, expected);
        status = strchr(name, '/')
                     ? rg_fail(err, RG_ERR_FORMAT, "%s: role '%s' is no name", info_path, name)
                     : rg_fs_join(path, PATH_SIZE, folder, file, err);
    }
    json_decref(info);
    return status;
}

/* Of a track run the codec of a role; of a codec run its best checkpoint, or the latest. */
static rg_status find_in_run(const char *folder, const char *role, char path[PATH_SIZE],
                             rg_error *err)
{
    char file[128];
    static const char *const links[] = {"best", "latest"};
    if (role) {
        snprintf(file, sizeof file, "checkpoints/codecs/%s.safetensors", role);
        RG_TRY(rg_fs_join(path, PATH_SIZE, folder, file, err));
        if (rg_fs_exists(path)) return RG_OK;
        return rg_fail(err, RG_ERR_USAGE, "%s: has no codec of role '%s'", folder, role);
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        RG_TRY(rg_fs_join(path, PATH_SIZE, folder, links[i], err));
        if (rg_fs_exists(path)) return RG_OK;
    }
    return rg_fail(err, RG_ERR_USAGE,
                   "%s: is no bundle and no run; give a bundle, BUNDLE:ROLE, a codec run or a "
                   "codec's file",
                   folder);
}

static rg_status find_codec(const char *name, char path[PATH_SIZE], char hash[65], rg_error *err)
{
    char folder[PATH_SIZE], info[PATH_SIZE];
    hash[0] = 0;
    if (!rg_copy_text(folder, sizeof folder, name))
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", name);
    char *colon = rg_fs_exists(name) ? NULL : strrchr(folder, ':');
    if (colon) *colon = 0;
    const char *role = colon ? colon + 1 : NULL;
    if (!rg_fs_exists(folder))
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: does not exist; give a codec's file, a bundle or "
                       "BUNDLE:ROLE",
                       folder);
    if (!rg_fs_is_folder(folder)) {
        if (role) return rg_fail(err, RG_ERR_USAGE, "%s: is a file, which has no roles", folder);
        return rg_copy_text(path, PATH_SIZE, folder) ? RG_OK : RG_ERR_USAGE;
    }
    RG_TRY(rg_fs_join(info, sizeof info, folder, "bundle.json", err));
    if (rg_fs_exists(info)) return find_in_bundle(info, folder, role, path, hash, err);
    return find_in_run(folder, role, path, err);
}

rg_status rg_codec_open(const char *name, rg_exec *ex, rg_codec *out, rg_error *err)
{
    char path[PATH_SIZE], hash[65];
    rg_error local = {0};
    rg_error *e = err ? err : &local;
    *out = (rg_codec){0};
    RG_TRY(find_codec(name, path, hash, e));
    RG_TRY(rg_codec_load(path, ex, out, e));
    if (!hash[0] || !strcmp(hash, out->hash)) return RG_OK;
    rg_status status = rg_fail(e, RG_ERR_MISMATCH,
                               "%s: its hash is %.12s, bundle.json says %.12s; the file was "
                               "replaced or damaged, copy the bundle again",
                               path, out->hash, hash);
    rg_codec_free(out);
    return status;
}

/* ---- a bundle of one codec ---- */

static rg_status write_info(const rg_codec *codec, const char *source, const char *hash,
                            const char *folder, rg_error *err)
{
    char path[PATH_SIZE + 64], utc[32], version[16];
    snprintf(version, sizeof version, "%d.%d", RG_BUNDLE_MAJOR, RG_BUNDLE_MINOR);
    json_t *info =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s, s:s}]}", "format", "resonant-bundle",
                  "version", version, "hash", hash, "created", rg_clock_utc(utc), "imported",
                  rg_fs_base_name(source), "roles", "name", codec->role, "codec_hash", hash);
    rg_status status = info ? rg_fs_join(path, sizeof path, folder, "bundle.json", err)
                            : rg_fail(err, RG_ERR_FORMAT, "%s: its name is not UTF-8", source);
    if (status == RG_OK) status = rg_json_write(info, path, err);
    json_decref(info);
    return status;
}

static rg_status write_card(const rg_codec *codec, const char *source, const char *folder,
                            rg_error *err)
{
    const rg_encodec_config *c = &codec->config;
    char path[PATH_SIZE + 64];
    rg_text card;
    rg_text_init(&card, 1 << 16);
    rg_text_printf(&card,
                   "# %s\n\nAn EnCodec imported from `%s`, for `resonant codec`. Its license is "
                   "that of its source.\n\n"
                   "| sample rate | channels | frames a second | codebooks | entries |\n"
                   "|---|---|---|---|---|\n| %d | %d | %g | %d | %d |\n",
                   codec->role, rg_fs_base_name(source), (int)c->sample_rate, (int)c->channels,
                   rg_encodec_frame_rate(c), (int)c->codebooks, (int)c->entries);
    rg_status status = rg_text_status(&card, err);
    if (status == RG_OK) status = rg_fs_join(path, sizeof path, folder, "README.md", err);
    if (status == RG_OK) status = rg_fs_write_atomic(path, card.data, card.n, err);
    rg_text_free(&card);
    return status;
}

static rg_status write_bundle(rg_codec *codec, const char *source, const rg_atomic_folder *folder,
                              rg_error *err)
{
    char file[64], path[PATH_SIZE + 128], hash[65];
    snprintf(file, sizeof file, "codec-%s.safetensors", codec->role);
    RG_TRY(rg_fs_join(path, sizeof path, folder->temporary, file, err));
    RG_TRY(rg_codec_save(codec, path, err));
    RG_TRY(rg_weights_hash(path, hash, err));
    RG_TRY(write_info(codec, source, hash, folder->temporary, err));
    return write_card(codec, source, folder->temporary, err);
}

rg_status rg_bundle_of_codec(rg_codec *codec, const char *source, const char *folder, rg_error *err)
{
    rg_atomic_folder out = {0};
    if (!codec->role[0] || strpbrk(codec->role, "/:"))
        return rg_fail(err, RG_ERR_USAGE, "'%s' is no name of a role", codec->role);
    RG_TRY(rg_fs_begin_folder(&out, folder, err));
    rg_status status = write_bundle(codec, source, &out, err);
    if (status == RG_OK) status = rg_fs_commit_folder(&out, err);
    rg_fs_abandon_folder(&out);
    return status;
}
