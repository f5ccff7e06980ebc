/*
 * One case of one operator's table row, run in every way the generic tests need.
 *
 * One idea: a case is expanded to plain doubles once; from them inputs are made for any kernels and
 * results come back as doubles, so that all comparisons are of arrays of doubles.
 * Not here: what is asserted (tests/ops).
 */
#ifndef RG_TESTS_OP_CASE_H
#define RG_TESTS_OP_CASE_H

#include "engine/exec.h"

typedef struct rg_op_data {
    const rg_op *op;
    const rg_op_case *c;
    int32_t dropped; /* this optional input is left out; -1: none */
    int64_t n[RG_MAX_IN];
    double *values[RG_MAX_IN]; /* exact in float; NULL: absent or the same as another input */
    rg_arena *memory;          /* where all numbers live */
} rg_op_data;

/* Expands a case; the same (op, case) gives the same numbers. */
rg_op_data rg_op_data_make(const rg_op *op, const rg_op_case *c, int32_t dropped, rg_arena *memory);
/* Inputs as tensors of the step arena. */
void rg_op_data_inputs(const rg_op_data *d, rg_exec *ex, rg_tensor *in[RG_MAX_IN]);
/* Whether input i is differentiated in this case. */
bool rg_op_data_is_real(const rg_op_data *d, int32_t i);
/* Whether output j passes gradients on. */
bool rg_op_data_flows(const rg_op_data *d, const rg_tensor *const out[], int32_t j);
/* "conv1d/strided elu" */
const char *rg_op_data_name(const rg_op_data *d);

/* n numbers in about [-2, 2], exact in float, of a stream named by (text, k). */
double *rg_random_doubles(rg_arena *memory, const char *text, int32_t k, int64_t n);
double *rg_tensor_doubles(rg_arena *memory, const rg_tensor *t);
/* A leaf of the kernels' type. */
rg_tensor *rg_tensor_from_doubles(rg_exec *ex, rg_shape shape, const double *values);

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
