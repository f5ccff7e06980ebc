/*
 * activation: y = act(x), elementwise.
 */
#include "ops/op_util.h"

typedef struct activation_attr {
    rg_act act;
    double slope;
} activation_attr;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    const activation_attr *a = attr;
    RG_TRY(rg_op_want_between(ex, "act", a->act, 0, RG_ACT_COUNT - 1));
    out[0] = in[0]->shape;
    return RG_OK;
}

static rg_activation_args args_of(const rg_node *n)
{
    const activation_attr *a = n->attr;
    const rg_activation_args args = {.x = n->in[0]->data,
                                     .y = n->out[0]->data,
                                     .n = rg_shape_count(n->in[0]->shape),
                                     .act = a->act,
                                     .slope = a->slope};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_activation_args args = args_of(n);
    return ex->kernels->activation.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_activation_grad_args args = {.fwd = args_of(n),
                                    .dy = dout[0]->data,
                                    .dx = rg_op_data(din[0]),
                                    .add_dx = rg_op_adds(din[0])};
    return ex->kernels->activation.grad(&ex->kernel_ctx, &args);
}

#define ATTR(act, slope)    \
    &(activation_attr)      \
    {                       \
        RG_ACT_##act, slope \
    }
static const rg_op_case cases[] = {
    {"none", {REAL(3, 4)}, ATTR(NONE, 0), 0},
    {"elu", {AWAY(.01, 3, 41)}, ATTR(ELU, 0), 0},
    {"gelu", {REAL(3, 41)}, ATTR(GELU, 0), 0},
    {"gelu, large values", {{RG_CASE_REAL, RG_SHAPE_INIT(40), 0, 6}}, ATTR(GELU, 0), 0},
    {"leaky", {AWAY(.01, 2, 3, 5, 7)}, ATTR(LEAKY_RELU, .2), 0},
    {"leaky, slope 0.01", {AWAY(.01, 17)}, ATTR(LEAKY_RELU, .01), 0},
    {"one", {AWAY(.01, 1)}, ATTR(ELU, 0), 0},
    {"empty", {REAL(0, 3)}, ATTR(GELU, 0), 0},
};

const rg_op rg_op_activation = {
    .name = "activation",
    .n_in = 1,
    .n_out = 1,
    .input = {{.name = "x"}},
    .attr_size = sizeof(activation_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_activation(rg_exec *ex, rg_tensor *x, rg_act act, double slope)
{
    return rg_op_call(ex, &rg_op_activation, (rg_tensor *[RG_MAX_IN]){x},
                      &(activation_attr){act, slope});
}
