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

#include "eval/metrics/chroma.h"
#include "eval/metrics/distribution.h"
#include "eval/metrics/onset.h"
#include "eval/metrics/signal.h"
#include "eval/track_internal.h"

void rg__pieces_free(pieces *set)
{
    for (int64_t i = 0; i < set->n; i++)
        for (int32_t r = 0; r < RG_TRACK_ROLES; r++) rg_audio_free(&set->all[i].stems[r]);
    free(set->all);
    *set = (pieces){0};
}

/* ---- pieces of real songs ---- */

static rg_status make_room(pieces *set, int64_t n, rg_error *err)
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
    rg_step_begin(t->e->ex, 0);
    rg_status status =
        codes ? rg_codec_encode_audio(t->e->ex, codec, x.samples, x.frames, codes) : RG_ERR_NOMEM;
    if (status == RG_OK)
        status = rg_codec_decode_audio(t->e->ex, codec, codes, frames, x.samples, x.frames);
    free(codes);
    if (status != RG_OK) rg_fail(err, status, "codec %s: %s", codec->role, t->e->ex->error.text);
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
    RG_TRY(make_room(real, t->e->n_songs, err));
    RG_TRY(make_room(coded, t->e->n_songs, err));
    rg_progress_start(&progress, "round trips", t->e->n_songs);
    for (int64_t i = 0; i < t->e->n_songs; i++) {
        RG_TRY(rg__eval_check_stop(t->e, err));
        RG_TRY(real_piece(t, i, &real->all[i], &coded->all[i], err));
        rg_progress_step(&progress, t->e->log, i + 1, "");
    }
    return RG_OK;
}

/* ---- features ---- */

/* Onset envelopes and chroma of all roles of one piece; NULL where absent or silent. */
typedef struct features {
    int64_t onset_n, chroma_n;
    float *onset[RG_TRACK_ROLES], *chroma[RG_TRACK_ROLES];
} features;

static void free_features(features *f, int64_t n)
{
    for (int64_t i = 0; f && i < n; i++)
        for (int32_t r = 0; r < RG_TRACK_ROLES; r++) {
            free(f[i].onset[r]);
            free(f[i].chroma[r]);
        }
    free(f);
}

static bool sounds(const rg_audio *a)
{
    if (a->frames == 0) return false;
    rg_levels levels = rg_audio_levels(a);
    return levels.rms_dbfs > -60 && levels.silent_share < 0.9;
}

static rg_status role_features(const rg_audio *a, features *f, int32_t r, rg_error *err)
{
    int64_t on = rg_onset_frames(a->frames, a->rate), ch = rg_chroma_frames(a->frames, a->rate);
    f->onset[r] = malloc((size_t)on * sizeof(float));
    f->chroma[r] = malloc((size_t)(12 * ch) * sizeof(float));
    if (!f->onset[r] || !f->chroma[r]) return rg_fail(err, RG_ERR_NOMEM, "no memory for features");
    if (f->onset_n == 0 || on < f->onset_n) f->onset_n = on;
    if (f->chroma_n == 0 || ch < f->chroma_n) f->chroma_n = ch;
    RG_TRY(rg_onset_envelope(a->samples, a->frames, a->rate, f->onset[r], err));
    return rg_chroma(a->samples, a->frames, a->rate, f->chroma[r], err);
}

static rg_status make_features(const pieces *set, features **out, rg_error *err)
{
    *out = calloc((size_t)(set->n > 0 ? set->n : 1), sizeof **out);
    if (!*out) return rg_fail(err, RG_ERR_NOMEM, "no memory for features");
    for (int64_t i = 0; i < set->n; i++)
        for (int32_t r = 0; r < RG_TRACK_ROLES; r++)
            if (sounds(&set->all[i].stems[r]))
                RG_TRY(role_features(&set->all[i].stems[r], &(*out)[i], r, err));
    return RG_OK;
}

