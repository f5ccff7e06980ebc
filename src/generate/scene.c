/*
 * Scenes on disk (scene.h).
 */
#include "generate/scene.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

enum { SCENE_LIMIT = 16 << 20 };

rg_status rg_scene_wav(const rg_scene *scene, const char *role, char out[RG_SCENE_PATH],
                       rg_error *err)
{
    char name[RG_TRACK_NAME + 8];
    snprintf(name, sizeof name, "%s.wav", role);
    return rg_fs_join(out, RG_SCENE_PATH, scene->folder, name, err);
}

void rg_scene_free(rg_scene *scene)
{
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) free(scene->roles[r].codes);
    json_decref(scene->settings);
    json_decref(scene->conditions);
    *scene = (rg_scene){0};
}

/* ---- writing ---- */

static json_t *role_to_json(const rg_scene_role *role, const rg_bundle *bundle, int32_t r)
{
    char file[RG_TRACK_NAME + 8], seed[24];
    json_t *locked = json_array();
    snprintf(file, sizeof file, "%s.wav", role->name);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)role->seed);
    for (int32_t i = 0; i < role->n_locked; i++)
        json_array_append_new(locked, json_pack("[f,f]", role->locked[i][0], role->locked[i][1]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:o}", "name", role->name,
                     "audio", file, "sha256", role->sha256, "take", role->take, "seed", seed,
                     "absent", role->absent, "prompt", role->prompt, "codec_hash",
                     bundle->codecs[r].hash, "track_hash", bundle->track_hash[r], "locked", locked);
}

static json_t *scene_to_json(const rg_scene *scene, const rg_bundle *bundle)
{
    char version[16], utc[32];
    json_t *roles = json_array();
    for (int32_t r = 0; r < scene->n_roles; r++)
        json_array_append_new(roles, role_to_json(scene->roles + r, bundle, r));
    snprintf(version, sizeof version, "%d.%d", RG_SCENE_MAJOR, RG_SCENE_MINOR);
    const rg_sampling *s = &scene->sampling;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:O, s:O, s:f, s:f, s:i, s:{s:f, s:i, s:f, s:f, "
        "s:f}, s:o}",
        "format", "resonant-scene", "version", version, "id", scene->id, "created",
        rg_clock_utc(utc), "bundle_hash", scene->bundle_hash, "prompt", scene->prompt, "settings",
        scene->settings, "conditions", scene->conditions, "seconds", scene->seconds, "frame_rate",
        scene->frame_rate, "frames", scene->frames, "sampling", "temperature", s->temperature,
        "top_k", s->top_k, "top_p", s->top_p, "guidance_context", s->guidance_context,
        "guidance_conditions", s->guidance_conditions, "roles", roles);
}

static rg_status write_codes(const rg_scene *scene, const rg_bundle *bundle, rg_error *err)
{
    char path[RG_SCENE_PATH];
    RG_TRY(rg_fs_join(path, sizeof path, scene->folder, "codes.safetensors", err));
    rg_st_writer *writer = rg_st_writer_create(err);
    if (!writer) return err->code;
    for (int32_t r = 0; r < scene->n_roles; r++)
        if (!scene->roles[r].absent)
            rg_st_add(writer, scene->roles[r].name, RG_I32,
                      RG_SHAPE(scene->frames, bundle->config.roles[r].books),
                      scene->roles[r].codes);
    rg_st_add_metadata(writer, "bundle_hash", scene->bundle_hash);
    return rg_st_write(writer, path, err);
}

rg_status rg_scene_write(const rg_scene *scene, const rg_bundle *bundle, rg_error *err)
{
    char path[RG_SCENE_PATH];
    RG_TRY(write_codes(scene, bundle, err));
    RG_TRY(rg_fs_join(path, sizeof path, scene->folder, "scene.json", err));
    json_t *object = scene_to_json(scene, bundle);
    rg_status status = object ? rg_json_write(object, path, err)
                              : rg_fail(err, RG_ERR_NOMEM, "no memory for %s", path);
    json_decref(object);
    return status;
}

/* ---- reading ---- */

