/*
 * Does it play what was asked? Tempo asked against tempo heard.
 *
 * One idea: an extractor errs, so its error on real songs, whose tempo is known, stands beside what
 * it says of generated ones. Factors of 2 and 3 are counted apart (Acc1 exact, Acc2 with factors).
 */
#include <math.h>
#include <stdlib.h>

#include "eval/metrics/onset.h"
#include "eval/metrics/tempo.h"
#include "eval/track_internal.h"

/* Tempo of all stems of a piece together; 0 when it cannot be told. */
static rg_status heard_tempo(const piece *p, double *bpm, rg_error *err)
{
    int64_t n = 0;
    float *sum = NULL;
    rg_status status = RG_OK;
    *bpm = 0;
    for (int32_t r = 0; r < RG_TRACK_ROLES && status == RG_OK; r++) {
        const rg_audio *a = &p->stems[r];
        int64_t frames = rg_onset_frames(a->frames, a->rate ? a->rate : 1);
        if (a->frames == 0) continue;
        float *one = malloc((size_t)frames * sizeof *one);
        if (!sum && (sum = calloc((size_t)frames, sizeof *sum))) n = frames;
        status = one && sum ? rg_onset_envelope(a->samples, a->frames, a->rate, one, err)
                            : rg_fail(err, RG_ERR_NOMEM, "no memory for a tempo");
        for (int64_t i = 0; status == RG_OK && i < n && i < frames; i++) sum[i] += one[i];
        free(one);
    }
    if (status == RG_OK && n > 0) status = rg_tempo_of(sum, n, bpm, err);
    free(sum);
    return status;
}

/* Shares of pieces whose tempo is heard as it was asked; rows of single pieces when `each`. */
static rg_status add_set(track_evaluation *t, rg_table *table, const pieces *set, const char *name,
                         rg_row_kind kind, bool each, rg_error *err)
{
    double *hits = malloc((size_t)(2 * (set->n > 0 ? set->n : 1)) * sizeof *hits);
    rg_status status = hits ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for tempi");
    for (int64_t i = 0; i < set->n && status == RG_OK; i++) {
        const piece *p = &set->all[i];
        double heard = 0;
        status = heard_tempo(p, &heard, err);
        hits[i] = p->tempo > 0 ? 100 * rg_tempo_agrees(p->tempo, heard, false) : NAN;
        hits[set->n + i] = p->tempo > 0 ? 100 * rg_tempo_agrees(p->tempo, heard, true) : NAN;
        if (!each) continue;
        int32_t row = rg_table_row(table, RG_ROW_PLAIN, "%s", p->name);
        rg_table_number(table, row, 0, p->tempo);
        rg_table_number(table, row, 1, heard > 0 ? heard : NAN);
    }
    if (status == RG_OK && set->n > 0) {
        int32_t row = rg_table_row(table, kind, "%s", name);
        for (int32_t c = 0; c < 2; c++)
            rg_table_interval(table, row, 2 + c,
                              rg_bootstrap(hits + c * set->n, set->n, t->e->options.seed));
    }
    free(hits);
    return status;
}

rg_status rg__adherence_section(track_evaluation *t, const pieces *real, const pieces *made,
                                rg_error *err)
{
    rg_report_section(t->e->report, "adherence", "Does it play what was asked?");
    rg_table *table = rg_report_table(
        t->e->report, "adherence",
        "Tempo asked against tempo heard in all stems together. The row of real songs says how far "
        "the extractor itself can be trusted. Keys are not judged: few songs of the data name "
        "one.");
    rg_table_column(table, "asked", "Asked", "bpm", RG_NO_DIRECTION, 0);
    rg_table_column(table, "heard", "Heard", "bpm", RG_NO_DIRECTION, 1);
    rg_table_column(table, "acc1", "Within 4 %", "% of pieces", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "acc2", "Or ×2, ×3, ½, ⅓", "% of pieces", RG_HIGHER_BETTER, 0);
    RG_TRY(add_set(t, table, made, "all generated", RG_ROW_OURS, true, err));
    return add_set(t, table, real, "real songs", RG_ROW_CEILING, false, err);
}
