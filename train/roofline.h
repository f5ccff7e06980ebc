/*
 * The time that a training step needs at least on GPUs, from their data sheets: a prediction. Where
 * there is a GPU the step is run on it too, and measured beside.
 *
 * One idea: a step is rehearsed over kernels that only count (kernels/idle.h); a call can take no
 * less than its products at the peak of the tensor units, its transforms and searches at the peak
 * of the others, or its bytes at the bandwidth of the memory, whichever is longest (Williams,
 * Waterman & Patterson 2009).
 * Not here: the time to start a kernel, and how close to its bound one comes; the number of kernels
 * and of steps that wait for each other are told beside.
 */
#ifndef RG_TRAIN_ROOFLINE_H
#define RG_TRAIN_ROOFLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "base/text.h"

/*
 * Predicts the training step that `train CONFIG KEY=VALUE...` would make, activations and packed
 * weights in 16 bits, all else in 32. The store, and codecs, that the configuration names must be
 * there. Writes a table to `out`, or with `json` one object {config, prediction: true,
 * products_flop, other_flop, bytes, kernels, chain, cards: [{name, bound_ms, products_ms,
 * memory_ms, fusion_ms, rows: [{slot, grad, shape, calls, ms, bound, flop, bytes}]}], measured},
 * rows from the longest. `measured` is null without a GPU, or unless it `measures`, else {gpu,
 * card, activations, step_ms, kernels_ms, rows: [as above, ms by the data sheet of `card`, or null,
 * and measured_ms]}, with activations as the configuration has them and zeros for sounds.
 */
rg_status rg_roofline_run(const char *config_path, const char *const *overrides, size_t n,
                          bool measures, bool json, rg_text *out, const rg_log *log,
                          rg_error *err) RG_MUST_USE;

#endif
