/*
 * Features as JSON (features_json.h).
 */
#include "music/features/features_json.h"

#include <math.h>
#include <string.h>

/* Unit and method of a key. */
static const struct {
    const char *key, *unit, *method;
} abouts[] = {
    {"tempo", "beats per minute", "comb of autocorrelations of onset flux, log-normal prior"},
    {"beats_s", "s", "dynamic programming over onset flux"},
    {"downbeats_s", "s", "beats where harmony changes and accents fall"},
    {"meter", "beats per bar", "phase and repetition of harmony and accents over 3 and 4 beats"},
    {"key", "tonic and mode", "correlation with the profiles of Albrecht and Shanahan"},
    {"chords", "s", "24 triads against pitch classes, Viterbi; kinds by their sevenths"},
    {"energy", "dBFS", "root mean square"},
    {"rhythm", "share of onset strength by sixteenth of a bar", "onset peaks between downbeats"},
    {"loudness_lufs", "LUFS", "EBU R 128, integrated"},
    {"tuning_cents", "cents above 440 Hz equal temperament", "circular mean of spectral peaks"},
    {"structure", "s", "novelty of four bars against the four before"},
    {"active", "s", "tenths of a second above -60 dBFS"},
};
enum { ABOUTS = sizeof abouts / sizeof abouts[0] };

/* Null for what is not finite; three decimals are more than any method here knows. */
static json_t *number(double v)
{
    return isfinite(v) ? json_real(round(v * 1000) / 1000) : json_null();
}

static json_t *decibels(double power)
{
    return power > 0 ? json_real(round(100 * log10(power)) / 10) : json_null();
}

static json_t *tempo_json(const rg_features *f)
{
    json_t *candidates = json_array();
    if (!(f->tempi[0].bpm > 0)) {
        json_decref(candidates);
        return json_null();
    }
    for (int32_t i = 0; i < RG_TEMPI && f->tempi[i].bpm > 0; i++)
        json_array_append_new(candidates, json_pack("{s:o, s:o}", "bpm", number(f->tempi[i].bpm),
                                                    "confidence", number(f->tempi[i].confidence)));
    return json_pack("{s:o, s:o, s:o}", "bpm", number(f->tempi[0].bpm), "confidence",
                     number(f->tempi[0].confidence), "candidates", candidates);
}

static json_t *key_fit_json(const rg_key_fit *fit)
{
    return json_pack("{s:s, s:s, s:o}", "tonic", rg_pitch_name(fit->key.tonic), "mode",
                     fit->key.mode ? "minor" : "major", "confidence",
                     number(fmax(0, fit->correlation)));
}

static json_t *key_json(const rg_features *f)
{
    if (!f->n_keys) return json_null();
    json_t *key = key_fit_json(&f->keys[0]), *candidates = json_array();
    for (int32_t i = 0; i < f->n_keys; i++)
        json_array_append_new(candidates, key_fit_json(&f->keys[i]));
    json_object_set_new(key, "candidates", candidates);
    return key;
}

static json_t *beats_json(const rg_features *f, int64_t first, int64_t step)
{
    json_t *list = json_array();
    for (int64_t i = first; i < f->n_beats; i += step)
        json_array_append_new(list, number(f->beats_s[i]));
    return list;
}

static json_t *meter_json(const rg_features *f)
{
    const rg_meter *m = &f->meter;
    return json_pack("{s:o, s:o}", "value",
                     m->beats ? json_integer(m->beats) : json_string("unsure"), "confidence",
                     number(m->confidence));
}

static json_t *chords_json(const rg_features *f)
{
    json_t *list = json_array();
    char label[16];
    for (int64_t i = 0; i < f->n_chords; i++) {
        const rg_chord *c = &f->chords[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:o}", "start_s", number(c->start_s),
                                              "end_s", number(c->end_s), "label",
                                              rg_chord_label(c, label), "confidence",
                                              number(c->confidence)));
    }
    return list;
}

static json_t *profile_json(const rg_heard *h, int64_t blocks)
{
    json_t *list = json_array();
    for (int64_t b = 0; b < blocks; b += RG_ENERGY_RATE) {
        double sum = 0;
        int64_t n = blocks - b < RG_ENERGY_RATE ? blocks - b : RG_ENERGY_RATE;
        for (int64_t k = 0; k < n; k++) sum += h->power[b + k];
        json_array_append_new(list, decibels(sum / (double)n));
    }
    return list;
}

