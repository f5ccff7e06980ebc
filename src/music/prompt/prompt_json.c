/*
 * An analysis as JSON (prompt.h), with the keys that programs rely on.
 */
#include <string.h>

#include "base/text.h"
#include "music/prompt/prompt.h"

enum { DEFAULT_TEMPO = 120 };

/* Every value says where it is from. */
static json_t *with_source(json_t *object, const rg_finding *f, const char *origin, double sure)
{
    json_object_set_new(object, "span",
                        f ? json_pack("[I, I]", (json_int_t)f->from, (json_int_t)f->to)
                          : json_null());
    json_object_set_new(object, "text", f ? json_string(f->source) : json_null());
    json_object_set_new(object, "confidence", json_real(f ? f->confidence : sure));
    json_object_set_new(object, "source", json_string(f ? f->origin : origin));
    return object;
}

static const rg_finding *first(const rg_prompt *p, const char *field)
{
    size_t i = 0;
    return rg_prompt_next(p, field, &i);
}

static json_t *tempo_to_json(const rg_prompt *p)
{
    bool said = p->tempo > 0;
    json_t *out = json_null();
    if (said)
        out = json_pack("{s:f, s:f, s:f}", "value", p->tempo, "low", p->tempo_low, "high",
                        p->tempo_high);
    else if (p->usual_tempo > 0)
        out = json_pack("{s:f, s:f, s:f}", "value", p->usual_tempo, "low", p->usual_low, "high",
                        p->usual_high);
    else if (p->feel)
        out = json_pack("{s:n, s:n, s:n}", "value", "low", "high");
    if (json_is_null(out)) return out;
    json_object_set_new(out, "feel", p->feel ? json_string(p->feel) : json_null());
    return with_source(out, said ? first(p, "tempo") : NULL,
                       said || !p->usual_tempo ? "said" : "genre",
                       said || !p->usual_tempo ? 1 : 0.3);
}

static json_t *key_to_json(const rg_prompt *p)
{
    char name[16];
    if (!p->mode[0]) return json_null();
    json_t *out = json_pack("{s:s}", "mode", p->mode);
    rg_key_name(p->key_tonic < 0 ? 0 : p->key_tonic, p->key_mode, name);
    *strchr(name, ' ') = 0;
    json_object_set_new(out, "tonic", p->key_tonic < 0 ? json_null() : json_string(name));
    return with_source(out, first(p, "key"), "said", 1);
}

static json_t *meter_to_json(const rg_prompt *p)
{
    char text[32];
    if (!p->meter_beats) return json_null();
    rg_format(text, sizeof text, "%d/%d", p->meter_beats, p->meter_unit);
    return with_source(json_pack("{s:s}", "value", text), first(p, "meter"), "said", 1);
}

/* Bars take the tempo and meter that are said, the genre's, or 120 in 4/4. */
static json_t *duration_to_json(const rg_prompt *p)
{
    double tempo = p->tempo > 0 ? p->tempo : p->usual_tempo > 0 ? p->usual_tempo : DEFAULT_TEMPO;
    double quarters = p->meter_beats ? 4.0 * p->meter_beats / p->meter_unit : 4;
    if (p->duration <= 0 && p->bars <= 0) return json_null();
    json_t *out =
        json_pack("{s:f}", "value", p->bars > 0 ? p->bars * quarters * 60 / tempo : p->duration);
    json_object_set_new(out, "bars", p->bars > 0 ? json_real(p->bars) : json_null());
    return with_source(out, first(p, "duration"), "said", 1);
}

static json_t *list_to_json(const rg_prompt *p, const char *field)
{
    const rg_finding *f;
    json_t *list = json_array();
    for (size_t i = 0; (f = rg_prompt_next(p, field, &i));) {
        json_t *entry = json_pack("{s:s}", "name", f->value);
        json_object_set_new(entry, "track", f->role[0] ? json_string(f->role) : json_null());
        json_array_append_new(list, with_source(entry, f, "said", 1));
    }
    return list;
}

static json_t *energy_to_json(const rg_prompt *p)
{
    const rg_finding *f = first(p, "energy"), *other;
    if (!f) return json_null();
    /* what is said of the whole goes before what is said of one track */
    for (size_t i = 0; f->role[0] && (other = rg_prompt_next(p, "energy", &i));)
        if (!other->role[0]) f = other;
    return with_source(json_pack("{s:s}", "value", f->value), f, "said", 1);
}

static json_t *track_to_json(const rg_prompt *p, size_t track)
{
    const rg_finding *f, *why = NULL;
    for (size_t i = 0; (f = rg_prompt_next(p, "track", &i));)
        if (!why && !strcmp(f->role, rg_prompt_track(track))) why = f;
    int8_t wish = p->tracks[track];
    json_t *out = json_object();
    json_object_set_new(out, "wanted", wish ? json_boolean(wish > 0) : json_null());
    return with_source(out, why, wish ? "said" : "default", wish ? 0.9 : 0);
}

static json_t *unwanted_to_json(const rg_prompt *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->n; i++) {
        const rg_finding *f = p->findings + i;
        if (!f->unwanted) continue;
        json_t *entry = json_pack("{s:s, s:s}", "field", f->field, "name", f->value);
        json_array_append_new(list, with_source(entry, f, "said", 1));
    }
    return list;
}

static json_t *conflicts_to_json(const rg_prompt *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->n_conflicts; i++) {
        const rg_conflict *c = p->conflicts + i;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "field", c->field, "kept", c->kept,
                                              "dropped", c->dropped));
    }
    return list;
}

/* "a, b" as a list. */
static json_t *words_to_json(const char *words)
{
    json_t *list = json_array();
    for (const char *next; *words; words = next) {
        const char *end = strstr(words, ", ");
        size_t n = end ? (size_t)(end - words) : strlen(words);
        json_array_append_new(list, json_stringn(words, n));
        next = words + n + (end ? 2 : 0);
    }
    return list;
}

json_t *rg_prompt_to_json(const rg_prompt *prompt)
{
    json_t *tracks = json_object(), *object = json_object();
    for (size_t i = 0; i < RG_PROMPT_TRACKS; i++)
        json_object_set_new(tracks, rg_prompt_track(i), track_to_json(prompt, i));
    json_object_set_new(object, "prompt", json_string(prompt->text));
    json_object_set_new(object, "tempo_bpm", tempo_to_json(prompt));
    json_object_set_new(object, "key", key_to_json(prompt));
    json_object_set_new(object, "meter", meter_to_json(prompt));
    json_object_set_new(object, "duration_s", duration_to_json(prompt));
    json_object_set_new(object, "genres", list_to_json(prompt, "genre"));
    json_object_set_new(object, "moods", list_to_json(prompt, "mood"));
    json_object_set_new(object, "instruments", list_to_json(prompt, "instruments"));
    json_object_set_new(object, "tracks", tracks);
    json_object_set_new(object, "energy", energy_to_json(prompt));
    json_object_set_new(object, "production", list_to_json(prompt, "production"));
    json_object_set_new(object, "unwanted", unwanted_to_json(prompt));
    json_object_set_new(object, "conflicts", conflicts_to_json(prompt));
    json_object_set_new(object, "repaired", words_to_json(prompt->repaired));
    json_object_set_new(object, "unknown", words_to_json(prompt->unknown));
    return object;
}
