/*
 * Sessions (session.h): request -> what is kept -> take -> stems -> scene.
 */
#include "generate/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/text.h"
#include "generate/hearing.h"
#include "generate/locks.h"
#include "generate/memory.h"
#include "generate/wishes.h"

static const double default_seconds = 8;

typedef struct session {
    const rg_generate_options *options;
    rg_exec *ex;
    const rg_log *log;
    rg_bundle bundle;
    rg_scene before, scene; /* gone on from; being made */
    bool has_before;
    rg_conditions conditions;
    rg_wishes wishes;   /* of the prompt */
    double usual_tempo; /* of its genre; 0: none */
    rg_kept_role kept[RG_TRACK_ROLES];
    bool remade[RG_TRACK_ROLES]; /* gets the new seed */
    rg_take *take;
    int32_t takes;
    uint64_t seeds[RG_MAX_TAKES][RG_TRACK_ROLES];
    bool differ; /* some role has another seed in each take */
    rg_atomic_folder out;
} session;

static int32_t n_roles(const session *s)
{
    return s->bundle.config.n_roles;
}

/* ---- prompts, settings, seeds ---- */

static rg_status take_role_prompts(session *s, rg_error *err)
{
    for (size_t i = 0; i < s->options->n_role_prompts; i++) {
        int32_t role;
        const char *text;
        RG_TRY(rg_parse_role_value("--role-prompt", s->options->role_prompts[i], &s->bundle.config,
                                   &role, &text, err));
        if (!rg_copy_text(s->scene.roles[role].prompt, RG_PROMPT_SIZE, text))
            return rg_fail(err, RG_ERR_USAGE, "--role-prompt: the text is too long");
    }
    return RG_OK;
}

static rg_status make_conditions(session *s, rg_error *err)
{
    if (json_array_size(s->scene.settings) > RG_SCENE_SETTINGS)
        return rg_fail(err, RG_ERR_USAGE, "--set: more than %d fields", RG_SCENE_SETTINGS);
    rg_prompt *prompts = calloc((size_t)n_roles(s) + 1, sizeof *prompts);
    const rg_prompt *of_role[RG_TRACK_ROLES] = {0};
    const char *settings[RG_SCENE_SETTINGS];
    size_t n = 0, i;
    json_t *setting;
    if (!prompts) return rg_fail(err, RG_ERR_NOMEM, "no memory for prompts");
    rg_status status =
        rg_prompt_analyze(s->scene.prompt, &s->bundle.vocabulary, prompts + n_roles(s), err);
    for (int32_t r = 0; r < n_roles(s) && status == RG_OK; r++)
        if (s->scene.roles[r].prompt[0]) {
            status = rg_prompt_analyze(s->scene.roles[r].prompt, &s->bundle.vocabulary, prompts + r,
                                       err);
            of_role[r] = prompts + r;
        }
    json_array_foreach(s->scene.settings, i, setting) settings[n++] = json_string_value(setting);
    if (status == RG_OK)
        status = rg_conditions_make(&s->bundle, prompts + n_roles(s), of_role, settings, n,
                                    &s->conditions, err);
    s->wishes = rg_wishes_of(prompts + n_roles(s), &s->conditions);
    s->usual_tempo = prompts[n_roles(s)].usual_tempo;
    if (status == RG_OK && prompts[n_roles(s)].unknown[0])
        rg_log_line(s->log, RG_LOG_WARNING, "not understood in the prompt: %s",
                    prompts[n_roles(s)].unknown);
    free(prompts);
    return status;
}

/* Tempo and key of the files that are locked, now or when the scene was made. */
static rg_status hear_locked(session *s, rg_error *err)
{
    bool locked[RG_TRACK_ROLES] = {false}, any = false;
    rg_hearing heard;
    for (int32_t r = 0; r < n_roles(s); r++) {
        const rg_kept_role *k = s->kept + r;
        const bool before = k->from_scene && s->before.roles[r].n_locked > 0;
        locked[r] = k->has_file && (before || !k->from_scene);
        any = any || locked[r];
    }
    if (!any) return RG_OK;
    RG_TRY(rg_hear_locked(s->kept, locked, &s->bundle.config, &heard, err));
    rg_conditions_hear(&s->conditions, &s->bundle, heard.tempo, heard.key_tonic, heard.key_mode);
    return RG_OK;
}