static json_t *pattern_json(const rg_heard *h)
{
    json_t *list = json_array();
    for (int i = 0; i < RG_PATTERN_STEPS; i++) json_array_append_new(list, number(h->pattern[i]));
    return list;
}

/* The mix, then the stems. */
static const rg_heard *heard_at(const rg_features *f, int32_t i)
{
    return i == 0 ? &f->mix : i <= f->n_stems ? &f->stems[i - 1] : NULL;
}

static json_t *energy_json(const rg_features *f)
{
    json_t *rms = json_object(), *profile = json_object();
    const rg_heard *h;
    for (int32_t i = 0; (h = heard_at(f, i)); i++) {
        json_object_set_new(rms, h->role, number(h->rms_dbfs));
        json_object_set_new(profile, h->role, profile_json(h, f->blocks));
    }
    return json_pack("{s:f, s:o, s:o}", "hop_s", 1.0, "rms_dbfs", rms, "profile_dbfs", profile);
}

static json_t *rhythm_json(const rg_features *f)
{
    json_t *density = json_object(), *patterns = json_object();
    const rg_heard *h;
    for (int32_t i = 0; (h = heard_at(f, i)); i++) {
        json_object_set_new(density, h->role, number(h->onsets_per_s));
        json_object_set_new(patterns, h->role, pattern_json(h));
    }
    return json_pack("{s:i, s:o, s:o}", "steps", RG_PATTERN_STEPS, "onsets_per_s", density,
                     "patterns", patterns);
}

static json_t *sections_json(const rg_features *f)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < f->n_sections; i++) {
        const rg_section *s = &f->sections[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o}", "start_s", number(s->start_s), "end_s",
                                        number(s->end_s), "confidence", number(s->confidence)));
    }
    return list;
}

static json_t *active_json(const rg_features *f)
{
    json_t *list = json_array();
    const rg_heard *h;
    for (int32_t i = f->n_stems ? 1 : 0; (h = heard_at(f, i)); i++)
        for (int64_t k = 0; k < h->n_active; k++)
            json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "stem", h->role, "start_s",
                                                  number(h->active[k].start_s), "end_s",
                                                  number(h->active[k].end_s)));
    return list;
}

static double mean_confidence(const rg_features *f)
{
    double sum = 0, length = 0;
    for (int64_t i = 0; i < f->n_chords; i++) {
        double s = f->chords[i].end_s - f->chords[i].start_s;
        sum += s * f->chords[i].confidence;
        length += s;
    }
    return length > 0 ? sum / length : 0;
}

/* NAN for what is counted, not guessed. */
static double confidence_of(const rg_features *f, const char *key)
{
    if (!strcmp(key, "tempo") || !strcmp(key, "beats_s")) return f->tempi[0].confidence;
    if (!strcmp(key, "meter") || !strcmp(key, "downbeats_s") || !strcmp(key, "rhythm"))
        return f->meter.confidence;
    if (!strcmp(key, "key")) return f->n_keys ? fmax(0, f->keys[0].correlation) : 0;
    if (!strcmp(key, "chords")) return mean_confidence(f);
    if (!strcmp(key, "tuning_cents")) return f->tuning_confidence;
    return strcmp(key, "structure") != 0 ? 1 : NAN;
}

static json_t *about_json(const rg_features *f)
{
    json_t *about = json_object();
    for (int32_t i = 0; i < ABOUTS; i++)
        json_object_set_new(about, abouts[i].key,
                            json_pack("{s:s, s:s, s:o}", "unit", abouts[i].unit, "method",
                                      abouts[i].method, "confidence",
                                      number(confidence_of(f, abouts[i].key))));
    return about;
}

json_t *rg_features_to_json(const rg_features *f, const char *name)
{
    bool sounds = isfinite(f->mix.rms_dbfs);
    const rg_meter *m = &f->meter;
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
        " s:o}",
        "format", "resonantgen-features", "version", RG_FEATURES_VERSION, "name", name,
        "duration_s", number(f->duration_s), "sample_rate", f->rate, "tempo", tempo_json(f),
        "beats_s", beats_json(f, 0, 1), "downbeats_s", beats_json(f, m->first, m->length), "meter",
        meter_json(f), "key", key_json(f), "chords", chords_json(f), "energy", energy_json(f),
        "rhythm", rhythm_json(f), "loudness_lufs", number(f->loudness_lufs), "tuning_cents",
        sounds ? number(f->tuning_cents) : json_null(), "structure", sections_json(f), "active",
        active_json(f), "about", about_json(f));
}