static rg_status copy_member(const json_t *object, const char *key, const char *where, char *out,
                             size_t size, rg_error *err)
{
    const char *text;
    RG_TRY(rg_json_get_text(object, key, where, &text, err));
    if (rg_copy_text(out, size, text)) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT, "%s: '%s' is too long", where, key);
}

static rg_status read_locked(const json_t *list, const char *where, rg_scene_role *role,
                             rg_error *err)
{
    size_t i;
    json_t *pair;
    if (json_array_size(list) > RG_MAX_SPANS)
        return rg_fail(err, RG_ERR_FORMAT, "%s: more than %d locked spans", where, RG_MAX_SPANS);
    json_array_foreach((json_t *)list, i, pair)
    {
        role->locked[i][0] = json_number_value(json_array_get(pair, 0));
        role->locked[i][1] = json_number_value(json_array_get(pair, 1));
    }
    role->n_locked = (int32_t)json_array_size(list);
    return RG_OK;
}

static rg_status check_audio(const rg_scene *scene, const rg_scene_role *role, rg_error *err)
{
    char path[RG_SCENE_PATH], hex[65];
    if (role->absent) return RG_OK;
    RG_TRY(rg_scene_wav(scene, role->name, path, err));
    RG_TRY(rg_sha256_file(path, hex, err));
    if (!strcmp(hex, role->sha256)) return RG_OK;
    return rg_fail(err, RG_ERR_MISMATCH,
                   "%s: changed since the scene was made; to keep your version give it with "
                   "--lock %s=%s",
                   path, role->name, path);
}

static rg_status read_role(rg_scene *scene, const json_t *object, const rg_bundle *bundle,
                           int32_t r, const char *where, rg_error *err)
{
    char seed[24];
    int64_t number;
    rg_scene_role *role = scene->roles + r;
    RG_TRY(copy_member(object, "name", where, role->name, sizeof role->name, err));
    if (strcmp(role->name, bundle->config.roles[r].name) != 0)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: role %d is '%s', the bundle has '%s'", where, r,
                       role->name, bundle->config.roles[r].name);
    RG_TRY(copy_member(object, "sha256", where, role->sha256, sizeof role->sha256, err));
    RG_TRY(copy_member(object, "take", where, role->take, sizeof role->take, err));
    RG_TRY(copy_member(object, "prompt", where, role->prompt, sizeof role->prompt, err));
    RG_TRY(copy_member(object, "seed", where, seed, sizeof seed, err));
    if (!rg_parse_int(seed, &number))
        return rg_fail(err, RG_ERR_FORMAT, "%s: seed '%s' is not a number", where, seed);
    role->seed = (uint64_t)number;
    role->absent = json_is_true(json_object_get(object, "absent"));
    RG_TRY(read_locked(json_object_get(object, "locked"), where, role, err));
    return check_audio(scene, role, err);
}

static bool codes_in_range(const int32_t *codes, int64_t n, int32_t entries)
{
    for (int64_t i = 0; i < n; i++)
        if (codes[i] < -1 || codes[i] >= entries) return false;
    return true;
}

static rg_status read_codes(rg_scene *scene, const rg_bundle *bundle, rg_error *err)
{
    char path[RG_SCENE_PATH];
    RG_TRY(rg_fs_join(path, sizeof path, scene->folder, "codes.safetensors", err));
    rg_st_reader *reader = rg_st_open(path, err);
    if (!reader) return err->code;
    rg_status status = RG_OK;
    for (int32_t r = 0; r < scene->n_roles && status == RG_OK; r++) {
        const rg_track_role *role = bundle->config.roles + r;
        int64_t n = (int64_t)scene->frames * role->books;
        const rg_st_tensor *tensor = rg_st_find(reader, role->name);
        if (scene->roles[r].absent) continue;
        scene->roles[r].codes = calloc((size_t)n + 1, sizeof(int32_t));
        if (!scene->roles[r].codes)
            status = rg_fail(err, RG_ERR_NOMEM, "no memory for %s", path);
        else if (!tensor || tensor->dtype != RG_I32 || rg_shape_count(tensor->shape) != n)
            status = rg_fail(err, RG_ERR_FORMAT, "%s: no codes (%d,%d) for '%s'", path,
                             scene->frames, role->books, role->name);
        else
            status = rg_st_read(reader, tensor, scene->roles[r].codes, err);
        if (status == RG_OK && !codes_in_range(scene->roles[r].codes, n, role->entries))
            status =
                rg_fail(err, RG_ERR_FORMAT, "%s: a code of '%s' is out of range", path, role->name);
    }
    rg_st_close(reader);
    return status;
}

