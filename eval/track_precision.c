/*
 * Do weights of fewer bits choose the same tokens?
 *
 * One idea: teacher forcing over the same held-out windows in every precision; a token agrees when
 * the likeliest one is the one that fp32 finds likeliest. So a wrong choice costs one token and not
 * all that follow, which it would in free generation.
 */
#include <math.h>
#include <stdlib.h>

#include "eval/track_internal.h"

typedef struct lower {
    rg_dtype type;
    double asked; /* % of tokens */
} lower;
static const lower of_cpu[] = {{RG_BF16, 99}, {RG_I8, 95}},
                   of_gpu[] = {{RG_F16, 99}, {RG_BF16, 95}};
enum { LOWER = sizeof of_cpu / sizeof of_cpu[0], MAX_WINDOWS = 64 };

static const lower *lowers(const track_evaluation *t)
{
    return t->e->ex->gpu ? of_gpu : of_cpu;
}

/* One role's windows, one per song. */
typedef struct agreement {
    track_evaluation *t;
    rg_track_batch *batch; /* one item */
    int32_t role;
    int64_t songs, windows;
    int32_t *choice;         /* (windows,T,K): likeliest in fp32; -1: no target */
    int64_t *same, *counted; /* (LOWER, songs) */
    float *row;
} agreement;

static int32_t largest(const float *x, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Compares one window's choices (k: which of the lower ones), or keeps them (k < 0). */
static void take_choices(agreement *a, const rg_track_out *out, int k, int64_t window, int64_t song)
{
    const rg_track_role *role = &a->t->bundle.config.roles[a->role];
    const int64_t frames = a->batch->frames;
    int32_t *choice = a->choice + window * frames * role->books;
    for (int32_t q = 0; q < role->books; q++)
        for (int64_t f = 0; f < frames; f++) {
            int32_t *kept = &choice[f * role->books + q];
            if (k < 0) *kept = -1;
            if (!a->batch->cells[f] || (k >= 0 && *kept < 0)) continue;
            rg_tensor_floats(out->logits[q], (f + q) * role->entries, role->entries, a->row);
            const int32_t best = largest(a->row, role->entries);
            if (k < 0) {
                *kept = best;
            } else {
                a->same[k * a->songs + song] += best == *kept;
                a->counted[k * a->songs + song]++;
            }
        }
}

static rg_status run_windows(agreement *a, int k, rg_error *err)
{
    track_evaluation *t = a->t;
    rg_track_out out;
    RG_TRY(rg_bundle_set_precision(&t->bundle, k < 0 ? RG_F32 : lowers(t)[k].type, t->e->ex, err));
    for (int64_t i = 0; i < a->windows; i++) {
        int64_t song, first;
        RG_TRY(rg__eval_check_stop(t->e, err));
        if (!rg_track_data_fixed(t->data, t->e->options.split, a->role, a->batch->frames, i, &song,
                                 &first))
            break;
        RG_TRY(rg__window_whole(t, a->batch, a->role, song, first, err));
        rg_step_begin(t->e->ex, 0);
        const rg_status status = rg_track_loss(t->e->ex, t->bundle.tracks, a->batch, &out);
        if (status != RG_OK) return rg_fail(err, status, "%s", t->e->ex->error.text);
        take_choices(a, &out, k, i, song);
    }
    return RG_OK;
}

static rg_status make_room(agreement *a, rg_error *err)
{
    const rg_track_config *c = &a->t->bundle.config;
    const rg_track_role *role = &c->roles[a->role];
    a->songs = rg_tokens_songs(a->t->tokens);
    a->windows = rg__windows_of(a->t, a->role, 1, MAX_WINDOWS);
    const size_t tokens = (size_t)(a->windows + 1) * (size_t)c->frames * (size_t)role->books;
    const size_t sums = (size_t)(LOWER * (a->songs + 1));
    a->batch = rg_track_batch_create(c, 1, c->frames, err);
    a->choice = calloc(tokens, sizeof *a->choice);
    a->same = calloc(sums, sizeof *a->same);
    a->counted = calloc(sums, sizeof *a->counted);
    a->row = malloc((size_t)role->entries * sizeof *a->row);
    if (a->batch && a->choice && a->same && a->counted && a->row) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "no memory to compare precisions");
}

