/*
 * Whether this machine computes what it should: operators and small models on a device of the
 * user's, with a log to show to others.
 *
 * One idea: the same checks that this program's tests run on the machines it is made on, run where
 * it is used: every case of every operator against the double reference, then tracks that learn and
 * choose beside the reference kernels; on a GPU also with activations in 16 bits.
 */
#ifndef RG_TRAIN_SELFTEST_H
#define RG_TRAIN_SELFTEST_H

#include "base/log.h"
#include "base/text.h"
#include "engine/exec.h"

typedef struct rg_selftest_options {
    const char *device;  /* "auto", "cpu", "cuda" or "cuda:N" */
    const char *version; /* of the program, for the log */
} rg_selftest_options;

/* Writes the log to `out`; takes seconds. RG_ERR_NUMERIC when a check failed, after all have run.
 */
rg_status rg_selftest_run(const rg_selftest_options *options, rg_text *out, const rg_log *log,
                          rg_error *err) RG_MUST_USE;

/*
 * Tracks of three roles learn for `updates` updates and then choose 32 frames of each role, step by
 * step. Parameters and codes are the caller's to free; everything is a function of the kernels.
 */
typedef struct rg_selftest_tracks {
    int64_t n_values, n_codes;
    double loss; /* bits, mean of the roles, at the last update */
    float *values;
    int32_t *codes;
} rg_selftest_tracks;
rg_status rg_selftest_tracks_run(rg_exec *ex, int32_t updates, rg_selftest_tracks *out,
                                 rg_error *err) RG_MUST_USE;
void rg_selftest_tracks_free(rg_selftest_tracks *tracks);

#endif
