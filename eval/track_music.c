/*
 * Do the stems belong together, and do the pieces sound like music? Real, coded, made and mixed-up
 * pieces measured alike.
 *
 * One idea: no number stands alone. Real songs are the reference, their codec round trip is the
 * ceiling of what these models can reach, and stems drawn from different songs are the floor.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/signal.h"
#include "eval/track_internal.h"
#include "music/features/onset.h"

void rg__pieces_free(pieces *set)
{
    for (int64_t i = 0; i < set->n; i++)
        for (int32_t r = 0; r < RG_TRACK_ROLES; r++) rg_audio_free(&set->all[i].stems[r]);
    free(set->all);
    *set = (pieces){0};
}

/* ---- pieces of real songs ---- */

rg_status rg__pieces_make(pieces *set, int64_t n, rg_error *err)
{
    set->all = calloc((size_t)(n > 0 ? n : 1), sizeof *set->all);
    set->n = set->all ? n : 0;
    return set->all ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for pieces of music");
}

static rg_status through_codec(track_evaluation *t, int32_t r, const rg_audio *in, rg_audio *out,
                               rg_error *err)
{
    rg_codec *codec = &t->bundle.codecs[r];
    rg_audio x;
    RG_TRY(rg_audio_resample(in, codec->config.sample_rate, &x, err));
    int32_t hop = rg_encodec_hop(&codec->config);
    int64_t frames = (x.frames + hop - 1) / hop;
    int32_t *codes = malloc((size_t)(frames * codec->config.codebooks) * sizeof *codes);
    rg_step_begin(t->e->codecs, 0);
    rg_status status = codes
                           ? rg_codec_encode_audio(t->e->codecs, codec, x.samples, x.frames, codes)
                           : RG_ERR_NOMEM;
    if (status == RG_OK)
        status = rg_codec_decode_audio(t->e->codecs, codec, codes, frames, x.samples, x.frames);
    free(codes);
    if (status != RG_OK)
        rg_fail(err, status, "codec %s: %s", codec->role, t->e->codecs->error.text);
    *out = x;
    return status;
}

static rg_status real_piece(track_evaluation *t, int64_t i, piece *real, piece *coded,
                            rg_error *err)
{
    const rg_store *store = t->e->store;
    const rg_song *song = rg_store_song(store, t->e->songs[i]);
    int32_t rate = rg_store_rate(store);
    int64_t frames = (int64_t)(t->e->options.seconds * rate);
    if (frames > song->frames) frames = song->frames;
    int64_t start = (song->frames - frames) / 2;
    rg_copy_text(real->name, sizeof real->name, song->id);
    rg_copy_text(coded->name, sizeof coded->name, song->id);
    real->tempo = coded->tempo = song->tempo_bpm;
    real->key = coded->key = (rg_key){song->key_tonic, song->key_mode};
    real->meter = coded->meter = song->meter == 3 || song->meter == 4 ? song->meter : 0;
    for (int32_t r = 0; r < t->bundle.config.n_roles; r++) {
        int32_t role = rg_store_find_role(store, t->bundle.config.roles[r].name);
        if (role < 0 || !song->present[role]) continue;
        RG_TRY(rg_audio_make(&real->stems[r], frames, 1, rate, err));
        RG_TRY(
            rg_store_read(store, t->e->songs[i], role, start, frames, real->stems[r].samples, err));
        RG_TRY(through_codec(t, r, &real->stems[r], &coded->stems[r], err));
    }
    return RG_OK;
}

rg_status rg__pieces_real(track_evaluation *t, pieces *real, pieces *coded, rg_error *err)
{
    rg_progress progress;
    RG_TRY(rg__pieces_make(real, t->e->n_songs, err));
    RG_TRY(rg__pieces_make(coded, t->e->n_songs, err));
    rg_progress_start(&progress, "round trips", t->e->n_songs);
    for (int64_t i = 0; i < t->e->n_songs; i++) {
        RG_TRY(rg__eval_check_stop(t->e, err));
        RG_TRY(real_piece(t, i, &real->all[i], &coded->all[i], err));
        rg_progress_step(&progress, t->e->log, i + 1, "");
    }
    return RG_OK;
}

/* ---- the coherence table ---- */

typedef struct group {
    const char *name, *id;
    rg_row_kind kind;
    const features *stems, *contexts;
    int64_t n, shift; /* stem i meets context i + shift */
} group;

static void fill_group(track_evaluation *t, rg_table *rhythm, rg_table *harmony, const group *g)
{
    const rg_track_config *config = &t->bundle.config;
    int32_t a = rg_table_row(rhythm, g->kind, "%s", g->name),
            b = rg_table_row(harmony, g->kind, "%s", g->name);
    double *x = malloc((size_t)(2 * (g->n > 0 ? g->n : 1)) * sizeof *x);
    for (int32_t r = 0; x && r < config->n_roles; r++) {
        for (int64_t i = 0; i < g->n; i++) {
            const features *context = &g->contexts[(i + g->shift) % g->n];
            rg__coherence(config, &g->stems[i], context, r, &x[i], &x[g->n + i]);
        }
        rg_table_interval(rhythm, a, r, rg_bootstrap(x, g->n, t->e->options.seed));
        rg_table_interval(harmony, b, r, rg_bootstrap(x + g->n, g->n, t->e->options.seed));
    }
    free(x);
}

