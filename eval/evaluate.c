/*
 * From a run or a bundle to a report (evaluate.h): opens what is needed, fills the header, calls
 * the parts in order.
 */
#include "eval/evaluate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/fs.h"
#include "eval/internal.h"

enum { RUN_PLAYERS = 10, ROLE_PLAYERS = 2 };

rg_eval_options rg_eval_defaults(const char *target)
{
    return (rg_eval_options){
        .target = target, .step = -1, .split = RG_SPLIT_TEST, .samples = -1, .seed = 1};
}

rg_status rg__eval_check_stop(const evaluation *e, rg_error *err)
{
    if (e->options.stop && *e->options.stop)
        return rg_fail(err, RG_ERR_CANCELLED, "stopped; no report was written");
    return RG_OK;
}

/* ---- opening ---- */

static void fill_defaults(rg_eval_options *o)
{
    if (!(o->seconds > 0)) o->seconds = 20;
    if (o->samples < 0) o->samples = 3;
    if (!(o->sample_seconds > 0)) o->sample_seconds = 8;
}

static rg_status open_store(evaluation *e, rg_error *err)
{
    const char *folder = e->options.store ? e->options.store : rg_run_files_store(&e->run);
    if (!folder)
        return rg_fail(err, RG_ERR_USAGE, "%s: names no store; give one with --data STORE",
                       e->run.folder);
    e->store = rg_store_open(folder, err);
    if (!e->store && !e->options.store) rg_error_prefix(err, "the store of the run");
    return e->store ? RG_OK : err->code;
}

static rg_status open_machine(evaluation *e, rg_error *err)
{
    const rg_machine_options on = {.device = e->options.device,
                                   .threads = e->options.threads,
                                   .unpinned = true,
                                   .seed = e->options.seed};
    RG_TRY(rg_machine_open(&e->machine, &on, e->log, err));
    e->pool = e->machine.pool;
    e->ex = e->machine.ex;
    e->codecs = e->run.kind == RG_RUN_CODEC ? e->ex : e->ex->host;
    return RG_OK;
}

static rg_status report_folder(const evaluation *e, char out[RG_EVAL_PATH], rg_error *err)
{
    const char *split = rg_split_name(e->options.split);
    char step[24] = "";
    if (e->options.step >= 0) snprintf(step, sizeof step, "-%lld", (long long)e->options.step);
    int n = e->options.out ? rg_format(out, RG_EVAL_PATH, "%s", e->options.out)
            : e->run.kind == RG_RUN_BUNDLE
                ? rg_format(out, RG_EVAL_PATH, "%s.eval/%s", e->run.folder, split)
                : rg_format(out, RG_EVAL_PATH, "%s/eval/%s%s", e->run.folder, split, step);
    if (n < RG_EVAL_PATH) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "the path of the report is too long");
}

static rg_status open_all(evaluation *e, rg_error *err)
{
    RG_TRY(rg_run_files_open(&e->run, e->options.target, e->options.step, err));
    RG_TRY(open_store(e, err));
    RG_TRY(rg_eval_songs(&e->run, e->store, e->options.split, e->options.songs, &e->songs,
                         &e->n_songs, err));
    return open_machine(e, err);
}

static void close_all(evaluation *e)
{
    rg_report_abandon(e->report);
    rg_machine_close(&e->machine);
    rg_store_close(e->store);
    free(e->songs);
    rg_run_files_close(&e->run);
}

/* ---- header ---- */

static void name_machine(const evaluation *e)
{
    struct utsname host;
    char utc[32];
    bool known = uname(&host) == 0;
    rg_report_fact(e->report, "machine", "%s %s, %d threads, kernels %s%s",
                   known ? host.sysname : "?", known ? host.machine : "?", rg_pool_threads(e->pool),
                   e->ex->kernels->name, e->ex->gpu ? " (unproven on hardware)" : "");
    rg_report_fact(e->report, "made", "%s, by ResonantGen %s", rg_clock_utc(utc),
                   e->options.version ? e->options.version : "(version not given)");
}

static void name_training(const evaluation *e)
{
    const char *version = json_string_value(json_object_get(e->run.env, "version"));
    if (version) rg_report_fact(e->report, "trained by", "%s", version);
    json_t *seed = json_object_get(e->run.env, "seed");
    if (seed)
        rg_report_fact(e->report, "seed of training", "%lld", (long long)json_integer_value(seed));
}