static rg_interval share_of(const agreement *a, int k, uint64_t seed)
{
    double *share = malloc((size_t)(a->songs + 1) * sizeof *share);
    rg_interval out = {NAN, NAN, NAN, 0};
    int64_t n = 0;
    for (int64_t i = k * a->songs; share && i < (k + 1) * a->songs; i++)
        if (a->counted[i] > 0) share[n++] = 100 * (double)a->same[i] / (double)a->counted[i];
    if (share) out = rg_bootstrap(share, n, seed);
    free(share);
    return out;
}

/* The role with the least agreement decides what is said of a precision. */
typedef struct least {
    double share;
    const char *role;
} least;

static rg_status do_role(agreement *a, rg_table *table, least worst[LOWER], rg_error *err)
{
    const char *name = a->t->bundle.config.roles[a->role].name;
    RG_TRY(make_room(a, err));
    for (int k = -1; k < LOWER; k++) RG_TRY(run_windows(a, k, err));
    const int32_t row = rg_table_row(table, RG_ROW_OURS, "%s", name);
    for (int k = 0; k < LOWER; k++) {
        const rg_interval share = share_of(a, k, a->t->e->options.seed);
        rg_table_interval(table, row, k, share);
        if (share.n == 0) continue;
        if (!(share.mean >= lowers(a->t)[k].asked)) rg_table_mark(table, row, k, RG_BAD);
        if (!worst[k].role || !(share.mean >= worst[k].share)) worst[k] = (least){share.mean, name};
    }
    return RG_OK;
}

static void free_room(agreement *a)
{
    rg_track_batch_free(a->batch);
    free(a->choice);
    free(a->same);
    free(a->counted);
    free(a->row);
}

static rg_table *make_table(rg_report *report, const lower *of)
{
    rg_table *table = rg_report_table(
        report, "precision",
        of == of_cpu ? "Tokens whose likeliest value stays that of fp32 when the weights of the "
                       "tracks are held in fewer bits (generate --precision), on held-out windows "
                       "with true context; asked for: 99 % in bf16, 95 % in int8."
                     : "Tokens whose likeliest value stays that of fp32 when weights, activations "
                       "and caches of the tracks have 16 bits (generate --precision), on held-out "
                       "windows with true context; asked for: 99 % in fp16, 95 % in bf16.");
    for (int k = 0; k < LOWER; k++) {
        const char *name = rg_precision_text(of[k].type);
        rg_table_column(table, name, name, "%", RG_HIGHER_BETTER, 2);
    }
    return table;
}

rg_status rg__precision_section(track_evaluation *t, rg_error *err)
{
    least worst[LOWER] = {0};
    rg_status status = RG_OK;
    rg_error ignored = {0};
    rg_report_section(t->e->report, "bits", "Language models");
    const lower *of = lowers(t);
    rg_table *table = make_table(t->e->report, of);
    for (int32_t r = 0; r < t->bundle.config.n_roles && status == RG_OK; r++) {
        agreement a = {.t = t, .role = r};
        status = do_role(&a, table, worst, err);
        free_room(&a);
    }
    const rg_status back = rg_bundle_set_precision(&t->bundle, t->e->options.precision, t->e->ex,
                                                   status == RG_OK ? err : &ignored);
    rg_report_section(t->e->report, "headline", "In short");
    for (int k = 0; k < LOWER && status == RG_OK; k++)
        if (worst[k].role)
            rg_report_verdict(t->e->report, worst[k].share >= of[k].asked ? RG_GOOD : RG_BAD,
                              "Weights in %s choose the token that fp32 chooses in at least "
                              "%.2f %% of steps (%s); asked for: %.0f %%.",
                              rg_precision_text(of[k].type), worst[k].share, worst[k].role,
                              of[k].asked);
    return status == RG_OK ? back : status;
}