static rg_status read_sampling(const json_t *object, const char *where, rg_sampling *out,
                               rg_error *err)
{
    int64_t top_k;
    const json_t *s = rg_json_get_object(object, "sampling", where, err);
    if (!s) return err->code;
    RG_TRY(rg_json_get_double(s, "temperature", where, &out->temperature, err));
    RG_TRY(rg_json_get_int(s, "top_k", where, &top_k, err));
    RG_TRY(rg_json_get_double(s, "top_p", where, &out->top_p, err));
    RG_TRY(rg_json_get_double(s, "guidance_context", where, &out->guidance_context, err));
    RG_TRY(rg_json_get_double(s, "guidance_conditions", where, &out->guidance_conditions, err));
    out->top_k = (int32_t)top_k;
    return RG_OK;
}

static rg_status read_header(rg_scene *scene, const json_t *object, const rg_bundle *bundle,
                             const char *where, rg_error *err)
{
    int64_t frames;
    RG_TRY(rg_json_check_format(object, "resonant-scene", RG_SCENE_MAJOR, where, err));
    RG_TRY(copy_member(object, "bundle_hash", where, scene->bundle_hash, 65, err));
    if (strcmp(scene->bundle_hash, bundle->hash) != 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: was made with bundle %.12s, this one is %.12s; use the same bundle or "
                       "give its stems with --lock",
                       where, scene->bundle_hash, bundle->hash);
    RG_TRY(copy_member(object, "prompt", where, scene->prompt, sizeof scene->prompt, err));
    RG_TRY(rg_json_get_double(object, "seconds", where, &scene->seconds, err));
    RG_TRY(rg_json_get_double(object, "frame_rate", where, &scene->frame_rate, err));
    RG_TRY(rg_json_get_int(object, "frames", where, &frames, err));
    if (!(scene->seconds > 0 && scene->seconds <= 3600) || frames < 1 || frames > 1000000)
        return rg_fail(err, RG_ERR_FORMAT, "%s: a length of %g s in %lld frames is not possible",
                       where, scene->seconds, (long long)frames);
    scene->frames = (int32_t)frames;
    RG_TRY(read_sampling(object, where, &scene->sampling, err));
    json_t *settings = rg_json_get_array(object, "settings", where, err);
    if (!settings) return err->code;
    scene->settings = json_incref(settings);
    scene->conditions = json_incref(json_object_get(object, "conditions"));
    return RG_OK;
}

rg_status rg_scene_read(rg_scene *scene, const char *folder, const rg_bundle *bundle, rg_error *err)
{
    char path[RG_SCENE_PATH];
    *scene = (rg_scene){.n_roles = bundle->config.n_roles};
    if (!rg_copy_text(scene->folder, sizeof scene->folder, folder))
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", folder);
    RG_TRY(rg_fs_join(path, sizeof path, folder, "scene.json", err));
    json_t *object = rg_json_read(path, SCENE_LIMIT, err);
    if (!object) return err->code;
    rg_status status = read_header(scene, object, bundle, path, err);
    const json_t *roles = json_object_get(object, "roles");
    if (status == RG_OK && json_array_size(roles) != (size_t)scene->n_roles)
        status = rg_fail(err, RG_ERR_MISMATCH, "%s: has %zu roles, the bundle has %d", path,
                         json_array_size(roles), scene->n_roles);
    for (int32_t r = 0; r < scene->n_roles && status == RG_OK; r++)
        status = read_role(scene, json_array_get(roles, (size_t)r), bundle, r, path, err);
    json_decref(object);
    if (status == RG_OK) status = read_codes(scene, bundle, err);
    if (status != RG_OK) rg_scene_free(scene);
    return status;
}
