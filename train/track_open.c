/*
 * Opening a track run from its configuration, and closing it (track_task.h).
 *
 * One idea: the run keeps its own copies of the frozen codecs (checkpoints/codecs), so that it can
 * be evaluated and exported when the codec runs are gone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "music/prompt/prompt.h"
#include "train/run_dir.h"
#include "train/track_task.h"

/* A run folder stands for its best checkpoint, or the newest; a file for itself. */
static rg_status find_checkpoint(const char *path, const char *place, char out[RG_TRACK_PATH],
                                 rg_error *err)
{
    int64_t step;
    if (!rg_fs_exists(path))
        return rg_fail(err, RG_ERR_CONFIG, "%s: %s: no such run or checkpoint", place, path);
    if (!rg_fs_is_folder(path)) {
        rg_copy_text(out, RG_TRACK_PATH, path);
        return RG_OK;
    }
    RG_TRY(rg_fs_join(out, RG_TRACK_PATH, path, "best", err));
    if (rg_fs_exists(out)) return RG_OK;
    RG_TRY(rg_run_checkpoint(path, -1, out, &step, err));
    if (out[0]) return RG_OK;
    return rg_fail(err, RG_ERR_CONFIG, "%s: %s: the run has no checkpoint yet", place, path);
}

/* ---- codecs and tokens ----------------------------------------------------------------------- */

static rg_status load_codecs(const rg_config *config, rg_exec *ex, rg_codec *codecs, int32_t *n,
                             rg_error *err)
{
    size_t roles = rg_config_group_count(config, "roles");
    if (roles < 1 || roles > RG_TRACK_ROLES)
        return rg_fail(err, RG_ERR_CONFIG,
                       "%s: roles: %zu are given; it must be 1 .. %d, as `roles: {bass: {codec: "
                       "RUN}}`",
                       rg_config_place(config, "store"), roles, RG_TRACK_ROLES);
    for (size_t r = 0; r < roles; r++) {
        const char *role = rg_config_group(config, "roles", r);
        char key[96], path[RG_TRACK_PATH];
        snprintf(key, sizeof key, "roles.%s.codec", role);
        const char *place = rg_config_place(config, key);
        RG_TRY(find_checkpoint(rg_config_text(config, key), place, path, err));
        RG_TRY(rg_codec_load(path, ex, &codecs[r], err));
        *n = (int32_t)r + 1;
        RG_TRY(rg_codec_check_plain(&codecs[r], path, err));
        if (strcmp(codecs[r].role, role) != 0)
            return rg_fail(err, RG_ERR_CONFIG, "%s: %s is the codec of role '%s', not '%s'", place,
                           path, codecs[r].role, role);
    }
    return RG_OK;
}

static rg_status tokens_path(const rg_config *config, const rg_store *store, const rg_codec *codecs,
                             int32_t n, char out[RG_TRACK_PATH], rg_error *err)
{
    const char *given = rg_config_text(config, "tokens");
    if (!given[0]) return rg_tokens_path(store, codecs, n, out, RG_TRACK_PATH, err);
    if (rg_copy_text(out, RG_TRACK_PATH, given)) return RG_OK;
    return rg_fail(err, RG_ERR_CONFIG, "%s: tokens: path is too long",
                   rg_config_place(config, "tokens"));
}

rg_status rg_track_build_tokens(const rg_config *config, rg_exec *ex, const volatile int *stop,
                                const rg_log *log, char *path, rg_error *err)
{
    rg_codec codecs[RG_TRACK_ROLES];
    int32_t n = 0;
    rg_store *store = rg_store_open(rg_config_text(config, "store"), err);
    if (!store) return err->code;
    rg_status status = load_codecs(config, ex, codecs, &n, err);
    if (status == RG_OK) status = tokens_path(config, store, codecs, n, path, err);
    if (status == RG_OK) status = rg_tokens_build(store, codecs, n, path, ex, stop, log, err);
    for (int32_t i = 0; i < n; i++) rg_codec_free(&codecs[i]);
    rg_store_close(store);
    return status;
}