static void report_conditions(const session *s)
{
    for (int32_t i = 0; i < s->conditions.n; i++) {
        const rg_condition *c = s->conditions.rows + i;
        rg_log_line(s->log, c->used[0] ? RG_LOG_INFO : RG_LOG_WARNING,
                    "condition %s = %s%s%s: %s%s%s%s", c->field, c->asked,
                    c->role[0] ? " for " : "", c->role, c->used[0] ? "used" : "ignored",
                    c->note[0] ? " (" : "", c->note[0] ? c->note : "", c->note[0] ? ")" : "");
        if (c->used[0] && strcmp(c->used, c->asked) != 0)
            rg_log_line(s->log, RG_LOG_INFO, "  as %s = %s", c->field, c->used);
    }
}

static rg_status choose_precision(session *s, rg_error *err)
{
    const char *text = s->options->precision;
    rg_dtype *type = &s->scene.precision;
    *type = s->has_before ? s->before.precision : RG_F32;
    if (text && !rg_precision_parse(text, type))
        return rg_fail(err, RG_ERR_USAGE, "--precision: '%s' is not fp32, fp16, bf16 or int8",
                       text);
    return *type == RG_F32 ? RG_OK : rg_bundle_set_precision(&s->bundle, *type, s->ex, err);
}

static uint64_t choose_seed(const session *s)
{
    uint64_t seed = 0;
    if (s->options->has_seed) return s->options->seed;
    for (int32_t r = 0; s->has_before && r < n_roles(s); r++)
        if (s->before.roles[r].seed > seed) seed = s->before.roles[r].seed;
    return seed + 1;
}

/* A setting takes the place of an earlier one of its field. */
static rg_status add_setting(json_t *settings, const char *text, rg_error *err)
{
    size_t n = strcspn(text, "="), i = json_array_size(settings);
    while (i-- > 0) {
        const char *old = json_string_value(json_array_get(settings, i));
        if (strcspn(old, "=") == n && strncmp(old, text, n) == 0) json_array_remove(settings, i);
    }
    if (json_array_append_new(settings, json_string(text)) == 0) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "--set: '%s' is not UTF-8", text);
}

static rg_status fill_scene_header(session *s, rg_error *err)
{
    rg_scene *scene = &s->scene;
    const rg_generate_options *o = s->options;
    scene->n_roles = n_roles(s);
    scene->frame_rate = s->bundle.config.frame_rate;
    scene->sampling = o->sampling     ? *o->sampling
                      : s->has_before ? s->before.sampling
                                      : rg_sampling_defaults();
    rg_copy_text(scene->bundle_hash, sizeof scene->bundle_hash, s->bundle.hash);
    rg_copy_text(scene->prompt, sizeof scene->prompt,
                 o->prompt       ? o->prompt
                 : s->has_before ? s->before.prompt
                                 : "");
    scene->settings = s->has_before ? json_deep_copy(s->before.settings) : json_array();
    for (size_t i = 0; i < o->n_settings; i++)
        RG_TRY(add_setting(scene->settings, o->settings[i], err));
    for (int32_t r = 0; r < scene->n_roles; r++) {
        rg_scene_role *role = scene->roles + r;
        rg_copy_text(role->name, sizeof role->name, s->bundle.config.roles[r].name);
        if (!s->has_before) continue;
        rg_copy_text(role->prompt, sizeof role->prompt, s->before.roles[r].prompt);
        role->absent = s->before.roles[r].absent;
    }
    return RG_OK;
}

/* ---- what is kept ---- */

typedef struct spans {
    int32_t n;
    double at[RG_MAX_SPANS][2];
} spans;

static rg_status find_remade(session *s, spans made[RG_TRACK_ROLES], rg_error *err)
{
    for (size_t i = 0; i < s->options->n_regenerate; i++) {
        int32_t role;
        double start, end;
        const char *text = s->options->regenerate[i];
        RG_TRY(rg_parse_role_span(text, &s->bundle.config, &role, &start, &end, err));
        spans *m = made + role;
        if (m->n == RG_MAX_SPANS)
            return rg_fail(err, RG_ERR_USAGE, "--regenerate %s: too many spans", text);
        if (start >= s->before.seconds)
            return rg_fail(err, RG_ERR_USAGE, "--regenerate %s: the scene is %.2f s long", text,
                           s->before.seconds);
        m->at[m->n][0] = start;
        m->at[m->n++][1] = end;
        s->remade[role] = true;
    }
    return RG_OK;
}

