/*
 * scale: y = factor x.
 */
#include "ops/op_util.h"

typedef struct scale_attr {
    double factor;
} scale_attr;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)ex, (void)attr, (void)type;
    out[0] = in[0]->shape;
    return RG_OK;
}

static double factor_of(const rg_node *n)
{
    return ((const scale_attr *)n->attr)->factor;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    return rg_op_add_scaled(ex, n->in[0]->data, factor_of(n), n->out[0]->data,
                            rg_shape_count(n->in[0]->shape), false);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    return rg_op_add_scaled(ex, dout[0]->data, factor_of(n), din[0]->data,
                            rg_shape_count(n->in[0]->shape), rg_op_adds(din[0]));
}

static const rg_op_case cases[] = {
    {"half", {REAL(2, 3, 4)}, &(scale_attr){.5}, 0},
    {"negative", {REAL(17)}, &(scale_attr){-3}, 0},
    {"zero", {REAL(5)}, &(scale_attr){0}, 0},
    {"empty", {REAL(0, 3)}, &(scale_attr){2}, 0},
};

const rg_op rg_op_scale = {
    .name = "scale",
    .n_in = 1,
    .n_out = 1,
    .input = {{.name = "x"}},
    .attr_size = sizeof(scale_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_scale(rg_exec *ex, rg_tensor *x, double factor)
{
    return rg_op_call(ex, &rg_op_scale, (rg_tensor *[RG_MAX_IN]){x}, &(scale_attr){factor});
}
