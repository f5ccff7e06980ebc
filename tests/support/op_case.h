/*
 * One case of one operator's table row, run in every way the generic tests need.
 *
 * One idea: results come back as doubles, so that all comparisons are of arrays of doubles.
 * Not here: what is asserted (tests/ops).
 */
#ifndef RG_TESTS_OP_CASE_H
#define RG_TESTS_OP_CASE_H

#include "engine/op_data.h"

/* rg_op_data_make for tests: fails the test when there is no memory. */
rg_op_data rg_op_case_of(const rg_op *op, const rg_op_case *c, int32_t dropped, rg_arena *memory);

/* How a case is run. */
typedef struct rg_op_how {
    uint32_t dout, din; /* bit j: output j has a gradient; bit i: input i wants one */
    uint32_t add;       /* bit i: gradient i is added to random numbers (stream "base") */
    bool no_recording;  /* forward only */
} rg_op_how;

typedef struct rg_op_result {
    int64_t n_out[RG_MAX_OUT], n_din[RG_MAX_IN];
    double *out[RG_MAX_OUT], *din[RG_MAX_IN]; /* NULL: there is none */
} rg_op_result;

/*
 * Runs forward, then the operator's own backward on buffers with canaries that hold NaN. Fails the
 * test when the operator fails, a canary breaks, or an input or incoming gradient was changed.
 */
void rg_op_run(const rg_op_data *d, rg_exec *ex, const rg_op_how *how, rg_op_result *out);
/* Fails the test unless all arrays of both have the same bits. */
void rg_op_same_bits(const rg_op_data *d, const char *what, const rg_op_result *a,
                     const rg_op_result *b);

#endif