static rg_status keep_roles(session *s, rg_error *err)
{
    spans made[RG_TRACK_ROLES] = {0};
    int32_t role;
    if (!s->has_before && s->options->n_regenerate)
        return rg_fail(err, RG_ERR_USAGE, "--regenerate needs --from SCENE");
    for (size_t i = 0; i < s->options->n_locks; i++) {
        RG_TRY(rg_keep_file(s->kept, &s->bundle.config, s->options->locks[i], &role, err));
        const rg_stem_lock *lock = &s->kept[role].lock;
        rg_scene_role *to = s->scene.roles + role;
        to->n_locked = lock->n;
        to->absent = false;
        for (int32_t k = 0; k < lock->n; k++) {
            to->locked[k][0] = (double)lock->spans[k].start / lock->pcm.rate;
            to->locked[k][1] = (double)lock->spans[k].end / lock->pcm.rate;
        }
    }
    if (!s->has_before) return RG_OK;
    RG_TRY(find_remade(s, made, err));
    for (role = 0; role < n_roles(s); role++) {
        if (s->kept[role].has_file && s->remade[role])
            return rg_fail(err, RG_ERR_USAGE, "%s: both --lock and --regenerate",
                           s->scene.roles[role].name);
        if (!s->kept[role].has_file)
            RG_TRY(rg_keep_from_scene(s->kept, &s->before, role, made[role].at, made[role].n, err));
    }
    return RG_OK;
}

/* A new scene lacks the tracks that its prompt does not want, unless a file of them is kept. */
static rg_status heed_wishes(session *s, rg_error *err)
{
    int32_t left = 0;
    if (s->has_before) return RG_OK;
    for (int32_t r = 0; r < n_roles(s); r++) {
        rg_scene_role *role = s->scene.roles + r;
        if (!s->kept[r].has_file && rg_wishes_track(&s->wishes, role->name) < 0) {
            role->absent = true;
            rg_log_line(s->log, RG_LOG_INFO, "%s: left out, as the prompt says", role->name);
        }
        left += !role->absent;
    }
    const char *missing = rg_wishes_missing(&s->wishes, &s->bundle.config);
    if (missing)
        rg_log_line(s->log, RG_LOG_WARNING, "%s: wanted, and not among the bundle's tracks",
                    missing);
    if (left) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "the prompt wants none of the bundle's tracks: '%s'",
                   s->scene.prompt);
}

static rg_status leave_roles_out(session *s, rg_error *err)
{
    for (size_t i = 0; i < s->options->n_leave_out; i++) {
        int32_t role;
        double start, end;
        RG_TRY(rg_parse_role_span(s->options->leave_out[i], &s->bundle.config, &role, &start, &end,
                                  err));
        if (s->kept[role].has_file)
            return rg_fail(err, RG_ERR_USAGE, "%s: both kept and left out",
                           s->options->leave_out[i]);
        s->scene.roles[role].absent = true;
    }
    return RG_OK;
}

static rg_status choose_length(session *s, rg_error *err)
{
    double seconds = s->options->seconds, longest = 0;
    for (int32_t r = 0; r < n_roles(s); r++)
        if (s->kept[r].has_file)
            longest = fmax(longest, (double)s->kept[r].lock.pcm.frames / s->kept[r].lock.pcm.rate);
    if (s->has_before && seconds > 0 && seconds != s->before.seconds)
        return rg_fail(err, RG_ERR_USAGE, "--duration: a scene keeps its length of %.3f s",
                       s->before.seconds);
    if (s->has_before) seconds = s->before.seconds;
    if (!(seconds > 0)) seconds = longest > 0 ? longest : s->wishes.seconds;
    if (!(seconds > 0)) seconds = default_seconds;
    if (seconds > RG_SCENE_SECONDS)
        return rg_fail(err, RG_ERR_USAGE, "a length of %.1f s is over the limit of %d s", seconds,
                       RG_SCENE_SECONDS);
    s->scene.seconds = seconds;
    s->scene.frames = rg_scene_frames(seconds, s->scene.frame_rate);
    if (s->scene.frames < 1)
        return rg_fail(err, RG_ERR_USAGE, "a length of %g s is less than one frame", seconds);
    return RG_OK;
}

