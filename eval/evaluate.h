/*
 * `resonant eval`: from a run or a bundle to a report.
 *
 * One idea: measuring (metrics/), showing (report/) and finding out what to measure (here) are
 * apart. A codec run gets the report of its role; a track run, and the bundle exported from it, get
 * the report of all roles' codecs, of the language models and of what they generate.
 */
/*
 * metrics.json: tables.<table>.rows.<row>.<column> is {value, low, high, n} or a text. Tables of
 * codecs; a row that cannot be made here says why in its first column:
 *
 *   codecs                "<role>: original | codec, N bit/s | Opus | 8-bit PCM, N bit/s |
 *                         low-pass at the band | silence": bitrate si_sdr si_snr snr mel stft
 *                         loudness loudness_error onset_f chroma
 *   codec-outside         % of energy outside each role's band: means, then song by song
 *   codec-<role>-bits     rate frame_rate codebooks bitrate entropy_bitrate held_out_bitrate
 *                         previous_bitrate outside band_low band_high encode decode
 *   codec-<role>-usage    "codebook K": used dead entropy perplexity nominal held_out previous
 *   codec-<role>-sizes    mel_512 mel_1024 mel_2048 stft_512 stft_1024 stft_2048, by row as above
 *   codec-<role>-bands    "63-125 Hz" and so on: share codec_level, <row>_snr <row>_distance of
 *                         codec, opus, pcm, lowpass
 *
 * Tables of a track report besides those of its codecs:
 *
 *   bits, bits-<role>   true none other late bigram unigram ... bit/token
 *   accuracy            top1 copy ece excess (%), by role
 *   precision           bf16 int8, on a GPU fp16 bf16: tokens chosen as in fp32 (%), by role
 *   regeneration        SHA-256 of every stem before and after
 *   seams               above step cut_above cut_step changed unrelated outside, by role
 *   right-context       with without gain, bit/token of a span's last half second, by role
 *   swap                own other gain found: bass against crossed drums; the beat grid alone
 *   transposition       gain turned: bass against a moved harmony
 *   control-tempo       acc1 acc2 order; control-key: exact mirex; control-heard: seed by seed
 *   coherence-rhythm, coherence-harmony, pairs-real, pairs-generated, levels
 *   distance            kad fad fad_infinity r2 seconds warning
 *   copying             copied copied_first repeats loop silent differs, by role, made and real
 */
#ifndef RG_EVAL_EVALUATE_H
#define RG_EVAL_EVALUATE_H

#include "base/log.h"
#include "datasets/store.h"
#include "kernels/kernels.h"

typedef struct rg_eval_options {
    const char *target;       /* run or bundle folder */
    int64_t step;             /* of a run's checkpoint; < 0: the best, else the newest */
    const char *store;        /* NULL: the one that the run names */
    rg_split split;           /* RG_SPLIT_TEST is the honest one */
    const char *out;          /* NULL: <run>/eval/<split>[-<step>]; of bundles <bundle>.eval */
    int64_t songs;            /* at most so many; 0: all of the split */
    double seconds;           /* of each song and role; 0: 20 */
    int32_t samples;          /* generated pieces; < 0: 3 */
    double sample_seconds;    /* of each; 0: 8 */
    rg_dtype precision;       /* of the tracks' weights (rg_bundle_set_precision); RG_F32 */
    int32_t threads;          /* 0: one per CPU */
    const char *device;       /* of the models, as rg_device_open has it; NULL: the CPU */
    uint64_t seed;            /* of bootstraps and of generation */
    const char *version;      /* of the program, with its git, for the header; may be NULL */
    const volatile int *stop; /* not 0: RG_ERR_CANCELLED; NULL: never */
} rg_eval_options;

/* Test split, everything else by default. */
rg_eval_options rg_eval_defaults(const char *target);

/* Writes the report. `path_out` (1,024 bytes, may be NULL) receives the path of index.html. */
rg_status rg_evaluate(const rg_eval_options *options, const rg_log *log, char *path_out,
                      rg_error *err) RG_MUST_USE;

/*
 * Two reports (folders with metrics.json, or runs that have exactly one) compared number by number:
 * a regression is flagged only where the interval of the paired difference over songs (or, without
 * per-song values, of both intervals) excludes 0. Lines go to the log; with `out` a report is
 * written. *regressions counts the flagged ones.
 */
rg_status rg_eval_compare(const char *a, const char *b, const char *out, const rg_log *log,
                          int64_t *regressions, rg_error *err) RG_MUST_USE;

#endif