static void fill_header(evaluation *e)
{
    char hash[65], model[65] = "";
    rg_error ignored = {0};
    rg_report_fact(e->report, "run", "%s", e->run.name);
    if (e->run.checkpoint[0] && rg_weights_hash(e->run.checkpoint, model, &ignored) == RG_OK)
        rg_report_fact(e->report, "checkpoint", "step %lld, model %.16s", (long long)e->run.step,
                       model);
    else
        rg_report_fact(e->report, "checkpoint", "step %lld", (long long)e->run.step);
    rg_eval_songs_hash(e->store, e->songs, e->n_songs, hash);
    rg_report_fact(e->report, "data", "%s, split %s, %lld songs; store %.16s, songs %.16s",
                   rg_fs_base_name(rg_store_folder(e->store)), rg_split_name(e->options.split),
                   (long long)e->n_songs, rg_store_hash(e->store), hash);
    rg_report_fact(e->report, "trained on", "%zu songs", json_object_size(e->run.train_ids));
    rg_report_fact(e->report, "seed of evaluation", "%llu", (unsigned long long)e->options.seed);
    name_training(e);
    name_machine(e);
    if (e->run.config) rg_report_details(e->report, "Configuration", e->run.config);
}

static rg_status begin_report(evaluation *e, const char *folder, rg_error *err)
{
    char title[400];
    static const char *const kinds[] = {
        [RG_RUN_CODEC] = "Codec", [RG_RUN_TRACKS] = "Tracks", [RG_RUN_BUNDLE] = "Bundle"};
    rg_format(title, sizeof title, "%s%s: %s",
              e->options.split == RG_SPLIT_TRAIN ? "ON TRAINING SONGS, not held out: " : "",
              kinds[e->run.kind], e->run.name);
    e->report = rg_report_create(folder, title, err);
    if (!e->report) return err->code;
    fill_header(e);
    rg_report_section(e->report, "headline", "In short");
    if (e->options.split == RG_SPLIT_TRAIN)
        rg_report_verdict(e->report, RG_BAD,
                          "These songs were trained on. The numbers say how well they are "
                          "remembered, not how good the model is.");
    if (e->n_songs < 8)
        rg_report_verdict(e->report, RG_NOTE,
                          "Only %lld held-out song(s): intervals over so few say little.",
                          (long long)e->n_songs);
    return RG_OK;
}

/* ---- a codec run ---- */

/* One result; with `any` one of each role of the store. */
static rg_status codec_parts(evaluation *e, rg_codec *codec, bool any, codec_result *results,
                             rg_error *err)
{
    int32_t n = any ? rg_store_roles(e->store) : 1;
    for (int32_t i = 0; i < n; i++)
        RG_TRY(
            rg__codec_measure(e, codec, any ? rg_store_role(e->store, i) : NULL, &results[i], err));
    RG_TRY(rg__learning_section(e, err));
    rg_report_section(e->report, "headline", "In short");
    rg__codec_headline(e, results, n);
    rg_report_section(e->report, "codec", "Codec");
    rg__codec_outside(e, results, n);
    for (int32_t i = 0; i < n; i++)
        RG_TRY(rg__codec_section(e, &results[i], n > 1 ? ROLE_PLAYERS : RUN_PLAYERS, err));
    return RG_OK;
}

/* A codec of "any" role is measured on each role of the store. */
static rg_status codec_report(evaluation *e, rg_error *err)
{
    rg_codec codec = {0};
    codec_result *results = calloc(RG_MAX_ROLES, sizeof *results);
    if (!results) return rg_fail(err, RG_ERR_NOMEM, "no memory to measure codecs");
    rg_status status = rg_codec_load(e->run.checkpoint, e->codecs, &codec, err);
    bool any = strcmp(codec.role, "any") == 0 && rg_store_find_role(e->store, "any") < 0;
    if (status == RG_OK) status = codec_parts(e, &codec, any, results, err);
    for (int32_t i = 0; i < RG_MAX_ROLES; i++) rg__codec_result_free(&results[i]);
    free(results);
    rg_codec_free(&codec);
    return status;
}

static rg_status write_report(evaluation *e, char *path_out, rg_error *err)
{
    char folder[RG_EVAL_PATH];
    RG_TRY(report_folder(e, folder, err));
    RG_TRY(begin_report(e, folder, err));
    RG_TRY(e->run.kind == RG_RUN_CODEC ? codec_report(e, err) : rg__track_report(e, folder, err));
    rg_report_fact(e->report, "wall time", "%.0f s", rg_clock_seconds() - e->started);
    rg_report *report = e->report;
    e->report = NULL;
    RG_TRY(rg_report_finish(report, err));
    if (path_out) return rg_fs_join(path_out, RG_EVAL_PATH, folder, "index.html", err);
    return RG_OK;
}

rg_status rg_evaluate(const rg_eval_options *options, const rg_log *log, char *path_out,
                      rg_error *err)
{
    evaluation e = {.options = *options, .log = log, .started = rg_clock_seconds()};
    fill_defaults(&e.options);
    rg_status status = open_all(&e, err);
    if (status == RG_OK) status = write_report(&e, path_out, err);
    close_all(&e);
    return status;
}