/* ---- the take ---- */

static rg_status encode_lock(session *s, int32_t r, int32_t *codes, rg_error *err)
{
    RG_TRY(rg_bundle_need(&s->bundle, RG_PART_CODEC, r, err));
    return rg_stem_encode(s->ex->host, &s->bundle.codecs[r], &s->kept[r].lock.pcm, s->scene.frames,
                          codes, err);
}

static rg_status tell_known(session *s, int32_t r, rg_error *err)
{
    rg_kept_role *k = s->kept + r;
    int32_t frames = s->scene.frames, books = s->bundle.config.roles[r].books;
    uint8_t *known = calloc((size_t)frames, 1);
    int32_t *codes = malloc(sizeof *codes * (size_t)frames * (size_t)books);
    rg_status status = known && codes ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for codes");
    if (status == RG_OK && k->whole)
        memset(known, 1, (size_t)frames);
    else if (status == RG_OK)
        rg_stem_known(&k->lock, s->scene.frame_rate, frames, known);
    if (status == RG_OK && k->from_scene)
        memcpy(codes, s->before.roles[r].codes, sizeof *codes * (size_t)frames * (size_t)books);
    else if (status == RG_OK)
        status = encode_lock(s, r, codes, err);
    if (status == RG_OK) status = rg_take_know(s->take, r, codes, known, err);
    free(known);
    free(codes);
    return status;
}

static rg_status make_take(session *s, uint64_t seed, rg_error *err)
{
    rg_take_options options = {.bundle = &s->bundle,
                               .ex = s->ex,
                               .takes = s->takes,
                               .precision = s->scene.precision,
                               .frames = s->scene.frames,
                               .sampling = s->scene.sampling,
                               .conditions = &s->conditions};
    for (int32_t r = 0; r < n_roles(s); r++) {
        const bool old = s->has_before && !s->remade[r];
        s->differ = s->differ || !old;
        for (int32_t i = 0; i < s->takes; i++)
            s->seeds[i][r] = old ? s->before.roles[r].seed : seed + (uint64_t)i;
    }
    memcpy(options.seeds, s->seeds, sizeof options.seeds);
    s->take = rg_take_create(&options, err);
    if (!s->take) return err->code;
    for (int32_t r = 0; r < n_roles(s); r++) {
        if (s->scene.roles[r].absent)
            rg_take_leave_out(s->take, r);
        else if (s->kept[r].has_file)
            RG_TRY(tell_known(s, r, err));
    }
    return RG_OK;
}

static rg_status run_take(session *s, rg_error *err)
{
    rg_take_progress now = {0};
    rg_progress shown;
    rg_progress_start(&shown, "generating", 1);
    while (!now.finished) {
        if (s->options->stop && *s->options->stop)
            return rg_fail(err, RG_ERR_CANCELLED, "stopped; nothing was written");
        RG_TRY(rg_take_step(s->take, &now, err));
        if (s->takes > 1 && (now.total == 0 || !s->differ))
            return rg_fail(err, RG_ERR_USAGE,
                           "--takes %d: no role is made anew, so that the takes would be equal; "
                           "--regenerate a role or leave --takes out",
                           s->takes);
        shown.total = now.total;
        rg_progress_step(&shown, s->log, now.done, s->bundle.config.roles[now.role].name);
    }
    return RG_OK;
}

/* ---- audio and files ---- */

static rg_status copy_codes(session *s, int32_t take, int32_t r, rg_error *err)
{
    free(s->scene.roles[r].codes); /* of the take before */
    size_t n = (size_t)s->scene.frames * (size_t)s->bundle.config.roles[r].books;
    s->scene.roles[r].codes = malloc(sizeof(int32_t) * n);
    if (!s->scene.roles[r].codes) return rg_fail(err, RG_ERR_NOMEM, "no memory for codes");
    memcpy(s->scene.roles[r].codes, rg_take_codes(s->take, take, r), sizeof(int32_t) * n);
    return RG_OK;
}

