/*
 * The parts of an AdamW step that one process and many (dist/zero.h) have in common.
 */
#ifndef RG_ENGINE_OPTIMIZER_PRIVATE_H
#define RG_ENGINE_OPTIMIZER_PRIVATE_H

#include "engine/optimizer.h"

/* Has the step that params->on.now is about made or skipped by the gradients' squares, which are
 * the sum of n_sums. */
rg_status rg_adamw_decides(const rg_adamw *optimizer, const rg_scaler *scaler, rg_params *params,
                           rg_exec *ex, const double *sum_squares, int64_t n_sums);
/* An update of all parameters, which packs nothing. */
rg_adamw_args rg_adamw_args_of(const rg_adamw *optimizer, rg_params *params);

#endif
