/*
 * From rows of float samples to a store's stems: one gain for all, int16, the silent end cut off.
 *
 * One idea: whatever made the sound (a synthesizer, somebody's files), it gets its levels here, so
 * that all songs of all stores are alike: stems of a song never move against each other.
 * Not here: where the rows come from (render.c, importers/).
 */
#ifndef RG_DATASETS_STEM_LEVELS_H
#define RG_DATASETS_STEM_LEVELS_H

#include "datasets/render.h"

/* What sounds of each role, by channel; NULL: nothing. */
typedef struct rg__rows {
    float *rows[RG_MAX_ROLES][RG_MAX_CHANNELS]; /* (frames) each */
    int64_t frames;
    int32_t n_roles, channels, rate;
} rg__rows;

/* 2nd-order Butterworth high-pass at 25 Hz, in place: takes away DC and what nobody hears. */
void rg__stems_high_pass(const rg__rows *rows);

/* `loudness` of the mix, of all its channels together, in LUFS, 0: -18; less where the mix or a
 * stem would clip. A role without a block above -60 dBFS is absent. RG_ERR_FORMAT when nothing
 * sounds. *out is zeroed before its first use; memory that it has from an earlier one serves again,
 * and stays after an error. */
rg_status rg__stems_make(const rg__rows *rows, double loudness, rg_stems *out,
                         rg_error *err) RG_MUST_USE;

#endif