/* The finished stem; a wholly kept one is the old one, sample for sample. */
static rg_status make_stem(session *s, int32_t take, int32_t r, rg_pcm *out, rg_error *err)
{
    rg_audio made = {0};
    rg_kept_role *k = s->kept + r;
    RG_TRY(copy_codes(s, take, r, err));
    RG_TRY(rg_bundle_need(&s->bundle, RG_PART_CODEC, r, err));
    RG_TRY(rg_stem_decode(s->ex->host, &s->bundle.codecs[r], s->scene.roles[r].codes,
                          s->scene.frames, s->scene.seconds, &made, err));
    rg_status status = rg_stem_assemble(k->has_file ? &k->lock : NULL, &made, s->options->rate,
                                        s->scene.seconds, out, err);
    rg_audio_free(&made);
    return status;
}

/* A stem kept whole is copied as a file, so that even its header stays as it was. */
static rg_status write_stem(session *s, int32_t r, const rg_pcm *stem, rg_error *err)
{
    char path[RG_SCENE_PATH], old[RG_SCENE_PATH], *data = NULL;
    rg_scene_role *role = s->scene.roles + r;
    size_t n = 0;
    RG_TRY(rg_scene_wav(&s->scene, role->name, path, err));
    if (!s->kept[r].whole)
        RG_TRY(rg_pcm_write_wav(path, stem, err));
    else {
        RG_TRY(rg_scene_wav(&s->before, role->name, old, err));
        RG_TRY(rg_fs_read_all(old, (size_t)4 << 30, &data, &n, err));
        rg_status status = rg_fs_write_atomic(path, data, n, err);
        free(data);
        RG_TRY(status);
    }
    rg_copy_text(role->take, sizeof role->take,
                 s->kept[r].whole ? s->before.roles[r].take : s->scene.id);
    if (s->kept[r].from_scene) {
        role->n_locked = s->kept[r].whole ? s->before.roles[r].n_locked : 0;
        memcpy(role->locked, s->before.roles[r].locked, sizeof role->locked);
    }
    return rg_sha256_file(path, role->sha256, err);
}

static rg_status write_mix(session *s, int32_t take, const rg_pcm *stems, int32_t n,
                           rg_generate_result *result, rg_error *err)
{
    double gain;
    rg_audio mix = {0};
    char path[RG_SCENE_PATH];
    if (!n) return rg_fail(err, RG_ERR_USAGE, "every role is left out: nothing to make");
    RG_TRY(rg_stem_mix(stems, n, s->scene.seconds, &mix, &gain, err));
    rg_levels levels = rg_audio_levels(&mix);
    if (take == 0) result->mix_gain = gain, result->mix_peak = levels.peak;
    result->silent_share = fmax(result->silent_share, levels.silent_share);
    rg_status status = rg_fs_join(path, sizeof path, s->scene.folder, "mix.wav", err);
    if (status == RG_OK) status = rg_audio_write_wav(path, &mix, RG_PCM_S16, NULL, err);
    rg_audio_free(&mix);
    return status;
}

/* Its folder, made; its id and seeds. */
static rg_status begin_scene(session *s, int32_t take, rg_error *err)
{
    char name[16];
    rg_scene *scene = &s->scene;
    for (int32_t r = 0; r < n_roles(s); r++) scene->roles[r].seed = s->seeds[take][r];
    rg_take_id(s->take, take, scene->id);
    scene->others = take == 0 ? s->takes - 1 : 0;
    rg_copy_text(scene->folder, sizeof scene->folder, s->out.temporary);
    if (take == 0) return RG_OK;
    rg_scene_take_name(take, name);
    RG_TRY(rg_fs_join(scene->folder, sizeof scene->folder, s->out.temporary, name, err));
    return rg_fs_make_folders(scene->folder, err);
}

static rg_status write_scene(session *s, int32_t take, rg_generate_result *result, rg_error *err)
{
    rg_pcm stems[RG_TRACK_ROLES] = {0};
    int32_t n = 0;
    rg_status status = begin_scene(s, take, err);
    for (int32_t r = 0; r < n_roles(s) && status == RG_OK; r++) {
        if (s->scene.roles[r].absent) continue;
        status = make_stem(s, take, r, stems + n, err);
        if (status == RG_OK) status = write_stem(s, r, stems + n, err);
        n++;
    }
    if (status == RG_OK) status = write_mix(s, take, stems, n, result, err);
    if (status == RG_OK) status = rg_scene_write(&s->scene, &s->bundle, err);
    while (n) rg_pcm_free(stems + --n);
    return status;
}

