/*
 * Scenes on disk (scene.h).
 */
#include "generate/scene.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "generate/pipeline.h"

enum { SCENE_LIMIT = 16 << 20 };

rg_status rg_scene_wav(const rg_scene *scene, const char *role, char out[RG_SCENE_PATH],
                       rg_error *err)
{
    char name[RG_TRACK_NAME + 8];
    snprintf(name, sizeof name, "%s.wav", role);
    return rg_fs_join(out, RG_SCENE_PATH, scene->folder, name, err);
}

void rg_scene_take_name(int32_t i, char out[16])
{
    snprintf(out, 16, "take-%d", (int)i);
}

int32_t rg_scene_frames(double seconds, double frame_rate)
{
    return (int32_t)ceil(seconds * frame_rate - 1e-9);
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
    char version[16], utc[32], name[16];
    json_t *roles = json_array(), *takes = json_array();
    for (int32_t i = 1; i <= scene->others; i++) {
        rg_scene_take_name(i, name);
        json_array_append_new(takes, json_string(name));
    }
    for (int32_t r = 0; r < scene->n_roles; r++)
        json_array_append_new(roles, role_to_json(scene->roles + r, bundle, r));
    snprintf(version, sizeof version, "%d.%d", RG_SCENE_MAJOR, RG_SCENE_MINOR);
    const rg_sampling *s = &scene->sampling;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:O, s:O, s:f, s:f, s:i, s:{s:f, s:i, s:f, s:f, "
        "s:f}, s:o, s:o}",
        "format", "resonant-scene", "version", version, "id", scene->id, "created",
        rg_clock_utc(utc), "bundle_hash", scene->bundle_hash, "precision",
        rg_precision_text(scene->precision), "prompt", scene->prompt, "own_words", scene->own_words,
        "settings", scene->settings, "conditions", scene->conditions, "seconds", scene->seconds,
        "frame_rate", scene->frame_rate, "frames", scene->frames, "sampling", "temperature",
        s->temperature, "top_k", s->top_k, "top_p", s->top_p, "guidance_context",
        s->guidance_context, "guidance_conditions", s->guidance_conditions, "takes", takes, "roles",
        roles);
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

static rg_status words_path(const rg_scene *scene, char out[RG_SCENE_PATH], rg_error *err)
{
    return rg_fs_join(out, RG_SCENE_PATH, scene->folder, "vocabulary.json", err);
}

rg_status rg_scene_write(const rg_scene *scene, const rg_bundle *bundle, rg_error *err)
{
    char path[RG_SCENE_PATH];
    RG_TRY(write_codes(scene, bundle, err));
    if (scene->own_words) {
        RG_TRY(words_path(scene, path, err));
        RG_TRY(rg_vocabulary_write(&bundle->vocabulary, path, err));
    }
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

static rg_status read_locked(const json_t *object, const char *where, rg_scene_role *role,
                             rg_error *err)
{
    const json_t *list = rg_json_get_array(object, "locked", where, err);
    if (!list) return err->code;
    if (json_array_size(list) > RG_MAX_SPANS)
        return rg_fail(err, RG_ERR_FORMAT, "%s: more than %d locked spans", where, RG_MAX_SPANS);
    role->n_locked = (int32_t)json_array_size(list);
    for (int32_t i = 0; i < role->n_locked; i++) {
        const json_t *pair = json_array_get(list, (size_t)i);
        const json_t *start = json_array_get(pair, 0), *end = json_array_get(pair, 1);
        double a = json_number_value(start), b = json_number_value(end);
        if (!json_is_number(start) || !json_is_number(end) || !(a >= 0 && b >= a))
            return rg_fail(err, RG_ERR_FORMAT, "%s: locked span %d of '%s' is not [start, end]",
                           where, i + 1, role->name);
        role->locked[i][0] = a;
        role->locked[i][1] = b;
    }
    return RG_OK;
}

/* All 64 bits; rg_parse_int takes only the lower half of them. */
static bool parse_seed(const char *text, uint64_t *out)
{
    if (!text[0] || strspn(text, "0123456789") != strlen(text)) return false;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return errno == 0;
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
    rg_scene_role *role = scene->roles + r;
    RG_TRY(copy_member(object, "name", where, role->name, sizeof role->name, err));
    if (strcmp(role->name, bundle->config.roles[r].name) != 0)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: role %d is '%s', the bundle has '%s'", where, r,
                       role->name, bundle->config.roles[r].name);
    RG_TRY(copy_member(object, "sha256", where, role->sha256, sizeof role->sha256, err));
    RG_TRY(copy_member(object, "take", where, role->take, sizeof role->take, err));
    RG_TRY(copy_member(object, "prompt", where, role->prompt, sizeof role->prompt, err));
    RG_TRY(copy_member(object, "seed", where, seed, sizeof seed, err));
    if (!parse_seed(seed, &role->seed))
        return rg_fail(err, RG_ERR_FORMAT, "%s: seed '%s' is not a number below 2^64", where, seed);
    const json_t *absent = json_object_get(object, "absent");
    if (!json_is_boolean(absent))
        return rg_fail(err, RG_ERR_FORMAT, "%s: 'absent' of '%s' is not true or false", where,
                       role->name);
    role->absent = json_is_true(absent);
    return read_locked(object, where, role, err);
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
    bool fits = top_k >= 0 && top_k <= INT32_MAX;
    out->top_k = fits ? (int32_t)top_k : 0;
    if (fits && rg_sampling_valid(out)) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT, "%s: a number of 'sampling' is out of range", where);
}

