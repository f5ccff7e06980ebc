/*
 * Listening to a codec run (codec_task.h): numbers on fixed crops of held-out songs, and audio.
 *
 * One idea: the crops never change, so curves compare; before the quantizer has started the same
 * numbers are given under "unquantized/", so that they are never taken for the codec's. Processes
 * measure every so many-th crop each, and add up what they have, which is zero for the others'.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "base/fs.h"
#include "eval/metrics/signal.h"
#include "train/codec_task.h"

enum { MAX_SAMPLES = 4 };

/* Valid crop i (1,T,C) and what the codec makes of it; codes NULL while not quantized. */
typedef struct trial {
    rg_tensor *x, *y, *codes;
} trial;

static trial try_crop(rg_codec_run *run, int64_t i, bool quantized)
{
    const rg_fixed_crops *v = &run->valid;
    int64_t channels = rg_encodec_config_of(run->model)->channels;
    rg_shape shape = RG_SHAPE(1, v->frames, channels);
    trial t = {
        .x = rg_tensor_from_floats(run->context.ex, shape, v->samples + i * v->frames * channels)};
    rg_rvq_out out;
    int32_t books = quantized ? rg_encodec_quantizer(run->model)->n_books : 0;
    t.y = rg_codec_run_reconstruct(run, t.x, books, &out);
    t.codes = out.codes;
    return t;
}

static void count_codes(rg_codec_run *run, const rg_tensor *codes)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    const int32_t *code = rg_tensor_read(run->context.ex, codes);
    int64_t n = rg_shape_count(codes->shape);
    for (int64_t i = 0; code && i < n; i++) {
        if (code[i] >= 0) run->valid_counts[i % c->codebooks * c->entries + code[i]]++;
    }
}

rg_status rg_codec_run_measure(rg_codec_run *run, int64_t i, bool quantized)
{
    rg_exec *ex = run->context.ex;
    rg_mark mark = rg_tape_mark(ex);
    trial t = try_crop(run, i, quantized);
    RG_TRY(rg_exec_status(ex));
    RG_TRY(rg_codec_mel_distance(ex, &run->loss, rg_codec_rows(ex, t.y), rg_codec_rows(ex, t.x),
                                 &run->valid_mel[i]));
    const float *x = rg_tensor_read(ex, t.x), *y = rg_tensor_read(ex, t.y);
    if (!x || !y) return rg_exec_status(ex);
    run->valid_db[i] = rg_si_sdr(x, y, rg_shape_count(t.x->shape));
    if (t.codes) count_codes(run, t.codes);
    rg_tape_rewind(ex, mark);
    return rg_exec_status(ex);
}

/* Mean of the crops' values over all songs, or over one; NAN values are left out. */
static double mean_of(const rg_codec_run *run, const double *values, int64_t song)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < run->valid.n; i++) {
        if ((song >= 0 && run->valid.song[i] != song) || isnan(values[i])) continue;
        sum += values[i];
        n++;
    }
    return n ? sum / (double)n : NAN;
}

/* items[curve][song id] = the song's mean, in the order of the crops. */
static void report_curve(const rg_codec_run *run, const char *prefix, const char *curve,
                         const double *values, rg_metrics *metrics, json_t *items)
{
    char name[RG_METRIC_NAME];
    json_t *songs = json_object();
    for (int64_t i = 0; i < run->valid.n; i++) {
        const char *id = rg_store_song(run->store, run->valid.song[i])->id;
        double mean = mean_of(run, values, run->valid.song[i]);
        if (!isnan(mean)) json_object_set_new(songs, id, json_real(mean));
    }
    snprintf(name, sizeof name, "%s%s", prefix, curve);
    json_object_set_new(items, name, songs);
    rg_metrics_set(metrics, name, mean_of(run, values, -1));
}

static void report_usage(const rg_codec_run *run, rg_metrics *metrics)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    int64_t used[RG_MAX_BOOKS];
    double perplexity[RG_MAX_BOOKS];
    char name[RG_METRIC_NAME];
    rg_codebook_usage(run->valid_counts, c->codebooks, c->entries, used, perplexity);
    for (int32_t k = 0; k < c->codebooks; k++) {
        snprintf(name, sizeof name, "rvq/perplexity_%d", (int)k);
        rg_metrics_set(metrics, name, perplexity[k]);
        snprintf(name, sizeof name, "rvq/used_%d", (int)k);
        rg_metrics_set(metrics, name, (double)used[k]);
    }
}

