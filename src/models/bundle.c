/*
 * Bundles (bundle.h): reading one back.
 */
#include "models/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "models/bundle_files.h"

enum { INFO_LIMIT = 16 << 20 };

void rg_bundle_hash_of(const json_t *roles, const char *shared_hash, char hex[65])
{
    size_t i;
    json_t *role;
    rg_sha256 *hash = rg_sha256_begin();
    hex[0] = 0;
    if (!hash) return;
    rg_sha256_add(hash, shared_hash, strlen(shared_hash));
    json_array_foreach((json_t *)roles, i, role)
    {
        const char *codec = json_string_value(json_object_get(role, "codec_hash"));
        const char *track = json_string_value(json_object_get(role, "track_hash"));
        rg_sha256_add(hash, codec ? codec : "", codec ? strlen(codec) : 0);
        rg_sha256_add(hash, track ? track : "", track ? strlen(track) : 0);
    }
    rg_sha256_end(hash, hex);
}

static rg_status check_hash(const char *path, const char *expected, char hex[65], rg_error *err)
{
    RG_TRY(rg_weights_hash(path, hex, err));
    if (!strcmp(hex, expected)) return RG_OK;
    return rg_fail(err, RG_ERR_MISMATCH,
                   "%s: its hash is %.12s, bundle.json says %.12s; the file was replaced or "
                   "damaged, copy the bundle again",
                   path, hex, expected);
}

/* Path of a file named "<kind>-<role>.safetensors" and its hash checked. */
static rg_status find_part(const rg_bundle *bundle, const char *kind, const json_t *role,
                           const char *hash_key, char path[1024], char hex[65], rg_error *err)
{
    char file[128];
    const char *name, *expected;
    RG_TRY(rg_json_get_text(role, "name", "bundle.json", &name, err));
    RG_TRY(rg_json_get_text(role, hash_key, "bundle.json", &expected, err));
    snprintf(file, sizeof file, "%s-%s.safetensors", kind, name);
    RG_TRY(rg_fs_join(path, 1024, bundle->folder, file, err));
    return check_hash(path, expected, hex, err);
}

static rg_status describe_codec(rg_bundle *bundle, int32_t r, const json_t *role, rg_error *err)
{
    char hex[65];
    const rg_track_role *want = bundle->config.roles + r;
    rg_bundle_part *part = &bundle->parts[RG_PART_CODEC][r];
    char *path = part->path;
    rg_codec *codec = bundle->codecs + r;
    RG_TRY(find_part(bundle, "codec", role, "codec_hash", path, hex, err));
    RG_TRY(rg_codec_describe(path, codec, err));
    part->params = codec->params;
    part->size = rg_params_count_bytes(codec->params, bundle->ex->host);
    RG_TRY(rg_codec_check_plain(codec, path, err));
    if (codec->config.codebooks == want->books && codec->config.entries == want->entries &&
        codec->config.dimension == want->dim)
        return RG_OK;
    return rg_fail(err, RG_ERR_MISMATCH,
                   "%s: has %d codebooks of %d entries and width %d; the tracks expect %d, %d, %d",
                   path, codec->config.codebooks, codec->config.entries, codec->config.dimension,
                   want->books, want->entries, want->dim);
}

static rg_status describe_tracks(rg_bundle *bundle, const json_t *roles, rg_error *err)
{
    rg_params *of_role[RG_TRACK_ROLES];
    bundle->params = rg_params_create(err);
    if (!bundle->params) return err->code;
    for (int32_t r = 0; r < bundle->config.n_roles; r++) {
        rg_bundle_part *part = &bundle->parts[RG_PART_TRACK][r];
        RG_TRY(find_part(bundle, "track", json_array_get(roles, (size_t)r), "track_hash",
                         part->path, bundle->track_hash[r], err));
        of_role[r] = part->params = rg_params_create(err);
        if (!part->params) return err->code;
    }
    bundle->tracks = rg_tracks_create_apart(bundle->params, of_role, &bundle->config, err);
    if (!bundle->tracks) return err->code;
    for (int32_t r = 0; r < bundle->config.n_roles; r++)
        bundle->parts[RG_PART_TRACK][r].size = rg_params_count_bytes(of_role[r], bundle->ex);
    return RG_OK;
}

static rg_status load_shared(rg_bundle *bundle, const json_t *roles, rg_error *err)
{
    char *path = bundle->shared_path, hex[65];
    const char *shared;
    RG_TRY(rg_json_get_text(bundle->info, "shared_hash", "bundle.json", &shared, err));
    RG_TRY(rg_fs_join(path, sizeof bundle->shared_path, bundle->folder, "shared.safetensors", err));
    RG_TRY(check_hash(path, shared, hex, err));
    rg_bundle_hash_of(roles, shared, bundle->hash);
    return rg_bundle_load_shared(bundle, err);
}