/* Scenes of version 1.0 do not say it: they were made in fp32. */
static rg_status read_precision(rg_scene *scene, const json_t *object, const char *where,
                                rg_error *err)
{
    const char *text;
    scene->precision = RG_F32;
    if (!json_object_get(object, "precision")) return RG_OK;
    RG_TRY(rg_json_get_text(object, "precision", where, &text, err));
    if (rg_precision_parse(text, &scene->precision)) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT, "%s: precision '%s' is not fp32, fp16, bf16 or int8", where,
                   text);
}

static rg_status read_settings(rg_scene *scene, const json_t *object, const char *where,
                               rg_error *err)
{
    size_t i;
    json_t *setting, *settings = rg_json_get_array(object, "settings", where, err);
    if (!settings) return err->code;
    if (json_array_size(settings) > RG_SCENE_SETTINGS)
        return rg_fail(err, RG_ERR_FORMAT, "%s: more than %d settings", where, RG_SCENE_SETTINGS);
    json_array_foreach(settings, i, setting) if (!json_is_string(setting)) return rg_fail(
        err, RG_ERR_FORMAT, "%s: setting %zu is not a text", where, i + 1);
    scene->settings = json_incref(settings);
    return RG_OK;
}

/* Length in seconds and in frames of the bundle: one follows from the other. */
static rg_status read_length(rg_scene *scene, const json_t *object, const rg_bundle *bundle,
                             const char *where, rg_error *err)
{
    int64_t frames;
    double rate = bundle->config.frame_rate;
    RG_TRY(rg_json_get_double(object, "seconds", where, &scene->seconds, err));
    RG_TRY(rg_json_get_double(object, "frame_rate", where, &scene->frame_rate, err));
    RG_TRY(rg_json_get_int(object, "frames", where, &frames, err));
    if (scene->frame_rate != rate)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: has %g frames a second, the bundle %g", where,
                       scene->frame_rate, rate);
    if (!(scene->seconds > 0 && scene->seconds <= RG_SCENE_SECONDS) || frames < 1 ||
        frames != rg_scene_frames(scene->seconds, rate))
        return rg_fail(err, RG_ERR_FORMAT, "%s: a length of %g s in %lld frames is not possible",
                       where, scene->seconds, (long long)frames);
    scene->frames = (int32_t)frames;
    return RG_OK;
}

/* Scenes of version 1.2 and before do not have it: the bundle's words are theirs. */
static rg_status read_own_words(rg_scene *scene, const json_t *object, const char *where,
                                rg_error *err)
{
    const json_t *own = json_object_get(object, "own_words");
    if (own && !json_is_boolean(own))
        return rg_fail(err, RG_ERR_FORMAT, "%s: 'own_words' is not true or false", where);
    scene->own_words = json_is_true(own);
    return RG_OK;
}

