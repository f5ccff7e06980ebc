/*
 * Where the sections of a song begin.
 *
 * One idea: a boundary is where the bars before and the bars behind differ most, in harmony and in
 * which stems play how loud: the novelty of Foote, Automatic Audio Segmentation Using a Measure of
 * Audio Novelty (ICME 2000), along the diagonal only, so that cost grows linearly.
 */
#ifndef RG_MUSIC_STRUCTURE_H
#define RG_MUSIC_STRUCTURE_H

#include <stdint.h>

#include "base/status.h"

/* One section: its beginning, and how clear that is (0..1; the first one's is 1). */
typedef struct rg_section {
    double start_s, end_s, confidence;
} rg_section;

/*
 * rows (n,width), one per bar or block, which begin at starts_s (n); the last ends at end_s. Heap,
 * *count sections of at least four rows (or one with all).
 */
rg_status rg_sections_of(const float *rows, int64_t n, int32_t width, const double *starts_s,
                         double end_s, rg_section **sections, int64_t *count,
                         rg_error *err) RG_MUST_USE;

#endif