/* Tokens that are missing are built first, by one process: a run needs only its configuration. */
static rg_status build_missing(rg_track_run *run, const char *path, rg_error *err)
{
    rg_comm *comm = run->context.comm;
    if (rg_comm_rank(comm) == 0 && !rg_fs_exists(path))
        RG_TRY(rg_tokens_build(run->store, run->codecs, run->n_codecs, path, run->context.ex->host,
                               NULL, run->context.log, err));
    return rg_comm_barrier(comm, err);
}

static rg_status open_data(rg_track_run *run, rg_error *err)
{
    const rg_config *c = run->context.config;
    char path[RG_TRACK_PATH];
    run->store = rg_store_open(rg_config_text(c, "store"), err);
    if (!run->store) return err->code;
    RG_TRY(load_codecs(c, run->context.ex->host, run->codecs, &run->n_codecs, err));
    RG_TRY(tokens_path(c, run->store, run->codecs, run->n_codecs, path, err));
    RG_TRY(build_missing(run, path, err));
    run->tokens = rg_tokens_open(path, run->store, run->codecs, run->n_codecs, err);
    if (!run->tokens) return err->code;
    run->data = rg_track_data_create(run->store, run->tokens, run->codecs, err);
    if (!run->data) return err->code;
    run->baseline = rg_token_baseline_fit(run->tokens, run->store, RG_SPLIT_TRAIN, err);
    return run->baseline ? RG_OK : err->code;
}

/* Copies of the codecs into the run. */
static rg_status keep_codecs(rg_track_run *run, rg_error *err)
{
    char folder[RG_TRACK_PATH], path[RG_TRACK_PATH + 64], from[RG_TRACK_PATH], key[96];
    RG_TRY(rg_fs_join(folder, sizeof folder, run->context.run_folder, "checkpoints/codecs", err));
    RG_TRY(rg_fs_make_folders(folder, err));
    for (int32_t r = 0; r < run->n_codecs; r++) {
        snprintf(path, sizeof path, "%s/%s.safetensors", folder, run->codecs[r].role);
        if (rg_fs_exists(path)) continue;
        snprintf(key, sizeof key, "roles.%s.codec", run->codecs[r].role);
        RG_TRY(find_checkpoint(rg_config_text(run->context.config, key),
                               rg_config_place(run->context.config, key), from, err));
        RG_TRY(rg_codec_export(from, path, run->context.ex->host, err));
    }
    return RG_OK;
}

/* ---- the model ------------------------------------------------------------------------------- */

static void read_sizes(const rg_config *c, rg_track_config *out)
{
    out->width = (int32_t)rg_config_int(c, "model.width");
    out->heads = (int32_t)rg_config_int(c, "model.heads");
    out->encoder_layers = (int32_t)rg_config_int(c, "model.encoder_layers");
    out->decoder_layers = (int32_t)rg_config_int(c, "model.decoder_layers");
    out->frames = (int32_t)rg_config_int(c, "model.frames");
    out->patch = (int32_t)rg_config_int(c, "model.patch");
    out->same_reach = (int32_t)rg_config_int(c, "model.same_reach");
    out->same_width = (int32_t)rg_config_int(c, "model.same_width");
    out->near_reach = (int32_t)rg_config_int(c, "model.near_reach");
    out->dropout = rg_config_real(c, "model.dropout");
}

/* The model configuration of a checkpoint of a track run. */
static rg_status read_config_of(const char *path, rg_track_config *out, rg_error *err)
{
    rg_st_reader *reader = rg_st_open(path, err);
    if (!reader) return err->code;
    const char *extra = rg_st_metadata(reader, "extra");
    json_t *state = extra ? rg_json_parse(extra, strlen(extra), path, err) : NULL;
    const json_t *tracks = json_object_get(json_object_get(state, "task"), "tracks");
    char *text = tracks ? json_dumps(tracks, JSON_COMPACT) : NULL;
    rg_status status =
        text ? rg_track_config_from_json(text, out, err)
             : rg_fail(err, RG_ERR_CONFIG, "%s: is no checkpoint of a track run", path);
    free(text);
    json_decref(state);
    rg_st_close(reader);
    return status;
}

