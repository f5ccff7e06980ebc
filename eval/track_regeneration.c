/*
 * The proof that regenerating one stem leaves the others as they are.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "eval/track_internal.h"
#include "generate/session.h"

static rg_status hash_of(const track_evaluation *t, const char *scene, int32_t r, char hex[65],
                         rg_error *err)
{
    char path[RG_EVAL_PATH];
    hex[0] = 0;
    RG_TRY(rg__stem_path(t, scene, r, path, err));
    return rg_fs_exists(path) ? rg_sha256_file(path, hex, err) : RG_OK;
}

static rg_status prove(track_evaluation *t, const char *before, const char *after, int32_t remade,
                       rg_error *err)
{
    bool kept = true, changed = true;
    rg_table *table = rg_report_table(t->e->report, "regeneration",
                                      "SHA-256 of each stem's file before and after.");
    static const char *const titles[] = {"Asked", "Before", "After", "Outcome"};
    for (int c = 0; c < 4; c++)
        rg_table_column(table, titles[c], titles[c], "", RG_NO_DIRECTION, 0);
    for (int32_t r = 0; r < t->bundle.config.n_roles; r++) {
        char a[65], b[65];
        RG_TRY(hash_of(t, before, r, a, err));
        RG_TRY(hash_of(t, after, r, b, err));
        bool same = strcmp(a, b) == 0, right = same == (r != remade);
        int32_t row = rg_table_row(table, RG_ROW_PLAIN, "%s", t->bundle.config.roles[r].name);
        rg_table_text(table, row, 0, r == remade ? "made anew" : "kept");
        rg_table_text(table, row, 1, "%.12s", a);
        rg_table_text(table, row, 2, "%.12s", b);
        rg_table_text(table, row, 3, same ? "identical" : "different");
        rg_table_mark(table, row, 3, right ? RG_GOOD : RG_BAD);
        if (r == remade)
            changed = !same;
        else
            kept = kept && same;
    }
    rg_report_verdict(t->e->report, kept ? RG_GOOD : RG_BAD,
                      kept ? "Every kept stem is identical, bit for bit."
                           : "A stem that should have been kept has changed.");
    if (!changed)
        rg_report_verdict(t->e->report, RG_BAD, "The regenerated stem is the same as before.");
    return RG_OK;
}

static rg_status show_after(track_evaluation *t, const char *after, int32_t remade, rg_error *err)
{
    piece p = {0};
    rg_player players[RG_TRACK_ROLES];
    char labels[RG_TRACK_ROLES][64];
    int32_t n = 0;
    rg_status status = rg__scene_piece(t, after, &p, err);
    for (int32_t r = 0; r < t->bundle.config.n_roles && status == RG_OK; r++) {
        if (p.stems[r].frames == 0) continue;
        rg_format(labels[r], sizeof labels[r], "%s%s", t->bundle.config.roles[r].name,
                  r == remade ? ", made anew" : "");
        players[n++] = (rg_player){labels[r], &p.stems[r]};
    }
    if (n > 0)
        rg_report_stems(t->e->report, "Piece 1, after",
                        "Before: Piece 1 under “Generated”. Only the named stem may differ.",
                        players, n);
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) rg_audio_free(&p.stems[r]);
    return status;
}

rg_status rg__regeneration_section(track_evaluation *t, rg_error *err)
{
    char before[RG_EVAL_PATH], after[RG_EVAL_PATH];
    int32_t remade = t->bundle.config.n_roles - 1;
    const char *regenerate[] = {t->bundle.config.roles[remade].name};
    rg_generate_result result;
    if (t->e->options.samples < 1 || t->bundle.config.n_roles < 2) return RG_OK;
    RG_TRY(rg__scene_path(t, 0, "", before, err));
    RG_TRY(rg__scene_path(t, 0, "-again", after, err));
    rg_generate_options options = {.bundle_folder = t->bundle_folder,
                                   .out_folder = after,
                                   .from_folder = before,
                                   .regenerate = regenerate,
                                   .n_regenerate = 1,
                                   .rate = rg_store_rate(t->e->store)};
    RG_TRY(rg_generate(&options, t->e->ex, t->e->log, &result, err));
    rg_report_section(t->e->report, "regeneration", "Selective regeneration");
    rg_report_text(
        t->e->report,
        "The first generated piece is loaded again and only %s is made anew (seed %llu).",
        regenerate[0], (unsigned long long)result.seed);
    RG_TRY(prove(t, before, after, remade, err));
    RG_TRY(show_after(t, after, remade, err));
    return rg__seam_section(t, t->e->options.samples, err);
}
