/*
 * Conditions (conditions.h): each asked word is looked for in the models' words, then its broader
 * words one after another.
 */
#include "generate/conditions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "music/features/tempo.h"

static rg_condition *add_row(rg_conditions *c, const char *field, const char *asked,
                             const char *role)
{
    static rg_condition overflow;
    rg_condition *row = c->n < RG_MAX_CONDITIONS ? c->rows + c->n++ : &overflow;
    *row = (rg_condition){0};
    rg_copy_text(row->field, sizeof row->field, field);
    rg_copy_text(row->asked, sizeof row->asked, asked);
    rg_copy_text(row->role, sizeof row->role, role);
    return row;
}

/* Sets a field for one role or (role < 0) all. */
static void set_ids(rg_conditions *c, const rg_track_config *config, int32_t role, int32_t field,
                    int32_t word)
{
    for (int32_t r = 0; r < config->n_roles; r++)
        if (role < 0 || r == role) c->ids[r][field] = word;
}

static int32_t role_of(const rg_track_config *config, const char *role)
{
    return role[0] ? rg_track_find_role(config, role) : -1;
}

/* A word of a field of words, or the first broader word that the models know. */
static void use_word(rg_conditions *c, const rg_bundle *bundle, const char *field,
                     const char *asked, const char *role)
{
    const rg_track_config *config = &bundle->config;
    rg_condition *row = add_row(c, field, asked, role);
    int32_t f = rg_track_find_field(config, field);
    char word[RG_WORD_SIZE];
    rg_copy_text(word, sizeof word, asked);
    for (int32_t depth = 0; f >= 0 && word[0] && depth < 8; depth++) {
        int32_t id = rg_track_word(config, field, word);
        if (id >= 0 && rg_bundle_trained_with(bundle, field, word) != 0) {
            set_ids(c, config, role_of(config, role), f, id);
            rg_copy_text(row->used, sizeof row->used, word);
            if (depth)
                snprintf(row->note, sizeof row->note,
                         "the bundle does not know it; the broader word is used");
            return;
        }
        const rg_word *entry = rg_vocabulary_find(&bundle->vocabulary, field, word);
        rg_copy_text(word, sizeof word, entry ? entry->parent : "");
    }
    snprintf(row->note, sizeof row->note, "the bundle was not trained with this %s",
             f < 0 ? "kind of condition" : "word");
}

static void use_tempo(rg_conditions *c, const rg_bundle *bundle, double tempo)
{
    char text[32];
    rg_condition *row = add_row(c, "tempo", rg_format_double(tempo, text), "");
    c->tempo = tempo;
    rg_copy_text(row->used, sizeof row->used, text);
    int32_t f = rg_track_find_field(&bundle->config, "tempo");
    int32_t word = rg_track_nearest(&bundle->config, "tempo", tempo);
    if (f >= 0 && word >= 0) set_ids(c, &bundle->config, -1, f, word);
}

static void use_key(rg_conditions *c, const rg_bundle *bundle, int32_t tonic, int32_t mode)
{
    char name[16];
    use_word(c, bundle, "key", rg_key_name(tonic, mode, name), "");
}

static void use_meter(rg_conditions *c, const rg_bundle *bundle, int32_t beats, int32_t unit)
{
    char full[16];
    snprintf(full, sizeof full, "%d/%d", beats, unit);
    c->meter = beats;
    use_word(c, bundle, "meter", full, "");
}

static void use_prompt(rg_conditions *c, const rg_bundle *bundle, const rg_prompt *prompt,
                       const char *role)
{
    static const char *const fields[] = {"genre", "mood", "energy", "instruments"};
    if (!role[0]) {
        if (prompt->tempo > 0) use_tempo(c, bundle, prompt->tempo);
        if (prompt->key_tonic >= 0) use_key(c, bundle, prompt->key_tonic, prompt->key_mode);
        if (prompt->meter_beats) use_meter(c, bundle, prompt->meter_beats, prompt->meter_unit);
    }
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
        const rg_finding *found;
        for (size_t i = 0; (found = rg_prompt_next(prompt, fields[f], &i));)
            use_word(c, bundle, fields[f], found->value, role[0] ? role : found->role);
    }
}

