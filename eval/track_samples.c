/*
 * What the bundle makes: pieces generated as a user would generate them, and the proof that
 * regenerating one stem leaves the others as they are.
 *
 * One idea: generation runs through the same call as `resonant generate`, into scene folders below
 * the report, so every sound of the report can be gone on from.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "eval/track_internal.h"
#include "generate/session.h"

enum { MAX_SAMPLES = 64 };

static rg_status scene_path(const track_evaluation *t, int64_t i, const char *suffix,
                            char out[RG_EVAL_PATH], rg_error *err)
{
    char name[64];
    rg_format(name, sizeof name, "scenes/piece-%lld%s", (long long)i + 1, suffix);
    return rg_fs_join(out, RG_EVAL_PATH, t->report_folder, name, err);
}

static rg_status stem_path(const track_evaluation *t, const char *scene, int32_t r,
                           char out[RG_EVAL_PATH], rg_error *err)
{
    char name[64];
    rg_format(name, sizeof name, "%s.wav", t->bundle.config.roles[r].name);
    return rg_fs_join(out, RG_EVAL_PATH, scene, name, err);
}

static rg_status read_piece(const track_evaluation *t, const char *scene, piece *out, rg_error *err)
{
    char path[RG_EVAL_PATH];
    for (int32_t r = 0; r < t->bundle.config.n_roles; r++) {
        RG_TRY(stem_path(t, scene, r, path, err));
        if (rg_fs_exists(path)) RG_TRY(rg_audio_read(path, &out->stems[r], err));
    }
    return RG_OK;
}

/* ---- generated pieces ---- */

/* What is asked: tempo and words of a held-out song, so that adherence can be judged by ear. */
static void make_request(const track_evaluation *t, int64_t i, char prompt[RG_PROMPT_SIZE],
                         char tempo[32], double *asked)
{
    const rg_song *song = rg_store_song(t->e->store, t->e->songs[i % t->e->n_songs]);
    double bpm = song->tempo_bpm > 0 ? round(song->tempo_bpm) : 120;
    rg_copy_text(prompt, RG_PROMPT_SIZE, song->genre);
    *asked = fmax(40, fmin(240, bpm));
    rg_format(tempo, 32, "tempo=%.0f", *asked);
}

static rg_status generate_one(track_evaluation *t, int64_t i, piece *out, rg_error *err)
{
    char folder[RG_EVAL_PATH], prompt[RG_PROMPT_SIZE], tempo[32], note[256];
    const char *settings[] = {tempo};
    rg_generate_result result;
    make_request(t, i, prompt, tempo, &out->tempo);
    RG_TRY(scene_path(t, i, "", folder, err));
    rg_generate_options options = {.bundle_folder = t->bundle_folder,
                                   .out_folder = folder,
                                   .prompt = prompt,
                                   .settings = settings,
                                   .n_settings = 1,
                                   .seconds = t->e->options.sample_seconds,
                                   .has_seed = true,
                                   .seed = t->e->options.seed + (uint64_t)i,
                                   .rate = rg_store_rate(t->e->store)};
    RG_TRY(rg_generate(&options, t->e->ex, t->e->log, &result, err));
    rg_format(out->name, sizeof out->name, "Piece %lld", (long long)i + 1);
    RG_TRY(read_piece(t, folder, out, err));
    rg_player players[RG_TRACK_ROLES];
    int32_t n = 0;
    for (int32_t r = 0; r < t->bundle.config.n_roles; r++)
        if (out->stems[r].frames > 0)
            players[n++] = (rg_player){t->bundle.config.roles[r].name, &out->stems[r]};
    rg_format(note, sizeof note, "asked: %s%s%s; seed %llu; made in %.1f s (%.2f × real time)",
              prompt, prompt[0] ? ", " : "", tempo, (unsigned long long)result.seed,
              result.wall_seconds, result.wall_seconds / result.seconds);
    rg_report_stems(t->e->report, out->name, note, players, n);
    return RG_OK;
}

rg_status rg__pieces_generate(track_evaluation *t, pieces *made, rg_error *err)
{
    char folder[RG_EVAL_PATH];
    int64_t n = t->e->options.samples > MAX_SAMPLES ? MAX_SAMPLES : t->e->options.samples;
    made->all = calloc((size_t)(n > 0 ? n : 1), sizeof *made->all);
    if (!made->all) return rg_fail(err, RG_ERR_NOMEM, "no memory for generated pieces");
    RG_TRY(rg_fs_join(folder, sizeof folder, t->report_folder, "scenes", err));
    if (rg_fs_exists(folder)) RG_TRY(rg_fs_remove_tree(folder, err));
    RG_TRY(rg_fs_make_folders(folder, err));
    rg_report_section(t->e->report, "samples", "Generated");
    if (n > 0)
        rg_report_text(t->e->report,
                       "Made from nothing, all tracks, with the tempo and genre of held-out songs. "
                       "Play starts all stems together; M mutes, S plays one alone.");
    rg_progress progress;
    rg_progress_start(&progress, "generating", n);
    for (int64_t i = 0; i < n; i++) {
        RG_TRY(rg__eval_check_stop(t->e, err));
        made->n = i + 1;
        RG_TRY(generate_one(t, i, &made->all[i], err));
        rg_progress_step(&progress, t->e->log, i + 1, "");
    }
    return RG_OK;
}

/* ---- selective regeneration ---- */

static rg_status hash_of(const track_evaluation *t, const char *scene, int32_t r, char hex[65],
                         rg_error *err)
{
    char path[RG_EVAL_PATH];
    hex[0] = 0;
    RG_TRY(stem_path(t, scene, r, path, err));
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
    rg_status status = read_piece(t, after, &p, err);
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
    RG_TRY(scene_path(t, 0, "", before, err));
    RG_TRY(scene_path(t, 0, "-again", after, err));
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
    return show_after(t, after, remade, err);
}
