/*
 * What one evaluation holds while it runs, shared by the files of eval/.
 */
#ifndef RG_EVAL_INTERNAL_H
#define RG_EVAL_INTERNAL_H

#include "eval/evaluate.h"
#include "eval/report/report.h"
#include "eval/run_files.h"
#include "models/bundle.h"

typedef struct evaluation {
    rg_eval_options options; /* with defaults filled in */
    const rg_log *log;
    rg_run_files run;
    rg_store *store;
    int64_t *songs, n_songs; /* store indices */
    rg_pool *pool;
    rg_exec *ex;
    rg_report *report;
    double started;
} evaluation;

/* RG_ERR_CANCELLED when the caller asked to stop. */
rg_status rg__eval_check_stop(const evaluation *e, rg_error *err);

/* Calls fn for 0 .. n-1 on all threads; it may write only what belongs to its index, and must not
 * use the exec or the report. The first failure (by index) is returned. */
typedef rg_status rg_each_fn(void *ctx, int64_t i, rg_error *err);
rg_status rg__each(const evaluation *e, int64_t n, rg_each_fn *fn, void *ctx, rg_error *err);

/* ---- one verdict over several roles (judgement.c) ---- */

typedef struct judgement {
    char yes[600], maybe[600], no[600];
    int32_t n_yes, n_maybe, n_no;
} judgement;
/* `gain`: paired difference over songs, above 0 where the role does well; 0 songs: left out. */
void rg__judge(judgement *j, const char *role, rg_interval gain, const char *unit);
/* "WHAT: yes for a (+1.2 dB), b; not surely for c; no for d." Nothing when no role was judged. */
void rg__judge_say(rg_report *report, const judgement *j, const char *what);

/* ---- codecs (codec_measure.c, codec_report.c) ---- */

enum codec_row { CODEC_OURS, CODEC_PCM, CODEC_SILENCE, CODEC_ROWS };
enum codec_metric {
    CODEC_SI_SDR,
    CODEC_SNR,
    CODEC_MEL,
    CODEC_STFT,
    CODEC_LOUDNESS,
    CODEC_ONSET_F,
    CODEC_CHROMA,
    CODEC_METRICS
};
enum { CODEC_BOOKS = 32 };

typedef struct codec_result {
    char role[32];
    int32_t store_role;
    rg_codec *codec; /* borrowed */
    int64_t n;       /* songs of the evaluation; values are NAN where a song has no such sound */
    double *values;  /* (CODEC_ROWS, CODEC_METRICS, n) */
    int64_t *start;  /* (n) first frame of the excerpt at the store's rate; -1: none */
    double *outside; /* (n) share of energy above the codec's band */
    int64_t *counts; /* (K,V) */
    double nominal_bitrate, entropy_bitrate, encode_factor, decode_factor; /* seconds per second */
    double entropy[CODEC_BOOKS], perplexity[CODEC_BOOKS];
    int64_t used[CODEC_BOOKS];
} codec_result;

/* Measures a codec on the evaluation's songs. */
rg_status rg__codec_measure(evaluation *e, rg_codec *codec, codec_result *out, rg_error *err);
void rg__codec_result_free(codec_result *result);
double *rg__codec_values(const codec_result *result, enum codec_row row, enum codec_metric metric);
/* The excerpt of song i: original, codec and PCM row at the codec's rate; freed by the caller. */
rg_status rg__codec_excerpt(evaluation *e, const codec_result *result, int64_t i,
                            rg_audio out[CODEC_ROWS], rg_error *err);

/* One row block per role in the table of section `section`; verdicts about the floors. */
void rg__codec_headline(evaluation *e, const codec_result *results, int32_t n);
/* Table, usage, spectrograms, worst and random items with players of one role. */
rg_status rg__codec_section(evaluation *e, const codec_result *result, int32_t players,
                            rg_error *err);

/* ---- learning (learning.c) ---- */

/* Curves of a run and those it began from, with the verdict on each. */
rg_status rg__learning_section(evaluation *e, rg_error *err);

/* ---- tracks (track_*.c) ---- */

rg_status rg__track_report(evaluation *e, const char *folder, rg_error *err);

#endif