/* A run that begins from another one takes over its words; its sizes must be the same. */
static rg_status take_over(rg_track_run *run, rg_error *err)
{
    rg_track_config *before = calloc(1, sizeof *before);
    if (!before) return rg_fail(err, RG_ERR_NOMEM, "no memory for a configuration");
    rg_status status = read_config_of(run->init, before, err);
    if (status == RG_OK &&
        (before->width != run->config->width || before->heads != run->config->heads ||
         before->encoder_layers != run->config->encoder_layers ||
         before->decoder_layers != run->config->decoder_layers))
        status = rg_fail(err, RG_ERR_MISMATCH,
                         "%s: init: %s is a model of width %d, %d heads, %d + %d layers; this "
                         "configuration says %d, %d, %d + %d",
                         rg_config_place(run->context.config, "init"), run->init, before->width,
                         before->heads, before->encoder_layers, before->decoder_layers,
                         run->config->width, run->config->heads, run->config->encoder_layers,
                         run->config->decoder_layers);
    if (status == RG_OK) {
        run->config->n_fields = before->n_fields;
        memcpy(run->config->fields, before->fields, sizeof before->fields);
    }
    free(before);
    return status;
}

/* Whitening and token tables from the codecs; only when there is no run to begin from. */
static rg_status start_roles(rg_track_run *run, rg_error *err)
{
    for (int32_t r = 0; r < run->n_codecs; r++) {
        size_t dim = (size_t)run->config->roles[r].dim;
        float *mean = malloc(2 * dim * sizeof *mean);
        if (!mean) return rg_fail(err, RG_ERR_NOMEM, "no memory for statistics");
        rg_status status = rg_track_data_latent_scale(run->data, r, mean, mean + dim, err);
        if (status == RG_OK)
            rg_tracks_start_role(run->tracks, run->params, r, mean, mean + dim,
                                 rg_encodec_quantizer(run->codecs[r].model)->books->host);
        free(mean);
        RG_TRY(status);
    }
    return rg_params_refresh(run->params, run->context.ex);
}

static rg_status open_model(rg_track_run *run, rg_error *err)
{
    const rg_config *c = run->context.config;
    run->config = malloc(sizeof *run->config);
    if (!run->config) return rg_fail(err, RG_ERR_NOMEM, "no memory for a configuration");
    rg_track_config_init(run->config);
    rg_track_data_describe(run->data, run->config);
    read_sizes(c, run->config);
    if (rg_config_text(c, "init")[0]) {
        RG_TRY(
            find_checkpoint(rg_config_text(c, "init"), rg_config_place(c, "init"), run->init, err));
        RG_TRY(take_over(run, err));
    }
    RG_TRY(rg_track_data_bind(run->data, run->config, err));
    run->params = rg_params_create(err);
    if (!run->params) return err->code;
    run->tracks = rg_tracks_create(run->params, run->config, err);
    if (!run->tracks) return err->code;
    RG_TRY(rg_params_finish(run->params, run->context.ex, run->context.seed, true, err));
    if (!run->init[0]) return start_roles(run, err);
    return rg_weights_load(run->init, "", run->params, run->context.ex, err);
}

static rg_status make_buffers(rg_track_run *run, rg_error *err)
{
    run->batch = rg_track_batch_create(run->config, run->items, run->config->frames, err);
    run->valid = rg_track_batch_create(run->config, run->windows, run->config->frames, err);
    run->bars = malloc(RG_TRACK_BARS * sizeof *run->bars);
    if (!run->batch || !run->valid || !run->bars)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for batches");
    rg_exec *ex = run->context.ex;
    if (ex->gpu) run->losses = rg_tensor_state(ex, RG_F32, RG_SHAPE(run->config->n_roles));
    return ex->error.code ? rg_fail(err, ex->error.code, "%s", ex->error.text) : RG_OK;
}

static void read_training(rg_track_run *run)
{
    const rg_config *c = run->context.config;
    run->phase = (int32_t)rg_config_int(c, "phase");
    run->items = (int32_t)rg_config_int(c, "batch");
    run->micros = (int32_t)rg_config_int(c, "accumulate");
    run->windows = (int32_t)rg_config_int(c, "validation.windows");
    run->active = rg_config_real(c, "data.active");
    run->mix = rg_mask_mix_of_phase(run->phase);
    run->forgetting = (rg_forgetting){.condition = rg_config_real(c, "forget.condition"),
                                      .conditions = rg_config_real(c, "forget.conditions"),
                                      .context = rg_config_real(c, "forget.context"),
                                      .both = rg_config_real(c, "forget.both"),
                                      .activity = rg_config_real(c, "forget.activity")};
}