/* Percussion has no pitch to fit. */
static bool is_pitched(const char *role)
{
    return strncmp(role, "drum", 4) != 0 && strncmp(role, "perc", 4) != 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The stem r of `stem` against the sum of the other stems of `context`; NAN without either. */
static void coherence(const rg_track_config *config, const features *stem, const features *context,
                      int32_t r, double *rhythm, double *harmony)
{
    int64_t on = least(stem->onset_n, context->onset_n),
            ch = least(stem->chroma_n, context->chroma_n);
    *rhythm = *harmony = NAN;
    if (!stem->onset[r] || on == 0) return;
    float *sum = calloc((size_t)(on + 12 * ch), sizeof *sum);
    int others = 0, pitched = 0;
    for (int32_t k = 0; sum && k < config->n_roles; k++) {
        if (k == r || !context->onset[k]) continue;
        for (int64_t i = 0; i < on; i++) sum[i] += context->onset[k][i];
        others++;
        if (!is_pitched(config->roles[k].name)) continue;
        for (int64_t i = 0; i < 12 * ch; i++) sum[on + i] += context->chroma[k][i];
        pitched++;
    }
    if (others > 0) *rhythm = rg_onset_coherence(stem->onset[r], sum, on, 0);
    if (pitched > 0 && is_pitched(config->roles[r].name))
        *harmony = rg_chroma_fit(stem->chroma[r], sum + on, ch);
    free(sum);
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
            coherence(config, &g->stems[i], context, r, &x[i], &x[g->n + i]);
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

/* ---- distances between sets ---- */

static rg_status mix_of(const piece *p, rg_audio *out, rg_error *err)
{
    int64_t frames = 0;
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) {
        const rg_audio *s = &p->stems[r];
        if (s->frames == 0) continue;
        int64_t n = s->frames * RG_EMBEDDING_RATE / s->rate;
        if (n > frames) frames = n;
    }
    RG_TRY(rg_audio_make(out, frames, 1, RG_EMBEDDING_RATE, err));
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) {
        rg_audio stem;
        if (p->stems[r].frames == 0) continue;
        RG_TRY(rg_audio_resample(&p->stems[r], RG_EMBEDDING_RATE, &stem, err));
        for (int64_t i = 0; i < least(frames, stem.frames); i++) out->samples[i] += stem.samples[i];
        rg_audio_free(&stem);
    }
    return RG_OK;
}

static rg_status embed(const pieces *set, rg_embeddings *out, rg_error *err)
{
    for (int64_t i = 0; i < set->n; i++) {
        rg_audio mix = {0};
        rg_status status = mix_of(&set->all[i], &mix, err);
        if (status == RG_OK) status = rg_embeddings_add(out, mix.samples, mix.frames, err);
        rg_audio_free(&mix);
        RG_TRY(status);
    }
    return RG_OK;
}

/* Excerpts of training songs: what the sets are compared with. */
static rg_status embed_training(track_evaluation *t, rg_embeddings *out, rg_error *err)
{
    enum { MOST = 40 };
    const rg_store *store = t->e->store;
    int32_t rate = rg_store_rate(store);
    int64_t taken = 0;
    for (int64_t i = 0; i < rg_store_songs(store) && taken < MOST; i++) {
        const rg_song *song = rg_store_song(store, i);
        if (song->split != RG_SPLIT_TRAIN) continue;
        pieces one = {0};
        RG_TRY(make_room(&one, 1, err));
        int64_t frames = least((int64_t)(t->e->options.seconds * rate), song->frames);
        rg_status status = RG_OK;
        for (int32_t r = 0; r < t->bundle.config.n_roles && status == RG_OK; r++) {
            int32_t role = rg_store_find_role(store, t->bundle.config.roles[r].name);
            if (role < 0 || !song->present[role]) continue;
            status = rg_audio_make(&one.all[0].stems[r], frames, 1, rate, err);
            if (status == RG_OK)
                status = rg_store_read(store, i, role, (song->frames - frames) / 2, frames,
                                       one.all[0].stems[r].samples, err);
        }
        if (status == RG_OK) status = embed(&one, out, err);
        rg__pieces_free(&one);
        RG_TRY(status);
        taken++;
    }
    return RG_OK;
}

