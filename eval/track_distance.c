/*
 * Distances of sets of mixes to the training songs: KAD and FAD over log-mel statistics.
 *
 * One idea: the same reference for every row; held-out songs say what is near, noise what is far.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "eval/metrics/distribution.h"
#include "eval/track_internal.h"

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
        for (int64_t i = 0; i < rg__least(frames, stem.frames); i++)
            out->samples[i] += stem.samples[i];
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
        RG_TRY(rg__pieces_make(&one, 1, err));
        int64_t frames = rg__least((int64_t)(t->e->options.seconds * rate), song->frames);
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
    rg_fad_limit limit = {NAN, NAN, NAN, false};
    rg_status status = a.rows && b.rows ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for KAD");
    if (status == RG_OK) {
        if (a.n) memcpy(a.rows, training->rows, (size_t)(a.n * RG_EMBEDDING_SIZE) * sizeof(float));
        if (b.n) memcpy(b.rows, set->rows, (size_t)(b.n * RG_EMBEDDING_SIZE) * sizeof(float));
        rg_embeddings_standardise(&a, &b);
        status = rg_kad(&a, &b, t->e->options.seed, &kad, err);
    }
    if (status == RG_OK) status = rg_fad(&a, &b, &fad, err);
    if (status == RG_OK) status = rg_fad_infinity(&a, &b, t->e->options.seed, &limit, err);
    int32_t row = rg_table_row(table, kind, "%s", name);
    rg_table_number(table, row, 0, kad);
    rg_table_number(table, row, 1, fad);
    rg_table_number(table, row, 2, limit.limit);
    rg_table_number(table, row, 3, limit.r2);
    rg_table_number(table, row, 4, (double)b.n);
    rg_table_text(table, row, 5, "%s", limit.reliable ? "" : "small sample");
    if (!limit.reliable) rg_table_mark(table, row, 5, RG_NOTE);
    rg_embeddings_free(&a);
    rg_embeddings_free(&b);
    return status;
}

rg_status rg__distance_table(track_evaluation *t, const pieces *const sets[3], rg_error *err)
{
    static const char *const names[] = {"held-out songs", "held-out songs through the codecs",
                                        "generated", "white noise"};
    static const rg_row_kind kinds[] = {RG_ROW_CEILING, RG_ROW_CEILING, RG_ROW_OURS, RG_ROW_FLOOR};
    rg_embeddings training = {0}, sets_of[4] = {{0}};
    rg_table *table = rg_report_table(
        t->e->report, "distance",
        "Distance of mixes to excerpts of the training songs, by statistics of log-mel bands over "
        "seconds (KAD-logmel × 1000, FAD-logmel). Blind to reversed time. FAD falls with more "
        "seconds, so compare it only at equal numbers; FAD∞ goes on to infinitely many along a "
        "line, which is trusted only where R² is near 1 and there are 500 seconds or more "
        "(“small sample” otherwise).");
    rg_table_column(table, "kad", "KAD-logmel", "× 1000", RG_LOWER_BETTER, 1);
    rg_table_column(table, "fad", "FAD-logmel", "", RG_LOWER_BETTER, 1);
    rg_table_column(table, "fad_infinity", "FAD∞-logmel", "", RG_LOWER_BETTER, 1);
    rg_table_column(table, "r2", "R² of the line", "", RG_NO_DIRECTION, 2);
    rg_table_column(table, "seconds", "Seconds", "", RG_NO_DIRECTION, 0);
    rg_table_column(table, "warning", "Warning", "", RG_NO_DIRECTION, 0);
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
