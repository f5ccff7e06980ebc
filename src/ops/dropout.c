/*
 * dropout: elements are zeroed with probability p, the rest divided by 1 - p.
 *
 * One idea: what is kept is a function of (seed, step, place on the tape), so that nothing is saved
 * and the gradient is the same call.
 */
#include "ops/op_util.h"

typedef struct dropout_attr {
    double p;
} dropout_attr;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    double p = ((const dropout_attr *)attr)->p;
    if (!(p >= 0 && p < 1)) return rg_exec_fail(ex, RG_ERR_USAGE, "p is %g, expected [0, 1)", p);
    out[0] = in[0]->shape;
    return RG_OK;
}

static rg_status drop(rg_exec *ex, const rg_node *n, const void *from, void *to, bool add)
{
    rg_dropout_args args = {.x = from,
                            .y = to,
                            .n = rg_shape_count(n->in[0]->shape),
                            .p = ((const dropout_attr *)n->attr)->p,
                            .seed = ex->seed,
                            .stream = n->stream,
                            .add_y = add};
    return ex->kernels->dropout(&ex->kernel_ctx, &args);
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    return drop(ex, n, n->in[0]->data, n->out[0]->data, false);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    return drop(ex, n, dout[0]->data, din[0]->data, rg_op_adds(din[0]));
}

static const rg_op_case cases[] = {
    {"a tenth", {REAL(3, 7, 5)}, &(dropout_attr){.1}, 0},
    {"half", {REAL(41)}, &(dropout_attr){.5}, 0},
    {"none", {REAL(9)}, &(dropout_attr){0}, 0},
    {"empty", {REAL(0, 5)}, &(dropout_attr){.5}, 0},
};

const rg_op rg_op_dropout = {
    .name = "dropout",
    .n_in = 1,
    .n_out = 1,
    .input = {{.name = "x"}},
    .attr_size = sizeof(dropout_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_dropout(rg_exec *ex, rg_tensor *x, double p)
{
    if (x && (p == 0 || !ex->recording)) return ex->error.code ? NULL : x;
    return rg_op_call(ex, &rg_op_dropout, (rg_tensor *[RG_MAX_IN]){x}, &(dropout_attr){p});
}