/* Scenes of version 1.1 and before do not have it: they are the only take. */
static rg_status read_takes(rg_scene *scene, const json_t *object, const char *where, rg_error *err)
{
    size_t i;
    json_t *name, *takes = json_object_get(object, "takes");
    if (!takes) return RG_OK;
    if (!json_is_array(takes) || json_array_size(takes) >= RG_MAX_TAKES)
        return rg_fail(err, RG_ERR_FORMAT, "%s: 'takes' is not a list of at most %d folders", where,
                       RG_MAX_TAKES - 1);
    json_array_foreach(takes, i, name)
    {
        char expected[16];
        rg_scene_take_name((int32_t)i + 1, expected);
        if (!json_is_string(name) || strcmp(json_string_value(name), expected) != 0)
            return rg_fail(err, RG_ERR_FORMAT, "%s: 'takes' does not name '%s' there", where,
                           expected);
    }
    scene->others = (int32_t)json_array_size(takes);
    return RG_OK;
}

static rg_status read_header(rg_scene *scene, const json_t *object, const rg_bundle *bundle,
                             const char *where, rg_error *err)
{
    RG_TRY(rg_json_check_format(object, "resonant-scene", RG_SCENE_MAJOR, where, err));
    RG_TRY(copy_member(object, "bundle_hash", where, scene->bundle_hash, 65, err));
    if (strcmp(scene->bundle_hash, bundle->hash) != 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: was made with bundle %.12s, this one is %.12s; use the same bundle or "
                       "give its stems with --lock",
                       where, scene->bundle_hash, bundle->hash);
    RG_TRY(copy_member(object, "prompt", where, scene->prompt, sizeof scene->prompt, err));
    RG_TRY(read_length(scene, object, bundle, where, err));
    RG_TRY(read_precision(scene, object, where, err));
    RG_TRY(read_sampling(object, where, &scene->sampling, err));
    RG_TRY(read_settings(scene, object, where, err));
    RG_TRY(read_own_words(scene, object, where, err));
    RG_TRY(read_takes(scene, object, where, err));
    json_t *conditions = rg_json_get_array(object, "conditions", where, err);
    if (!conditions) return err->code;
    scene->conditions = json_incref(conditions);
    return RG_OK;
}

rg_status rg_scene_parse(rg_scene *scene, const json_t *object, const rg_bundle *bundle,
                         const char *where, rg_error *err)
{
    RG_TRY(read_header(scene, object, bundle, where, err));
    const json_t *roles = rg_json_get_array(object, "roles", where, err);
    if (!roles) return err->code;
    scene->n_roles = bundle->config.n_roles;
    if (json_array_size(roles) != (size_t)scene->n_roles)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: has %zu roles, the bundle has %d", where,
                       json_array_size(roles), scene->n_roles);
    for (int32_t r = 0; r < scene->n_roles; r++)
        RG_TRY(read_role(scene, json_array_get(roles, (size_t)r), bundle, r, where, err));
    return RG_OK;
}

rg_status rg_scene_read(rg_scene *scene, const char *folder, const rg_bundle *bundle, rg_error *err)
{
    char path[RG_SCENE_PATH];
    *scene = (rg_scene){0};
    if (!rg_copy_text(scene->folder, sizeof scene->folder, folder))
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", folder);
    RG_TRY(rg_fs_join(path, sizeof path, folder, "scene.json", err));
    json_t *object = rg_json_read(path, SCENE_LIMIT, err);
    if (!object) return err->code;
    rg_status status = rg_scene_parse(scene, object, bundle, path, err);
    json_decref(object);
    for (int32_t r = 0; r < scene->n_roles && status == RG_OK; r++)
        status = check_audio(scene, scene->roles + r, err);
    if (status == RG_OK) status = read_codes(scene, bundle, err);
    if (status != RG_OK) rg_scene_free(scene);
    return status;
}

rg_status rg_scene_read_words(const rg_scene *scene, rg_vocabulary *words, rg_error *err)
{
    char path[RG_SCENE_PATH];
    rg_vocabulary own = {0};
    if (!scene->own_words) return RG_OK;
    RG_TRY(words_path(scene, path, err));
    rg_status status = rg_vocabulary_read(&own, path, err);
    rg_vocabulary_free(status == RG_OK ? words : &own);
    if (status == RG_OK) *words = own;
    return status;
}
