/*
 * What of a piece is compared: when its stems begin notes, and which pitch classes they play.
 *
 * One idea: features are computed once per stem and shared by every question asked of a set.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/track_internal.h"
#include "music/features/chroma.h"
#include "music/features/onset.h"

int64_t rg__least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void rg__features_free(features *f, int64_t n)
{
    for (int64_t i = 0; f && i < n; i++)
        for (int32_t r = 0; r < RG_TRACK_ROLES; r++) {
            free(f[i].onset[r]);
            free(f[i].chroma[r]);
        }
    free(f);
}

bool rg__sounds(const rg_audio *a)
{
    if (a->frames == 0) return false;
    rg_levels levels = rg_audio_levels(a);
    return levels.rms_dbfs > -60 && levels.silent_share < 0.9;
}

typedef struct extraction {
    const pieces *set;
    features *out;
} extraction;

/* Stem k of a set: role k % RG_TRACK_ROLES of piece k / RG_TRACK_ROLES. */
static rg_status extract(void *ctx, int64_t k, rg_error *err)
{
    const extraction *x = ctx;
    int64_t r = k % RG_TRACK_ROLES;
    const rg_audio *a = &x->set->all[k / RG_TRACK_ROLES].stems[r];
    features *f = &x->out[k / RG_TRACK_ROLES];
    if (!rg__sounds(a)) return RG_OK;
    size_t on = (size_t)rg_onset_frames(a->frames, a->rate),
           ch = (size_t)rg_chroma_frames(a->frames, a->rate);
    f->onset[r] = malloc(on * sizeof(float));
    f->chroma[r] = malloc(12 * ch * sizeof(float));
    if (!f->onset[r] || !f->chroma[r]) return rg_fail(err, RG_ERR_NOMEM, "no memory for features");
    RG_TRY(rg_onset_envelope(a->samples, a->frames, a->rate, f->onset[r], err));
    return rg_chroma(a->samples, a->frames, a->rate, f->chroma[r], err);
}

/* All stems of a piece are compared over the length of the shortest. */
static void find_lengths(const piece *p, features *f)
{
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) {
        const rg_audio *a = &p->stems[r];
        if (!f->onset[r]) continue;
        int64_t on = rg_onset_frames(a->frames, a->rate), ch = rg_chroma_frames(a->frames, a->rate);
        if (f->onset_n == 0 || on < f->onset_n) f->onset_n = on;
        if (f->chroma_n == 0 || ch < f->chroma_n) f->chroma_n = ch;
    }
}

rg_status rg__features_make(const evaluation *e, const pieces *set, features **out, rg_error *err)
{
    *out = calloc((size_t)(set->n > 0 ? set->n : 1), sizeof **out);
    if (!*out) return rg_fail(err, RG_ERR_NOMEM, "no memory for features");
    extraction x = {set, *out};
    RG_TRY(rg__each(e, set->n * RG_TRACK_ROLES, extract, &x, err));
    for (int64_t i = 0; i < set->n; i++) find_lengths(&set->all[i], &(*out)[i]);
    return RG_OK;
}

/* Percussion has no pitch to fit. */
bool rg__is_pitched(const char *role)
{
    return strncmp(role, "drum", 4) != 0 && strncmp(role, "perc", 4) != 0;
}

/* The stem r of `stem` against the sum of the other stems of `context`; NAN without either. */
void rg__coherence(const rg_track_config *config, const features *stem, const features *context,
                   int32_t r, double *rhythm, double *harmony)
{
    int64_t on = rg__least(stem->onset_n, context->onset_n),
            ch = rg__least(stem->chroma_n, context->chroma_n);
    *rhythm = *harmony = NAN;
    if (!stem->onset[r] || on == 0) return;
    float *sum = calloc((size_t)(on + 12 * ch), sizeof *sum);
    int others = 0, pitched = 0;
    for (int32_t k = 0; sum && k < config->n_roles; k++) {
        if (k == r || !context->onset[k]) continue;
        for (int64_t i = 0; i < on; i++) sum[i] += context->onset[k][i];
        others++;
        if (!rg__is_pitched(config->roles[k].name)) continue;
        for (int64_t i = 0; i < 12 * ch; i++) sum[on + i] += context->chroma[k][i];
        pitched++;
    }
    if (others > 0) *rhythm = rg_onset_coherence(stem->onset[r], sum, on, 0);
    if (pitched > 0 && rg__is_pitched(config->roles[r].name))
        *harmony = rg_chroma_fit(stem->chroma[r], sum + on, ch);
    free(sum);
}