static void coherence_tables(track_evaluation *t, const group *groups, int32_t n)
{
    const rg_track_config *config = &t->bundle.config;
    rg_table *rhythm = rg_report_table(
        t->e->report, "coherence-rhythm",
        "Rhythm: correlation at lag 0 of a stem's onsets with those of all other stems. Floor: the "
        "stem of another song. Ceiling: the real songs through the codecs.");
    rg_table *harmony = rg_report_table(
        t->e->report, "coherence-harmony",
        "Harmony: mean log-likelihood of a stem's pitch classes under those of the other pitched "
        "stems (0 would be certainty).");
    for (int32_t r = 0; r < config->n_roles; r++) {
        rg_table_column(rhythm, config->roles[r].name, config->roles[r].name, "", RG_HIGHER_BETTER,
                        3);
        rg_table_column(harmony, config->roles[r].name, config->roles[r].name, "nat",
                        RG_HIGHER_BETTER, 3);
    }
    for (int32_t i = 0; i < n; i++)
        if (groups[i].n > groups[i].shift) fill_group(t, rhythm, harmony, &groups[i]);
}

/* Who goes with whom: mean correlation at lag 0 of each pair of stems. */
static void pair_table(track_evaluation *t, const char *id, const char *caption, const features *f,
                       int64_t n)
{
    const rg_track_config *config = &t->bundle.config;
    rg_table *table = rg_report_table(t->e->report, id, caption);
    double *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    for (int32_t r = 0; r < config->n_roles; r++)
        rg_table_column(table, config->roles[r].name, config->roles[r].name, "", RG_HIGHER_BETTER,
                        3);
    for (int32_t a = 0; x && a < config->n_roles; a++) {
        int32_t row = rg_table_row(table, RG_ROW_PLAIN, "%s", config->roles[a].name);
        for (int32_t b = 0; b < config->n_roles; b++) {
            for (int64_t i = 0; i < n; i++)
                x[i] = a != b && f[i].onset[a] && f[i].onset[b]
                           ? rg_onset_coherence(f[i].onset[a], f[i].onset[b], f[i].onset_n, 0)
                           : NAN;
            if (a != b) rg_table_interval(table, row, b, rg_bootstrap(x, n, t->e->options.seed));
        }
    }
    free(x);
}

/* ---- levels ---- */

static void level_table(track_evaluation *t, const pieces *real, const pieces *made)
{
    const rg_track_config *config = &t->bundle.config;
    const pieces *sets[] = {real, made};
    static const char *const names[] = {"real", "generated"};
    rg_table *table = rg_report_table(t->e->report, "levels",
                                      "What plays, how loud: per role, real and generated.");
    rg_table_column(table, "rms", "Level", "dBFS", RG_NO_DIRECTION, 1);
    rg_table_column(table, "silent", "Silent blocks", "%", RG_NO_DIRECTION, 1);
    rg_table_column(table, "clipped", "Clipped", "%", RG_LOWER_BETTER, 3);
    double *x = malloc((size_t)(3 * (real->n + made->n + 1)) * sizeof *x);
    for (int32_t r = 0; x && r < config->n_roles; r++)
        for (int s = 0; s < 2; s++) {
            int64_t n = sets[s]->n;
            if (n == 0) continue;
            for (int64_t i = 0; i < n; i++) {
                const rg_audio *a = &sets[s]->all[i].stems[r];
                rg_levels levels = rg_audio_levels(a);
                x[i] = a->frames && isfinite(levels.rms_dbfs) ? levels.rms_dbfs : NAN;
                x[n + i] = a->frames ? 100 * levels.silent_share : NAN;
                x[2 * n + i] = a->frames ? 100 * levels.clipped_share : NAN;
            }
            int32_t row = rg_table_row(table, s ? RG_ROW_OURS : RG_ROW_CEILING, "%s, %s",
                                       config->roles[r].name, names[s]);
            for (int32_t c = 0; c < 3; c++)
                rg_table_interval(table, row, c, rg_bootstrap(x + c * n, n, t->e->options.seed));
        }
    free(x);
}

rg_status rg__music_section(track_evaluation *t, const pieces *real, const pieces *coded,
                            const pieces *made, rg_error *err)
{
    features *fr = NULL, *fc = NULL, *fm = NULL;
    const pieces *const sets[] = {real, coded, made};
    rg_status status = rg__features_make(t->e, real, &fr, err);
    if (status == RG_OK) status = rg__features_make(t->e, coded, &fc, err);
    if (status == RG_OK) status = rg__features_make(t->e, made, &fm, err);
    if (status == RG_OK) {
        const group groups[] = {
            {"real songs", "real", RG_ROW_CEILING, fr, fr, real->n, 0},
            {"real, through the codecs", "coded", RG_ROW_CEILING, fc, fc, coded->n, 0},
            {"generated", "generated", RG_ROW_OURS, fm, fm, made->n, 0},
            {"stem of another song", "shuffled", RG_ROW_FLOOR, fr, fr, real->n, 1}};
        rg_report_section(t->e->report, "coherence", "Do the stems belong together?");
        coherence_tables(t, groups, 4);
        pair_table(t, "pairs-real", "Real songs: rhythm, pair by pair.", fr, real->n);
        if (made->n > 0)
            pair_table(t, "pairs-generated", "Generated: rhythm, pair by pair.", fm, made->n);
        rg_report_section(t->e->report, "distance-section", "Does it sound like the songs?");
        status = rg__distance_table(t, sets, err);
        level_table(t, real, made);
    }
    rg__features_free(fr, real->n);
    rg__features_free(fc, coded->n);
    rg__features_free(fm, made->n);
    return status;
}
