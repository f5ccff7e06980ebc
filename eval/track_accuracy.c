/*
 * Top-1 accuracy and calibration of the language models, beside their bits.
 *
 * One idea: bits punish what was thought impossible; these say how often the likeliest token is
 * right and if the probabilities mean what they say, which sampling relies on.
 */
#include <math.h>
#include <stdlib.h>

#include "eval/track_internal.h"

rg_status rg__accuracy_make(track_accuracy *a, int64_t songs, rg_error *err)
{
    size_t n = (size_t)(songs > 0 ? songs : 1);
    *a = (track_accuracy){.songs = songs};
    a->of = calloc(n, sizeof *a->of);
    a->copies = calloc(n, sizeof *a->copies);
    a->seen = calloc(n, sizeof *a->seen);
    if (a->of && a->copies && a->seen) return RG_OK;
    rg__accuracy_free(a);
    return rg_fail(err, RG_ERR_NOMEM, "no memory for accuracies");
}

void rg__accuracy_free(track_accuracy *a)
{
    free(a->of);
    free(a->copies);
    free(a->seen);
    *a = (track_accuracy){0};
}

void rg__accuracy_take(track_accuracy *a, const rg_track_config *config,
                       const rg_track_batch *batch, const rg_track_out *out, int32_t item,
                       int64_t song)
{
    const rg_track_role *role = &config->roles[batch->target];
    int64_t frames = batch->frames, steps = frames + role->books - 1;
    const int32_t *codes = batch->codes[batch->target] + item * frames * role->books;
    float *row = malloc((size_t)role->entries * sizeof *row);
    for (int32_t q = 0; row && q < role->books; q++)
        for (int64_t f = 0; f < frames; f++) {
            int32_t truth = codes[f * role->books + q];
            if (!batch->cells[item * frames + f] || truth < 0) continue;
            rg_tensor_floats(out->logits[q], (item * steps + f + q) * role->entries, role->entries,
                             row);
            rg_calibration_add(&a->of[song], row, role->entries, truth);
            a->seen[song]++;
            a->copies[song] += f > 0 && codes[(f - 1) * role->books + q] == truth;
        }
    free(row);
}

rg_table *rg__accuracy_table(rg_report *report)
{
    rg_table *table = rg_report_table(
        report, "accuracy",
        "How often the likeliest token is the true one, beside repeating the token before (the "
        "floor), and the expected calibration error (15 bins): how far confidence and accuracy "
        "lie apart; “too sure” is its sign. True context, whole track unknown. Accuracy says "
        "little of music: a model may be right at every held note and at no onset.");
    rg_table_column(table, "top1", "Top-1", "%", RG_HIGHER_BETTER, 1);
    rg_table_column(table, "copy", "Repeat the last", "%", RG_NO_DIRECTION, 1);
    rg_table_column(table, "ece", "Calibration error", "%", RG_LOWER_BETTER, 1);
    rg_table_column(table, "excess", "Too sure by", "%", RG_NO_DIRECTION, 1);
    return table;
}

typedef struct drawn {
    const track_accuracy *a;
    double (*of)(const rg_calibration *c);
} drawn;

/* All tokens of the drawn songs together: an error of calibration is not a mean of songs'. */
static double over_songs(void *ctx, const int64_t *songs, int64_t n)
{
    const drawn *d = ctx;
    rg_calibration sum = {0};
    for (int64_t i = 0; i < n; i++) rg_calibration_merge(&sum, &d->a->of[songs[i]]);
    return 100 * d->of(&sum);
}

/* Songs without a prediction are moved out of the way: they are no witnesses. */
static void keep_seen(const track_accuracy *a, track_accuracy *kept)
{
    for (int64_t i = 0; i < a->songs; i++) {
        if (a->seen[i] == 0) continue;
        kept->of[kept->songs] = a->of[i];
        kept->copies[kept->songs] = a->copies[i];
        kept->seen[kept->songs++] = a->seen[i];
    }
}

static rg_interval copied(const track_accuracy *a, uint64_t seed)
{
    double *share = malloc((size_t)(a->songs + 1) * sizeof *share);
    rg_interval out = {NAN, NAN, NAN, 0};
    for (int64_t i = 0; share && i < a->songs; i++)
        share[i] = 100 * (double)a->copies[i] / (double)a->seen[i];
    if (share) out = rg_bootstrap(share, a->songs, seed);
    free(share);
    return out;
}

void rg__accuracy_row(rg_table *table, const char *role, const track_accuracy *a, uint64_t seed)
{
    static double (*const columns[])(const rg_calibration *) = {
        rg_calibration_top1, NULL, rg_calibration_error, rg_calibration_excess};
    track_accuracy kept;
    rg_error ignored = {0};
    if (rg__accuracy_make(&kept, a->songs, &ignored) != RG_OK) return;
    kept.songs = 0;
    keep_seen(a, &kept);
    int32_t row = rg_table_row(table, RG_ROW_OURS, "%s", role);
    for (int32_t c = 0; c < 4; c++) {
        drawn d = {&kept, columns[c]};
        rg_table_interval(table, row, c,
                          columns[c] ? rg_bootstrap_of(kept.songs, seed, over_songs, &d)
                                     : copied(&kept, seed));
    }
    rg__accuracy_free(&kept);
}
