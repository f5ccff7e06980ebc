/*
 * Prints of songs: a few hundred numbers that two copies of one recording share.
 *
 * One idea: pairs of spectral peaks (where the first lies, how far the second is) survive another
 * gain, another codec, a cut at either end; of all pairs' hashes a print keeps the smallest, so
 * that the share two prints have in common estimates that of the recordings (bottom-k sketches of
 * landmarks: Wang, "An industrial-strength audio search algorithm", 2003).
 * Not here: other renderings of the same notes, which have other peaks.
 */
#ifndef RG_DATASETS_IMPORTERS_IMPORT_PRINT_H
#define RG_DATASETS_IMPORTERS_IMPORT_PRINT_H

#include <stdint.h>

#include "base/status.h"

enum {
    RG__PRINT_RATE = 8000, /* Hz of the samples that are asked for */
    RG__PRINT_SIZE = 512,
    RG__PRINT_LEAST = 128, /* songs with fewer pairs are too short to be compared */
    RG__PRINT_SECONDS = 300
};

typedef struct rg__print {
    int32_t n;
    uint32_t hashes[RG__PRINT_SIZE]; /* rising */
} rg__print;

/* Of n mono samples at RG__PRINT_RATE; what is beyond RG__PRINT_SECONDS is not looked at. */
rg_status rg__print_make(const float *samples, int64_t n, rg__print *out, rg_error *err);

/* Gives all pairs a < b of `n` prints (NULL: none) that are alike to `found`. */
rg_status rg__print_compare(const rg__print *const *prints, int64_t n,
                            void (*found)(void *ctx, int64_t a, int64_t b), void *ctx,
                            rg_error *err);

#endif
