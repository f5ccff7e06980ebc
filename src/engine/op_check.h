/*
 * Operators against the double reference: every case of every operator, as the engine runs it:
 * forward, then rg_backward with random cotangents.
 *
 * One idea: the same numbers, of the type that the other exec stores, go through two execs, one of
 * the reference, the other of any kernels on any device, and what comes out is compared element by
 * element.
 */
#ifndef RG_ENGINE_OP_CHECK_H
#define RG_ENGINE_OP_CHECK_H

#include "engine/exec.h"

/* One operator's cases. */
typedef struct rg_op_checked {
    const char *name;
    int32_t cases, failed;
    double worst;     /* greatest error, as a share of what is allowed */
    char reason[256]; /* of the first case that failed */
} rg_op_checked;

/*
 * An element may be apart by `unit` times the greatest of itself, the result's root mean square and
 * 0.01 (0.1 where it is stored in 16 bits: what cancels was rounded before), times the case's own
 * tolerance where it has one. RG_ERR_NUMERIC when a case failed; other errors when the check itself
 * could not run. `seen` runs one operator at a time, and records.
 */
rg_status rg_op_check(const rg_op *op, rg_exec *seen, double unit, rg_op_checked *out,
                      rg_error *err) RG_MUST_USE;

#endif
