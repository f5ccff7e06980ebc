/*
 * What one evaluation holds while it runs, shared by the files of eval/.
 */
#ifndef RG_EVAL_INTERNAL_H
#define RG_EVAL_INTERNAL_H

#include "engine/machine.h"
#include "eval/evaluate.h"
#include "eval/metrics/bands.h"
#include "eval/metrics/codes.h"
#include "eval/metrics/spectrum.h"
#include "eval/report/report.h"
#include "eval/run_files.h"
#include "models/bundle.h"

typedef struct evaluation {
    rg_eval_options options; /* with defaults filled in */
    const rg_log *log;
    rg_run_files run;
    rg_store *store;
    int64_t *songs, n_songs; /* store indices */
    rg_machine machine;
    rg_pool *pool; /* the machine's */
    rg_exec *ex;   /* likewise: where tracks live */
    rg_exec
        *codecs; /* where codecs do: that of a codec run there too, those of tracks on the CPU */
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

/* ---- codecs (codec_*.c) ---- */

/* The codec, and what it is held against on the same samples (codec_rows.c). */
enum codec_row { CODEC_OURS, CODEC_OPUS, CODEC_PCM, CODEC_LOWPASS, CODEC_SILENCE, CODEC_ROWS };
enum codec_metric {
    CODEC_BITRATE,
    CODEC_SI_SDR,
    CODEC_SI_SNR,
    CODEC_SNR,
    CODEC_MEL,
    CODEC_STFT,
    CODEC_LOUDNESS,
    CODEC_LOUDNESS_ERROR,
    CODEC_ONSET_F,
    CODEC_CHROMA,
    CODEC_SHOWN, /* the columns of the headline; the others have tables of their own */
    CODEC_MEL_BY_SIZE = CODEC_SHOWN,
    CODEC_STFT_BY_SIZE = CODEC_MEL_BY_SIZE + RG_RESOLUTIONS,
    CODEC_BAND_SHARE = CODEC_STFT_BY_SIZE + RG_RESOLUTIONS,
    CODEC_BAND_SNR = CODEC_BAND_SHARE + RG_BANDS,
    CODEC_BAND_DISTANCE = CODEC_BAND_SNR + RG_BANDS,
    CODEC_BAND_LEVEL = CODEC_BAND_DISTANCE + RG_BANDS,
    CODEC_METRICS = CODEC_BAND_LEVEL + RG_BANDS
};
enum { CODEC_BOOKS = 32 };

/* What the codes of one codebook hold: of their own counts, and coded by other songs' counts. */
typedef struct codec_book {
    rg_code_usage usage;
    rg_interval held_out, previous; /* bit per code; given nothing; given the frame before */
} codec_book;

typedef struct codec_result {
    char role[32];
    int32_t store_role;           /* or RG_ROLE_MIX */
    rg_codec *codec;              /* borrowed */
    char missing[CODEC_ROWS][80]; /* why there is no such row; "" where there is */
    int64_t n;        /* songs of the evaluation; values are NAN where a song has no such sound */
    double *values;   /* (CODEC_ROWS, CODEC_METRICS, n) */
    int64_t *start;   /* (n) first frame of the excerpt at the store's rate; -1: none */
    double *outside;  /* (n) share of the excerpt's energy above half the codec's rate */
    rg_outside *band; /* (n) shares of the whole song's energy outside the role's band */
    int64_t *frames;  /* (n) code frames of the excerpt; 0: none */
    int32_t **codes;  /* (n) arrays (frames,K), heap */
    int64_t *counts;  /* (K,V) */
    codec_book books[CODEC_BOOKS];
    double nominal_bitrate, entropy_bitrate;        /* bit/s */
    rg_interval held_out_bitrate, previous_bitrate; /* bit/s, over songs */
    double encode_factor, decode_factor;            /* seconds per second */
} codec_result;

/*
 * Measures a codec on the evaluation's songs, on the stems of a role. NULL: of the role that it was
 * made for; where that is "mix", on all stems added up.
 */
rg_status rg__codec_measure(evaluation *e, rg_codec *codec, const char *role, codec_result *out,
                            rg_error *err);
void rg__codec_result_free(codec_result *result);
double *rg__codec_values(const codec_result *result, enum codec_row row, int32_t metric);
/* The excerpt of song i and what each row makes of it (of a stereo codec the first channel), at the
 * codec's rate; empty where a row is missing; freed by the caller, also after an error. */
typedef struct codec_excerpt {
    rg_audio original, rows[CODEC_ROWS];
} codec_excerpt;
/* Whether its channels get those of the stems: both are stereo. */
bool rg__codec_hears_stereo(const evaluation *e, const codec_result *result);
rg_status rg__codec_excerpt(evaluation *e, const codec_result *result, int64_t i,
                            codec_excerpt *out, rg_error *err);
void rg__codec_excerpt_free(codec_excerpt *excerpt);

/* How rows are named and shown, in the order of enum codec_row (codec_rows.c). */
typedef struct codec_row_kind {
    const char *id, *title, *label; /* in per_item.csv; in plots; in tables */
    rg_row_kind kind;
} codec_row_kind;
extern const codec_row_kind rg__codec_rows[CODEC_ROWS];
/* Fills result->missing. */
void rg__codec_find_rows(codec_result *result);
/* x -> y (x->frames) of any row but the codec's own; *bitrate: bit/s, NAN where it has none. */
rg_status rg__codec_reference(const codec_result *result, enum codec_row row, const rg_audio *x,
                              float *y, double *bitrate, rg_error *err);

/* Code frames for a second of sound; those of chunks that overlap are more than the frame rate. */
double rg__codec_rate(const rg_encodec_config *config);
/* Fills books and bitrates from codes and counts (codec_bits.c). */
rg_status rg__codec_bits(codec_result *result, uint64_t seed, rg_error *err);
/* The tables of what a codec costs and how its codebooks are used. */
rg_status rg__codec_bits_tables(evaluation *e, const codec_result *result, rg_error *err);

/* How a metric of the headline is shown (codec_report.c). */
typedef struct codec_shown {
    const char *id, *title, *unit;
    rg_direction direction;
    int32_t decimals;
} codec_shown;
extern const codec_shown rg__codec_shown[CODEC_SHOWN];

/* One row block per role in the table of section `section`; verdicts about the floors. */
void rg__codec_headline(evaluation *e, const codec_result *results, int32_t n);
/* The energy outside each role's band, song by song (codec_bands.c). */
void rg__codec_outside(evaluation *e, const codec_result *results, int32_t n);
/* Distances by FFT size and errors by band of one role. */
void rg__codec_bands(evaluation *e, const codec_result *result);
/* Spectrograms and players: `most` worst songs, as many at random (codec_items.c). */
rg_status rg__codec_items(evaluation *e, const codec_result *result, int32_t most, rg_error *err);
/* Everything of one role. */
rg_status rg__codec_section(evaluation *e, const codec_result *result, int32_t players,
                            rg_error *err);

/* ---- learning (learning.c) ---- */

/* Curves of a run and those it began from, with the verdict on each. */
rg_status rg__learning_section(evaluation *e, rg_error *err);

/* ---- tracks (track_*.c) ---- */

rg_status rg__track_report(evaluation *e, const char *folder, rg_error *err);

#endif