static rg_status say_what_was_found(const rg_track_run *run, rg_error *err)
{
    const rg_track_config *c = run->config;
    char fields[512] = "";
    for (int32_t f = 0; f < c->n_fields; f++) {
        size_t used = strlen(fields);
        snprintf(fields + used, sizeof fields - used, "%s%s (%d)", f ? ", " : "", c->fields[f].name,
                 c->fields[f].n_words);
    }
    int64_t train = rg_track_data_songs(run->data, RG_SPLIT_TRAIN);
    int64_t valid = rg_track_data_songs(run->data, RG_SPLIT_VALID);
    rg_log_line(run->context.log, RG_LOG_INFO,
                "tracks: phase %d, %lld training and %lld validation songs; conditions: %s",
                run->phase, (long long)train, (long long)valid, fields[0] ? fields : "none");
    rg_log_line(run->context.log, RG_LOG_INFO,
                "model: %d roles, width %d, %d + %d layers, windows of %d frames; begins from %s",
                c->n_roles, c->width, c->encoder_layers, c->decoder_layers, c->frames,
                run->init[0] ? run->init : "random numbers and the codecs' codewords");
    if (train && valid) return RG_OK;
    return rg_fail(err, RG_ERR_CONFIG, "%s: store %s has %lld training and %lld validation songs",
                   rg_config_place(run->context.config, "store"), rg_store_folder(run->store),
                   (long long)train, (long long)valid);
}

rg_status rg_track_run_open(const rg_task_context *context, void **self, rg_error *err)
{
    rg_track_run *run = calloc(1, sizeof *run);
    if (!run) return rg_fail(err, RG_ERR_NOMEM, "no memory for a track run");
    run->context = *context;
    read_training(run);
    rg_status status = open_data(run, err);
    if (status == RG_OK) status = open_model(run, err);
    if (status == RG_OK) status = say_what_was_found(run, err);
    if (status != RG_OK) {
        rg_track_run_close(run);
        return status;
    }
    *self = run;
    return RG_OK;
}

int64_t rg_track_run_bytes(void *self)
{
    const rg_track_run *run = self;
    return rg_track_batch_bytes(run->config, run->items, run->config->frames) +
           rg_track_batch_bytes(run->config, run->windows, run->config->frames);
}

/* The words as they are now: a bundle of this run carries them. */
static rg_status keep_vocabulary(const rg_track_run *run, rg_error *err)
{
    char path[1200];
    rg_vocabulary vocabulary;
    RG_TRY(rg_fs_join(path, sizeof path, run->context.run_folder, "vocabulary.json", err));
    if (rg_fs_exists(path)) return RG_OK;
    rg_status status = rg_vocabulary_make(&vocabulary)
                           ? rg_vocabulary_write(&vocabulary, path, err)
                           : rg_fail(err, RG_ERR_NOMEM, "no memory for words");
    rg_vocabulary_free(&vocabulary);
    return status;
}

rg_status rg_track_run_start(void *self, const char *run_folder, rg_error *err)
{
    rg_track_run *run = self;
    run->context.run_folder = run_folder;
    RG_TRY(make_buffers(run, err));
    if (!run_folder) return RG_OK;
    RG_TRY(keep_vocabulary(run, err));
    return keep_codecs(run, err);
}

void rg_track_run_close(void *self)
{
    rg_track_run *run = self;
    if (!run) return;
    rg_track_batch_free(run->batch);
    rg_track_batch_free(run->valid);
    rg_tracks_destroy(run->tracks);
    rg_params_destroy(run->params);
    rg_token_baseline_free(run->baseline);
    rg_track_data_free(run->data);
    rg_tokens_close(run->tokens);
    for (int32_t r = 0; r < run->n_codecs; r++) rg_codec_free(&run->codecs[r]);
    rg_store_close(run->store);
    free(run->config);
    free(run->bars);
    free(run);
}
