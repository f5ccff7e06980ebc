/*
 * One file of a song, block by block: the wanted channels at the wanted rate, and what is odd about
 * it.
 *
 * One idea: reading, folding, measuring and resampling happen to a block that stays in the
 * processor's cache; nobody holds the file's own samples. Not here: what is done with them.
 */
#ifndef RG_DATASETS_IMPORTERS_IMPORT_STEM_H
#define RG_DATASETS_IMPORTERS_IMPORT_STEM_H

#include "datasets/importers/importer.h"

typedef struct rg__stem rg__stem;

/* Complete when the last block was read. */
typedef struct rg__stem_facts {
    int32_t rate, channels; /* of the file */
    double peak, dc;        /* of all its channels */
    double folded_db; /* level of the channels' mean against the channels; 0 where not taken */
} rg__stem_facts;

/* `label` is what faults of the form call it; those of the file name its path. */
rg__stem *rg__stem_open(const char *path, const char *label, rg_import_downmix policy, int32_t rate,
                        rg_error *err);
/* The next samples, *n of each channel, until the next call; at the end *n is 0. Where one channel
 * is all there is, all are that one. */
rg_status rg__stem_next(rg__stem *stem, const float *x[RG_MAX_CHANNELS], int64_t *n,
                        rg_error *err) RG_MUST_USE;
rg__stem_facts rg__stem_measured(const rg__stem *stem);
void rg__stem_close(rg__stem *stem); /* NULL is fine */

/* Samples that blocks are added to; begins as zeros, `samples` is freed by its owner. */
typedef struct rg__row {
    float *samples; /* of which `length` are in use */
    int64_t length, room;
} rg__row;

/* Adds n samples at `at`, which is at most the length. */
rg_status rg__row_add(rg__row *row, int64_t at, const float *x, int64_t n,
                      rg_error *err) RG_MUST_USE;
/* Makes it at least `length` long, with silence at its end. */
rg_status rg__row_pad(rg__row *row, int64_t length, rg_error *err) RG_MUST_USE;

#endif