static rg_status noise_set(rg_embeddings *out, rg_error *err)
{
    enum { SECONDS = 60 };
    rg_audio noise;
    RG_TRY(rg_audio_make(&noise, SECONDS * RG_EMBEDDING_RATE, 1, RG_EMBEDDING_RATE, err));
    rg_rng rng = rg_rng_make(1, 1);
    rg_rng_fill_normal(&rng, noise.samples, noise.frames, 0, 0.1f);
    rg_status status = rg_embeddings_add(out, noise.samples, noise.frames, err);
    rg_audio_free(&noise);
    return status;
}

static rg_status add_distance(track_evaluation *t, rg_table *table, rg_row_kind kind,
                              const char *name, const rg_embeddings *training,
                              const rg_embeddings *set, rg_error *err)
{
    /* Standardising changes both sets, so each row works on copies. */
    rg_embeddings a = *training, b = *set;
    a.rows = malloc((size_t)(a.n * RG_EMBEDDING_SIZE + 1) * sizeof(float));
    b.rows = malloc((size_t)(b.n * RG_EMBEDDING_SIZE + 1) * sizeof(float));
    double kad = NAN, fad = NAN;
    rg_status status = a.rows && b.rows ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for KAD");
    if (status == RG_OK) {
        if (a.n) memcpy(a.rows, training->rows, (size_t)(a.n * RG_EMBEDDING_SIZE) * sizeof(float));
        if (b.n) memcpy(b.rows, set->rows, (size_t)(b.n * RG_EMBEDDING_SIZE) * sizeof(float));
        rg_embeddings_standardise(&a, &b);
        status = rg_kad(&a, &b, t->e->options.seed, &kad, err);
    }
    if (status == RG_OK) status = rg_fad(&a, &b, &fad, err);
    int32_t row = rg_table_row(table, kind, "%s", name);
    rg_table_number(table, row, 0, kad);
    rg_table_number(table, row, 1, fad);
    rg_table_number(table, row, 2, (double)b.n);
    rg_embeddings_free(&a);
    rg_embeddings_free(&b);
    return status;
}

static rg_status distance_table(track_evaluation *t, const pieces *const sets[3], rg_error *err)
{
    static const char *const names[] = {"held-out songs", "held-out songs through the codecs",
                                        "generated", "white noise"};
    static const rg_row_kind kinds[] = {RG_ROW_CEILING, RG_ROW_CEILING, RG_ROW_OURS, RG_ROW_FLOOR};
    rg_embeddings training = {0}, sets_of[4] = {{0}};
    rg_table *table = rg_report_table(
        t->e->report, "distance",
        "Distance of mixes to excerpts of the training songs, by statistics of log-mel bands over "
        "seconds (KAD-logmel × 1000, FAD-logmel). Blind to reversed time; FAD falls with more "
        "seconds, so compare it only at equal numbers.");
    rg_table_column(table, "kad", "KAD-logmel", "× 1000", RG_LOWER_BETTER, 1);
    rg_table_column(table, "fad", "FAD-logmel", "", RG_LOWER_BETTER, 1);
    rg_table_column(table, "seconds", "Seconds", "", RG_NO_DIRECTION, 0);
    rg_status status = embed_training(t, &training, err);
    for (int i = 0; i < 3 && status == RG_OK; i++) status = embed(sets[i], &sets_of[i], err);
    if (status == RG_OK) status = noise_set(&sets_of[3], err);
    for (int i = 0; i < 4 && status == RG_OK; i++)
        if (sets_of[i].n > 0)
            status = add_distance(t, table, kinds[i], names[i], &training, &sets_of[i], err);
    rg_embeddings_free(&training);
    for (int i = 0; i < 4; i++) rg_embeddings_free(&sets_of[i]);
    return status;
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
    rg_status status = make_features(real, &fr, err);
    if (status == RG_OK) status = make_features(coded, &fc, err);
    if (status == RG_OK) status = make_features(made, &fm, err);
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
        status = distance_table(t, sets, err);
        level_table(t, real, made);
    }
    free_features(fr, real->n);
    free_features(fc, coded->n);
    free_features(fm, made->n);
    return status;
}
