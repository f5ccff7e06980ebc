/*
 * What was heard in a song, as one drawing.
 *
 * One idea: three plots over each other: rows of sections, bars, chords and of where each stem
 * plays; the energy over the same seconds; where in a bar things begin.
 */
#ifndef RG_EVAL_FEATURES_PLOT_H
#define RG_EVAL_FEATURES_PLOT_H

#include "music/features/features.h"

/* Writes an SVG file (whole or not at all); `name` is the song's. */
rg_status rg_features_plot(const rg_features *features, const char *name, const char *path,
                           rg_error *err) RG_MUST_USE;

#endif
