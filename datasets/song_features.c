/*
 * A song's stems heard by rg_features_of, in the form that stores keep (song_features.h).
 */
#include "datasets/song_features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/store_internal.h"
#include "music/features/features.h"
#include "music/features/onset.h"

_Static_assert((int)RG_SONG_PATTERN == (int)RG_PATTERN_STEPS &&
                   (int)RG_SONG_ONSETS_PER_SECOND == (int)RG_ONSET_RATE &&
                   (int)RG_ACTIVITY_PER_SECOND == (int)RG_ENERGY_RATE,
               "stores keep series at the rates at which they are heard");
_Static_assert((int)RG_FEATURE_STEMS >= (int)RG_MAX_ROLES, "every role of a store can be heard");

/* The roles that are present, as sources. */
typedef struct stems {
    int32_t n, role[RG_MAX_ROLES];
    rg_feature_source sources[RG_MAX_ROLES];
} stems;

static rg_status open_stems(stems *s, const rg_song *song, const rg_store_info *store,
                            const int16_t *samples, rg_error *err)
{
    const int32_t channels = rg__store_info_channels(store);
    for (int32_t r = 0; r < store->n_roles; r++) {
        if (!song->present[r]) continue;
        rg_reader *reader = rg_reader_of_int16(samples + r * channels * song->frames, channels,
                                               song->frames, store->rate, err);
        if (!reader) return err ? err->code : RG_ERR_NOMEM;
        s->role[s->n] = r;
        s->sources[s->n++] = (rg_feature_source){store->roles[r], reader};
    }
    return RG_OK;
}

static void close_stems(stems *s)
{
    for (int32_t i = 0; i < s->n; i++) rg_reader_close(s->sources[i].reader);
}

static void take_numbers(const rg_features *f, rg_song_features *out)
{
    rg_copy_text(out->version, sizeof out->version, RG_FEATURES_VERSION);
    out->tempo_bpm = f->tempi[0].bpm;
    out->tempo_confidence = f->tempi[0].confidence;
    out->meter = f->meter.beats;
    out->meter_confidence = f->meter.confidence;
    out->key_tonic = f->n_keys > 0 ? f->keys[0].key.tonic : -1;
    out->key_mode = f->n_keys > 0 ? f->keys[0].key.mode : 0;
    out->key_confidence = f->n_keys > 0 ? fmax(0, f->keys[0].correlation) : 0;
    out->tuning_cents = f->tuning_cents;
    out->loudness_lufs = f->loudness_lufs;
}

static bool take_times(const rg_features *f, rg_song_features *out)
{
    out->beats_s = malloc((size_t)(f->n_beats + 1) * sizeof *out->beats_s);
    out->downbeats_s = malloc((size_t)(f->n_beats + 1) * sizeof *out->downbeats_s);
    out->sections_s = malloc((size_t)(f->n_sections + 1) * sizeof *out->sections_s);
    out->chords = malloc((size_t)(f->n_chords + 1) * sizeof *out->chords);
    if (!out->beats_s || !out->downbeats_s || !out->sections_s || !out->chords) return false;
    for (int64_t i = 0; i < f->n_beats; i++) {
        out->beats_s[out->n_beats++] = f->beats_s[i];
        if (i >= f->meter.first && (i - f->meter.first) % f->meter.length == 0)
            out->downbeats_s[out->n_downbeats++] = f->beats_s[i];
    }
    for (int64_t i = 0; i < f->n_sections; i++)
        out->sections_s[out->n_sections++] = f->sections[i].start_s;
    for (int64_t i = 0; i < f->n_chords; i++) {
        rg_song_chord *c = &out->chords[out->n_chords++];
        *c = (rg_song_chord){.start = f->chords[i].start_s, .end = f->chords[i].end_s};
        rg_chord_label(&f->chords[i], c->label);
    }
    return true;
}

/* One stem alone is what rg_features_of calls the mix. */
static bool take_rows(const rg_features *f, const stems *s, int32_t n_roles, rg_song_features *out)
{
    size_t rows = (size_t)n_roles;
    out->n_energy = f->blocks;
    out->n_onset = f->onset_frames;
    out->n_rhythm = RG_PATTERN_STEPS;
    out->energy = calloc(rows * (size_t)out->n_energy, sizeof *out->energy);
    out->onset = calloc(rows * (size_t)out->n_onset, sizeof *out->onset);
    out->rhythm = calloc(rows * RG_PATTERN_STEPS, sizeof *out->rhythm);
    if (!out->energy || !out->onset || !out->rhythm) return false;
    for (int32_t i = 0; i < s->n; i++) {
        const rg_heard *h = f->n_stems ? &f->stems[i] : &f->mix;
        int64_t r = s->role[i];
        memcpy(out->energy + r * f->blocks, h->power, (size_t)f->blocks * sizeof *h->power);
        memcpy(out->onset + r * f->onset_frames, h->onsets,
               (size_t)f->onset_frames * sizeof *h->onsets);
        for (int k = 0; k < RG_PATTERN_STEPS; k++)
            out->rhythm[r * RG_PATTERN_STEPS + k] = (float)h->pattern[k];
    }
    return true;
}

rg_status rg_song_features_hear(const rg_song *song, const rg_store_info *store,
                                const int16_t *samples, rg_song_features *out, rg_error *err)
{
    stems s = {0};
    rg_features heard = {0};
    *out = (rg_song_features){.key_tonic = -1};
    rg_status status = open_stems(&s, song, store, samples, err);
    if (status == RG_OK) status = rg_features_of(s.sources, s.n, &heard, err);
    if (status == RG_OK) {
        take_numbers(&heard, out);
        if (!take_times(&heard, out) || !take_rows(&heard, &s, store->n_roles, out))
            status = rg_fail(err, RG_ERR_NOMEM, "no memory for what is heard");
    }
    rg_features_free(&heard);
    close_stems(&s);
    if (status != RG_OK) rg_error_prefix(err, "song '%s'", song->id);
    return status;
}

void rg_song_features_free(rg_song_features *f)
{
    free(f->beats_s);
    free(f->downbeats_s);
    free(f->sections_s);
    free(f->chords);
    free(f->energy);
    free(f->onset);
    free(f->rhythm);
    *f = (rg_song_features){.key_tonic = -1};
}