/* Adds up what the processes have measured; values (n). */
static rg_status add_up(rg_codec_run *run, double *values, int64_t n)
{
    rg_error err = {0};
    rg_status status = rg_comm_allreduce(run->context.comm, RG_COMM_SUM_F64, values, n, &err);
    return status == RG_OK ? RG_OK : rg_exec_fail(run->context.ex, status, "%s", err.text);
}

static rg_status add_up_counts(rg_codec_run *run, int64_t n)
{
    double *counts = calloc((size_t)n, sizeof *counts);
    if (!counts) return rg_exec_fail(run->context.ex, RG_ERR_NOMEM, "no memory for counts");
    for (int64_t i = 0; i < n; i++) counts[i] = (double)run->valid_counts[i];
    rg_status status = add_up(run, counts, n);
    for (int64_t i = 0; i < n; i++) run->valid_counts[i] = (int64_t)counts[i];
    free(counts);
    return status;
}

static rg_status measure_together(rg_codec_run *run, bool quantized)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    const int64_t crops = run->valid.n, codes = (int64_t)c->codebooks * c->entries;
    const int32_t rank = rg_comm_rank(run->context.comm), world = rg_comm_world(run->context.comm);
    memset(run->valid_counts, 0, (size_t)codes * sizeof *run->valid_counts);
    for (int64_t i = 0; i < crops; i++) {
        run->valid_mel[i] = run->valid_db[i] = 0;
        if (i % world == rank) RG_TRY(rg_codec_run_measure(run, i, quantized));
    }
    if (world == 1 || crops == 0) return RG_OK;
    RG_TRY(add_up(run, run->valid_mel, crops));
    RG_TRY(add_up(run, run->valid_db, crops));
    return quantized ? add_up_counts(run, codes) : RG_OK;
}

rg_status rg_codec_run_validate(void *self, int64_t step, rg_metrics *metrics, json_t *items)
{
    rg_codec_run *run = self;
    bool quantized = rg_quantizer_started(rg_encodec_quantizer(run->model));
    const char *prefix = quantized ? "" : "unquantized/";
    (void)step;
    RG_TRY(measure_together(run, quantized));
    report_curve(run, prefix, "mel_distance", run->valid_mel, metrics, items);
    report_curve(run, prefix, "si_sdr", run->valid_db, metrics, items);
    if (quantized) report_usage(run, metrics);
    return RG_OK;
}

/* ---- audio ---- */

static rg_status write_wav(rg_codec_run *run, const char *folder, const char *what, int64_t crop,
                           const rg_tensor *signal, rg_error *err)
{
    char name[64], path[1024];
    int64_t n = rg_shape_count(signal->shape);
    float *samples = rg_arena_alloc(run->context.ex->step, (size_t)n * sizeof *samples);
    if (!samples) return rg_fail(err, RG_ERR_NOMEM, "no memory for a sample");
    rg_tensor_floats(signal, 0, n, samples);
    rg_audio audio = {.samples = samples,
                      .frames = run->valid.frames,
                      .channels = rg_encodec_config_of(run->model)->channels,
                      .rate = rg_encodec_config_of(run->model)->sample_rate};
    snprintf(name, sizeof name, "%s-%lld-%s.wav", run->role_name, (long long)crop, what);
    RG_TRY(rg_fs_join(path, sizeof path, folder, name, err));
    return rg_audio_write_wav(path, &audio, RG_PCM_S16, NULL, err);
}

static rg_status write_crop(rg_codec_run *run, const char *folder, int64_t crop, bool quantized,
                            rg_error *err)
{
    rg_exec *ex = run->context.ex;
    rg_mark mark = rg_tape_mark(ex);
    trial t = try_crop(run, crop, quantized);
    RG_TRY(rg_exec_status(ex));
    RG_TRY(write_wav(run, folder, "original", crop, t.x, err));
    RG_TRY(write_wav(run, folder, "decoded", crop, t.y, err));
    rg_tape_rewind(ex, mark);
    return RG_OK;
}

rg_status rg_codec_run_sample(void *self, int64_t step)
{
    rg_codec_run *run = self;
    rg_error err = {0};
    char name[64], folder[1024];
    bool quantized = rg_quantizer_started(rg_encodec_quantizer(run->model));
    snprintf(name, sizeof name, "samples/step_%07lld", (long long)step);
    rg_status status = rg_fs_join(folder, sizeof folder, run->context.run_folder, name, &err);
    if (status == RG_OK) status = rg_fs_make_folders(folder, &err);
    for (int64_t i = 0; i < run->valid.n && i < MAX_SAMPLES && status == RG_OK; i++) {
        status = write_crop(run, folder, i, quantized, &err);
    }
    if (status != RG_OK && err.code) return rg_exec_fail(run->context.ex, status, "%s", err.text);
    return status;
}
