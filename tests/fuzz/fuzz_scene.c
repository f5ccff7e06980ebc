/*
 * Fuzzing scene.json: refused with a place, or a scene whose numbers all lie where generation can
 * use them, and whose settings become conditions.
 */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "generate/conditions.h"
#include "generate/scene.h"

/* What a scene is checked against: two roles, one field of words, no weights. */
static const rg_bundle *bundle_of_two(void)
{
    static rg_bundle bundle;
    rg_track_config *c = &bundle.config;
    if (bundle.hash[0]) return &bundle;
    rg_track_config_init(c);
    c->frame_rate = 50;
    c->n_roles = 2;
    snprintf(c->roles[0].name, sizeof c->roles[0].name, "drums");
    snprintf(c->roles[1].name, sizeof c->roles[1].name, "bass");
    c->n_fields = 1;
    snprintf(c->fields[0].name, sizeof c->fields[0].name, "genre");
    c->fields[0].n_words = 1;
    snprintf(c->fields[0].words[0], sizeof c->fields[0].words[0], "techno");
    if (!rg_vocabulary_make(&bundle.vocabulary)) abort();
    snprintf(bundle.hash, sizeof bundle.hash, "5eed");
    return &bundle;
}

static void check_numbers(const rg_scene *scene, const rg_bundle *bundle)
{
    if (scene->n_roles != 2 || !rg_sampling_valid(&scene->sampling)) abort();
    if (scene->frames != rg_scene_frames(scene->seconds, bundle->config.frame_rate)) abort();
    for (int32_t r = 0; r < scene->n_roles; r++) {
        const rg_scene_role *role = scene->roles + r;
        if (strcmp(role->name, bundle->config.roles[r].name) != 0) abort();
        if (role->n_locked < 0 || role->n_locked > RG_MAX_SPANS) abort();
        for (int32_t i = 0; i < role->n_locked; i++)
            if (!(role->locked[i][0] >= 0 && role->locked[i][1] >= role->locked[i][0])) abort();
    }
}

static void use_settings(const rg_scene *scene, const rg_bundle *bundle)
{
    const char *settings[RG_SCENE_SETTINGS];
    const rg_prompt *none[RG_TRACK_ROLES] = {0};
    static rg_prompt prompt;
    rg_conditions conditions;
    rg_error err = {0};
    size_t n = 0, i;
    json_t *setting;
    json_array_foreach(scene->settings, i, setting) settings[n++] = json_string_value(setting);
    if (rg_prompt_analyze(scene->prompt, &bundle->vocabulary, &prompt, &err) != RG_OK) return;
    if (rg_conditions_make(bundle, &prompt, none, settings, n, &conditions, &err) != RG_OK) {
        if (!err.text[0]) abort();
        return;
    }
    json_t *rows = rg_conditions_to_json(&conditions);
    if (json_array_size(rows) != (size_t)conditions.n) abort();
    json_decref(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static rg_scene scene;
    const rg_bundle *bundle = bundle_of_two();
    rg_error err = {0};
    json_t *object = rg_json_parse((const char *)data, n, "fuzz", &err);
    if (!object) return 0;
    scene = (rg_scene){0};
    if (rg_scene_parse(&scene, object, bundle, "fuzz", &err) == RG_OK) {
        check_numbers(&scene, bundle);
        use_settings(&scene, bundle);
    } else if (!err.text[0]) {
        abort();
    }
    rg_scene_free(&scene);
    json_decref(object);
    return 0;
}
