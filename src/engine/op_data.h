/*
 * Cases of operators (op.h) as numbers: what every check of an operator begins with.
 *
 * One idea: a case is expanded to plain doubles once; from them inputs are made for any kernels, on
 * any device, so that all comparisons are of arrays of doubles. The same (operator, case) gives the
 * same numbers. Not here: what is compared with what (op_check.h, and the tests).
 */
#ifndef RG_ENGINE_OP_DATA_H
#define RG_ENGINE_OP_DATA_H

#include "engine/exec.h"

enum { RG_OP_DATA_NAME = 128 };

typedef struct rg_op_data {
    const rg_op *op;
    const rg_op_case *c;
    int32_t dropped; /* this optional input is left out; -1: none */
    int64_t n[RG_MAX_IN];
    double *values[RG_MAX_IN];  /* exact in float; NULL: absent or the same as another input */
    char name[RG_OP_DATA_NAME]; /* "conv1d/strided elu without bias" */
    rg_arena *memory;           /* where all numbers live */
} rg_op_data;

/* Expands a case; RG_ERR_NOMEM when `memory` is full. */
rg_status rg_op_data_make(const rg_op *op, const rg_op_case *c, int32_t dropped, rg_arena *memory,
                          rg_op_data *out) RG_MUST_USE;
/* Inputs as tensors of the step arena; the exec's error says what failed. */
rg_status rg_op_data_inputs(const rg_op_data *d, rg_exec *ex, rg_tensor *in[RG_MAX_IN]) RG_MUST_USE;
/* Whether input i is differentiated in this case. */
bool rg_op_data_is_real(const rg_op_data *d, int32_t i);
/* Whether output j passes gradients on. */
bool rg_op_data_flows(const rg_op_data *d, const rg_tensor *const out[], int32_t j);

/* n numbers in about [-2, 2], exact in float, of a stream named by (text, k); NULL: no room. */
double *rg_random_doubles(rg_arena *memory, const char *text, int32_t k, int64_t n);
/* All elements of t, of any type and device; NULL: no room. */
double *rg_tensor_doubles(rg_exec *ex, rg_arena *memory, const rg_tensor *t);
/* A leaf of any type; NULL after an error. */
rg_tensor *rg_tensor_from_doubles(rg_exec *ex, rg_dtype type, rg_shape shape, const double *values);
/* Rounds n values to numbers of F16 or BF16; of other types: leaves them. */
void rg_round_doubles(double *values, int64_t n, rg_dtype type);

#endif