static rg_status use_setting(rg_conditions *c, const rg_bundle *bundle, const char *setting,
                             rg_error *err)
{
    char field[32];
    const char *value = strchr(setting, '=');
    int32_t a, b;
    double tempo;
    if (!value || (size_t)(value - setting) >= sizeof field)
        return rg_fail(err, RG_ERR_USAGE, "--set: '%s' is not FIELD=VALUE", setting);
    memcpy(field, setting, (size_t)(value - setting));
    field[value++ - setting] = 0;
    if (!strcmp(field, "tempo")) {
        if (!rg_parse_double(value, &tempo) || !(tempo >= 20 && tempo <= 400))
            return rg_fail(err, RG_ERR_USAGE, "--set tempo: '%s' is not a tempo from 20 to 400",
                           value);
        use_tempo(c, bundle, tempo);
    } else if (!strcmp(field, "key")) {
        if (!rg_key_parse(value, &a, &b))
            return rg_fail(err, RG_ERR_USAGE, "--set key: '%s' is not a key such as 'A minor'",
                           value);
        use_key(c, bundle, a, b);
    } else if (!strcmp(field, "meter")) {
        if (!rg_meter_parse(value, &a, &b))
            return rg_fail(err, RG_ERR_USAGE, "--set meter: '%s' is not a meter such as 3/4",
                           value);
        use_meter(c, bundle, a, b);
    } else if (rg_track_find_field(&bundle->config, field) >= 0)
        use_word(c, bundle, field, value, "");
    else
        return rg_fail(
            err, RG_ERR_USAGE,
            "--set: the bundle has no condition '%s'; it has tempo, key, meter and those "
            "of its bundle.json",
            field);
    return RG_OK;
}

rg_status rg_conditions_make(const rg_bundle *bundle, const rg_prompt *prompt,
                             const rg_prompt *const role_prompts[RG_TRACK_ROLES],
                             const char *const *settings, size_t n_settings, rg_conditions *out,
                             rg_error *err)
{
    *out = (rg_conditions){0};
    memset(out->ids, 0xff, sizeof out->ids); /* all -1 */
    use_prompt(out, bundle, prompt, "");
    for (int32_t r = 0; r < bundle->config.n_roles; r++)
        if (role_prompts[r]) use_prompt(out, bundle, role_prompts[r], bundle->config.roles[r].name);
    for (size_t i = 0; i < n_settings; i++) RG_TRY(use_setting(out, bundle, settings[i], err));
    return RG_OK;
}

/* The row of a field that was asked for, the last one counts; NULL: none. */
static rg_condition *row_of(rg_conditions *c, const char *field)
{
    for (int32_t i = c->n; i-- > 0;)
        if (!strcmp(c->rows[i].field, field)) return &c->rows[i];
    return NULL;
}

static void note(rg_condition *row, const char *text)
{
    if (row && !row->note[0]) rg_copy_text(row->note, sizeof row->note, text);
}

static void hear_tempo(rg_conditions *c, const rg_bundle *bundle, double heard)
{
    char text[96];
    const double rounded = round(10 * heard) / 10;
    if (!(c->tempo > 0)) {
        use_tempo(c, bundle, rounded);
        note(row_of(c, "tempo"), "heard in the locked tracks");
    } else if (!rg_tempo_agrees(c->tempo, heard, true)) {
        rg_format(text, sizeof text, "the locked tracks are heard at %.1f", rounded);
        note(row_of(c, "tempo"), text);
    }
}

static void hear_key(rg_conditions *c, const rg_bundle *bundle, int32_t tonic, int32_t mode)
{
    char name[16], text[96];
    rg_condition *said = row_of(c, "key");
    rg_key_name(tonic, mode, name);
    if (!said) {
        use_key(c, bundle, tonic, mode);
        note(row_of(c, "key"), "heard in the locked tracks");
    } else if (strcmp(said->asked, name) != 0) {
        rg_format(text, sizeof text, "the locked tracks are heard in %s", name);
        note(said, text);
    }
}

void rg_conditions_hear(rg_conditions *conditions, const rg_bundle *bundle, double tempo,
                        int32_t key_tonic, int32_t key_mode)
{
    if (tempo > 0) hear_tempo(conditions, bundle, tempo);
    if (key_tonic >= 0) hear_key(conditions, bundle, key_tonic, key_mode);
}

void rg_conditions_imply(rg_conditions *conditions, const rg_bundle *bundle, double usual_tempo)
{
    if (conditions->tempo > 0 || !(usual_tempo > 0)) return;
    use_tempo(conditions, bundle, usual_tempo);
    note(row_of(conditions, "tempo"), "usual for the genre");
}

json_t *rg_conditions_to_json(const rg_conditions *conditions)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < conditions->n; i++) {
        const rg_condition *row = conditions->rows + i;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "field", row->field,
                                              "asked", row->asked, "used", row->used, "role",
                                              row->role, "note", row->note));
    }
    return list;
}

rg_beat_grid rg_conditions_grid(const rg_conditions *conditions)
{
    return (rg_beat_grid){.tempo = conditions->tempo, .meter = conditions->meter};
}
