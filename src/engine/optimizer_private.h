/*
 * The parts of an AdamW step that one process and many (dist/zero.h) have in common.
 */
#ifndef RG_ENGINE_OPTIMIZER_PRIVATE_H
#define RG_ENGINE_OPTIMIZER_PRIVATE_H

#include "engine/optimizer.h"

/* An update of all parameters, which packs nothing. */
rg_adamw_args rg_adamw_args_of(const rg_adamw *optimizer, rg_params *params, double lr,
                               double grad_scale);
/* The norm from the gradients' sum of squares; returns grad_scale, or less of it where the norm is
 * clipped. */
double rg_adamw_scale(const rg_adamw *optimizer, double grad_scale, double sum_squares,
                      rg_update *update);
/* Index of the first number that is not finite; n: none. */
int64_t rg_first_nonfinite(const float *numbers, int64_t n);

#endif
