/*
 * The report of a track run or a bundle: codecs, language models, samples, coherence, learning.
 *
 * One idea: a track run is exported first and evaluated as the bundle that its users would get.
 */
#include <stdlib.h>

#include "base/fs.h"
#include "eval/track_internal.h"

enum { ROLE_PLAYERS = 2 };

static rg_status open_bundle(track_evaluation *t, const char *report_folder, rg_error *err)
{
    rg_copy_text(t->report_folder, sizeof t->report_folder, report_folder);
    if (t->e->run.kind == RG_RUN_BUNDLE) {
        rg_copy_text(t->bundle_folder, sizeof t->bundle_folder, t->e->run.folder);
    } else {
        if (rg_format(t->bundle_folder, sizeof t->bundle_folder, "%s.bundle.tmp", report_folder) >=
            RG_EVAL_PATH)
            return rg_fail(err, RG_ERR_USAGE, "the path of the report is too long");
        if (rg_fs_exists(t->bundle_folder)) /* of an evaluation that was killed */
            RG_TRY(rg_fs_remove_tree(t->bundle_folder, err));
        t->bundle_is_ours = true;
        RG_TRY(rg_bundle_export(t->e->run.folder, t->bundle_folder, t->e->codecs, t->e->log, err));
    }
    RG_TRY(rg_bundle_open(&t->bundle, t->bundle_folder, t->e->ex, err));
    return rg_bundle_set_precision(&t->bundle, t->e->options.precision, t->e->ex, err);
}

static rg_status open_tokens(track_evaluation *t, rg_error *err)
{
    char path[RG_EVAL_PATH];
    int32_t n = t->bundle.config.n_roles;
    RG_TRY(rg_tokens_path(t->e->store, t->bundle.codecs, n, path, sizeof path, err));
    RG_TRY(rg_tokens_build(t->e->store, t->bundle.codecs, n, path, t->e->codecs, t->e->options.stop,
                           t->e->log, err));
    t->tokens = rg_tokens_open(path, t->e->store, t->bundle.codecs, n, err);
    if (!t->tokens) return err->code;
    t->data = rg_track_data_create(t->e->store, t->tokens, t->bundle.codecs, err);
    if (!t->data) return err->code;
    return rg_track_data_bind(t->data, &t->bundle.config, err);
}

static void close_tracks(track_evaluation *t)
{
    rg_error ignored = {0};
    rg_track_data_free(t->data);
    rg_tokens_close(t->tokens);
    rg_bundle_close(&t->bundle);
    if (t->bundle_is_ours && rg_fs_exists(t->bundle_folder) &&
        rg_fs_remove_tree(t->bundle_folder, &ignored) != RG_OK)
        rg_log_line(t->e->log, RG_LOG_WARNING, "%s", ignored.text);
}

static void name_models(track_evaluation *t)
{
    const rg_track_config *c = &t->bundle.config;
    rg_report_fact(t->e->report, "bundle", "model %.16s", t->bundle.hash);
    rg_report_fact(t->e->report, "precision", "weights in %s",
                   rg_precision_text(t->e->options.precision));
    rg_report_fact(t->e->report, "models", "%d tracks, width %d, %d + %d layers, %lld parameters",
                   c->n_roles, c->width, c->encoder_layers, c->decoder_layers,
                   (long long)rg_bundle_elements(&t->bundle));
}

static rg_status codec_parts(track_evaluation *t, codec_result *results, rg_error *err)
{
    int32_t n = t->bundle.config.n_roles;
    for (int32_t r = 0; r < n; r++)
        RG_TRY(rg__codec_measure(t->e, &t->bundle.codecs[r], NULL, &results[r], err));
    rg_report_section(t->e->report, "headline", "In short");
    rg__codec_headline(t->e, results, n);
    rg_report_section(t->e->report, "codec", "Codecs");
    rg__codec_outside(t->e, results, n);
    for (int32_t r = 0; r < n; r++) RG_TRY(rg__codec_section(t->e, &results[r], ROLE_PLAYERS, err));
    return RG_OK;
}

static rg_status codecs(track_evaluation *t, rg_error *err)
{
    codec_result *results = calloc(RG_TRACK_ROLES, sizeof *results);
    if (!results) return rg_fail(err, RG_ERR_NOMEM, "no memory to measure codecs");
    rg_status status = codec_parts(t, results, err);
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) rg__codec_result_free(&results[r]);
    free(results);
    return status;
}

/* The asked takes count as made pieces too: more of them make narrower intervals. */
static rg_status gather(const pieces *generated, const control_takes *takes, pieces *out,
                        rg_error *err)
{
    int64_t n = generated->n + takes->pieces.n;
    RG_TRY(rg__pieces_make(out, n, err));
    for (int64_t i = 0; i < n; i++)
        out->all[i] = i < generated->n ? generated->all[i] : takes->pieces.all[i - generated->n];
    return RG_OK;
}

static rg_status judge_music(track_evaluation *t, const pieces *generated,
                             const control_takes *takes, rg_error *err)
{
    pieces real = {0}, coded = {0}, made = {0};
    rg_status status = gather(generated, takes, &made, err);
    if (status == RG_OK) status = rg__pieces_real(t, &real, &coded, err);
    if (status == RG_OK) status = rg__control_section(t, &real, takes, err);
    if (status == RG_OK) status = rg__music_section(t, &real, &coded, &made, err);
    if (status == RG_OK) status = rg__copying_section(t, takes, err);
    free(made.all); /* its sounds belong to the others */
    rg__pieces_free(&real);
    rg__pieces_free(&coded);
    return status;
}

static rg_status music(track_evaluation *t, rg_error *err)
{
    pieces generated = {0};
    control_takes takes = {0};
    rg_status status = rg__pieces_generate(t, &generated, err);
    if (status == RG_OK) status = rg__regeneration_section(t, err);
    if (status == RG_OK) status = rg__span_bits(t, err);
    if (status == RG_OK) status = rg__swap_test(t, err);
    if (status == RG_OK) status = rg__transposition_test(t, err);
    if (status == RG_OK) status = rg__control_make(t, &takes, err);
    if (status == RG_OK) status = judge_music(t, &generated, &takes, err);
    rg__pieces_free(&generated);
    rg__control_free(&takes);
    return status;
}

static rg_status all_parts(track_evaluation *t, rg_error *err)
{
    name_models(t);
    if (t->e->run.kind == RG_RUN_TRACKS) RG_TRY(rg__learning_section(t->e, err));
    RG_TRY(open_tokens(t, err));
    RG_TRY(rg__track_bits(t, err));
    RG_TRY(rg__precision_section(t, err));
    RG_TRY(music(t, err));
    return codecs(t, err);
}

rg_status rg__track_report(evaluation *e, const char *folder, rg_error *err)
{
    track_evaluation *t = calloc(1, sizeof *t);
    if (!t) return rg_fail(err, RG_ERR_NOMEM, "no memory to evaluate tracks");
    t->e = e;
    rg_status status = open_bundle(t, folder, err);
    if (status == RG_OK) status = all_parts(t, err);
    close_tracks(t);
    free(t);
    return status;
}