static rg_status read_info(rg_bundle *bundle, rg_error *err)
{
    char path[1024];
    RG_TRY(rg_fs_join(path, sizeof path, bundle->folder, "bundle.json", err));
    if (!rg_fs_exists(path))
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: is not a bundle (no bundle.json); `resonant export RUN --out BUNDLE` "
                       "makes one",
                       bundle->folder);
    bundle->info = rg_json_read(path, INFO_LIMIT, err);
    if (!bundle->info) return err->code;
    RG_TRY(rg_json_check_format(bundle->info, "resonant-bundle", RG_BUNDLE_MAJOR, path, err));
    if (!json_object_get(bundle->info, "tracks"))
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: holds a codec alone, for `resonant codec`; a bundle with tracks is "
                       "wanted here",
                       bundle->folder);
    json_t *tracks = rg_json_get_object(bundle->info, "tracks", path, err);
    if (!tracks) return err->code;
    char *text = json_dumps(tracks, JSON_COMPACT);
    rg_status status = text ? rg_track_config_from_json(text, &bundle->config, err)
                            : rg_fail(err, RG_ERR_NOMEM, "%s: no memory", path);
    free(text);
    if (status == RG_OK) return RG_OK;
    rg_error_prefix(err, "%s", path);
    return status;
}

static rg_status read_vocabulary(rg_bundle *bundle, rg_error *err)
{
    char path[1024];
    RG_TRY(rg_fs_join(path, sizeof path, bundle->folder, "vocabulary.json", err));
    return rg_vocabulary_read(&bundle->vocabulary, path, err);
}

static rg_status describe(rg_bundle *bundle, rg_error *err)
{
    RG_TRY(read_info(bundle, err));
    const json_t *roles = json_object_get(bundle->info, "roles");
    if (json_array_size(roles) != (size_t)bundle->config.n_roles)
        return rg_fail(err, RG_ERR_FORMAT, "%s/bundle.json: lists %zu roles, its model has %d",
                       bundle->folder, json_array_size(roles), bundle->config.n_roles);
    RG_TRY(read_vocabulary(bundle, err));
    for (int32_t r = 0; r < bundle->config.n_roles; r++)
        RG_TRY(describe_codec(bundle, r, json_array_get(roles, (size_t)r), err));
    RG_TRY(describe_tracks(bundle, roles, err));
    return load_shared(bundle, roles, err);
}

rg_status rg_bundle_describe(rg_bundle *bundle, const char *folder, rg_exec *ex, rg_error *err)
{
    *bundle = (rg_bundle){.ex = ex, .limit = INT64_MAX};
    if (!rg_copy_text(bundle->folder, sizeof bundle->folder, folder))
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", folder);
    const rg_status status = describe(bundle, err);
    if (status != RG_OK) rg_bundle_close(bundle);
    return status;
}

rg_status rg_bundle_open(rg_bundle *bundle, const char *folder, rg_exec *ex, rg_error *err)
{
    RG_TRY(rg_bundle_describe(bundle, folder, ex, err));
    rg_status status = RG_OK;
    for (int32_t r = 0; status == RG_OK && r < bundle->config.n_roles; r++) {
        status = rg_bundle_need(bundle, RG_PART_CODEC, r, err);
        if (status == RG_OK) status = rg_bundle_need(bundle, RG_PART_TRACK, r, err);
    }
    if (status != RG_OK) rg_bundle_close(bundle);
    return status;
}

void rg_bundle_close(rg_bundle *bundle)
{
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) {
        rg_codec_free(bundle->codecs + r);
        rg_params_destroy(bundle->parts[RG_PART_TRACK][r].params);
    }
    rg_tracks_destroy(bundle->tracks);
    rg_params_destroy(bundle->params);
    rg_vocabulary_free(&bundle->vocabulary);
    json_decref(bundle->info);
    *bundle = (rg_bundle){0};
}

/* ---- precision ---- */

static const struct precision {
    const char *text;
    rg_dtype type;
} precisions[] = {{"fp32", RG_F32}, {"fp16", RG_F16}, {"bf16", RG_BF16}, {"int8", RG_I8}};
enum { PRECISIONS = sizeof precisions / sizeof precisions[0] };

bool rg_precision_parse(const char *text, rg_dtype *type)
{
    for (size_t i = 0; i < PRECISIONS; i++)
        if (strcmp(text, precisions[i].text) == 0) {
            *type = precisions[i].type;
            return true;
        }
    return false;
}

const char *rg_precision_text(rg_dtype type)
{
    size_t i = 0;
    while (i + 1 < PRECISIONS && precisions[i].type != type) i++;
    return precisions[i].text;
}

int64_t rg_bundle_trained_with(const rg_bundle *bundle, const char *field, const char *word)
{
    const json_t *words = json_object_get(json_object_get(bundle->info, "words"), field);
    if (!words) return -1;
    return json_integer_value(json_object_get(words, word));
}
