/*
 * What the bundle makes: pieces generated as a user would generate them.
 *
 * One idea: generation runs through the same call as `resonant generate`, into scene folders below
 * the report, so every sound of the report can be gone on from.
 */
#include <math.h>
#include <stdlib.h>

#include "base/fs.h"
#include "eval/track_internal.h"
#include "generate/session.h"

enum { MAX_SAMPLES = 64 };

rg_status rg__scene_path(const track_evaluation *t, int64_t i, const char *suffix,
                         char out[RG_EVAL_PATH], rg_error *err)
{
    char name[64];
    rg_format(name, sizeof name, "scenes/piece-%lld%s", (long long)i + 1, suffix);
    return rg_fs_join(out, RG_EVAL_PATH, t->report_folder, name, err);
}

rg_status rg__stem_path(const track_evaluation *t, const char *scene, int32_t r,
                        char out[RG_EVAL_PATH], rg_error *err)
{
    char name[64];
    rg_format(name, sizeof name, "%s.wav", t->bundle.config.roles[r].name);
    return rg_fs_join(out, RG_EVAL_PATH, scene, name, err);
}

rg_status rg__scene_piece(const track_evaluation *t, const char *scene, piece *out, rg_error *err)
{
    char path[RG_EVAL_PATH];
    for (int32_t r = 0; r < t->bundle.config.n_roles; r++) {
        RG_TRY(rg__stem_path(t, scene, r, path, err));
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
    RG_TRY(rg__scene_path(t, i, "", folder, err));
    rg_generate_options options = {.bundle_folder = t->bundle_folder,
                                   .precision = rg_precision_text(t->e->options.precision),
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
    RG_TRY(rg__scene_piece(t, folder, out, err));
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