static rg_status write_scenes(session *s, rg_generate_result *result, rg_error *err)
{
    s->scene.conditions = rg_conditions_to_json(&s->conditions);
    for (int32_t take = 0; take < s->takes; take++) {
        RG_TRY(write_scene(s, take, result, err));
        if (take == 0) rg_copy_text(result->take, sizeof result->take, s->scene.id);
    }
    return RG_OK;
}

static rg_status choose_takes(session *s, rg_error *err)
{
    s->takes = s->options->takes ? s->options->takes : 1;
    if (s->takes >= 1 && s->takes <= RG_MAX_TAKES) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "--takes %d: 1 to %d were expected", s->takes, RG_MAX_TAKES);
}

/* The bundle's words, those that the scene was made with, and those given now. */
static rg_status take_words(session *s, rg_error *err)
{
    const char *given = s->options->vocabulary;
    if (s->has_before) RG_TRY(rg_scene_read_words(&s->before, &s->bundle.vocabulary, err));
    s->scene.own_words = s->before.own_words || given;
    return given ? rg_vocabulary_load(&s->bundle.vocabulary, given, err) : RG_OK;
}

static rg_status prepare(session *s, rg_error *err)
{
    const rg_generate_options *o = s->options;
    RG_TRY(choose_takes(s, err));
    RG_TRY(rg_bundle_describe(&s->bundle, o->bundle_folder, s->ex, err));
    if (o->from_folder) {
        RG_TRY(rg_scene_read(&s->before, o->from_folder, &s->bundle, err));
        s->has_before = true;
    }
    RG_TRY(take_words(s, err));
    RG_TRY(choose_precision(s, err));
    RG_TRY(fill_scene_header(s, err));
    RG_TRY(take_role_prompts(s, err));
    RG_TRY(make_conditions(s, err));
    RG_TRY(keep_roles(s, err));
    RG_TRY(hear_locked(s, err));
    rg_conditions_imply(&s->conditions, &s->bundle, s->usual_tempo);
    RG_TRY(heed_wishes(s, err));
    RG_TRY(leave_roles_out(s, err));
    RG_TRY(choose_length(s, err));
    report_conditions(s);
    const rg_generate_plan plan = {.frames = s->scene.frames,
                                   .takes = s->takes,
                                   .seconds = s->scene.seconds,
                                   .rate = o->rate,
                                   .limit = o->memory};
    RG_TRY(rg_generate_fit(&s->bundle, &plan, s->log, err));
    return rg_fs_begin_folder(&s->out, o->out_folder, err);
}

rg_status rg_generate(const rg_generate_options *options, rg_exec *ex, const rg_log *log,
                      rg_generate_result *result, rg_error *err)
{
    session *s = calloc(1, sizeof *s);
    double started = rg_clock_seconds();
    *result = (rg_generate_result){0};
    if (!s) return rg_fail(err, RG_ERR_NOMEM, "no memory for a session");
    s->options = options;
    s->ex = ex;
    s->log = log;
    bool recording = rg_set_recording(ex, false);
    const rg_kernels *stored = ex->stored; /* the precision may need others */
    rg_step_begin(ex, 0);
    rg_status status = prepare(s, err);
    result->seed = choose_seed(s);
    if (status == RG_OK) status = make_take(s, result->seed, err);
    if (status == RG_OK) status = run_take(s, err);
    if (status == RG_OK) status = write_scenes(s, result, err);
    if (status == RG_OK) status = rg_fs_commit_folder(&s->out, err);
    rg_fs_abandon_folder(&s->out);
    result->takes = s->takes;
    result->loads = s->bundle.loads;
    result->seconds = s->scene.seconds;
    result->wall_seconds = rg_clock_seconds() - started;
    rg_take_destroy(s->take);
    rg_kept_free(s->kept, RG_TRACK_ROLES);
    rg_scene_free(&s->before);
    rg_scene_free(&s->scene);
    rg_bundle_close(&s->bundle);
    rg_set_recording(ex, recording);
    ex->stored = stored;
    free(s);
    return status;
}
