/*
 * add: alpha a + beta b; b has a's shape or a suffix of it and is repeated over the leading axes.
 */
#include "ops/op_util.h"

typedef struct add_attr {
    double alpha, beta;
} add_attr;

static bool is_suffix(rg_shape b, rg_shape a)
{
    for (int32_t i = 1; i <= b.ndim; i++)
        if (i > a.ndim || b.dim[b.ndim - i] != a.dim[a.ndim - i]) return false;
    return true;
}

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)attr, (void)type;
    char a[96], b[96];
    if (!is_suffix(in[1]->shape, in[0]->shape))
        return rg_exec_fail(ex, RG_ERR_SHAPE, "b is %s, expected the shape of a, %s, or its end",
                            rg_shape_text(in[1]->shape, b), rg_shape_text(in[0]->shape, a));
    out[0] = in[0]->shape;
    return RG_OK;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    const add_attr *attr = n->attr;
    rg_add_args args = {.a = n->in[0]->data,
                        .b = n->in[1]->data,
                        .y = n->out[0]->data,
                        .n = rg_shape_count(n->in[0]->shape),
                        .n_b = rg_shape_count(n->in[1]->shape),
                        .alpha = attr->alpha,
                        .beta = attr->beta};
    return ex->kernels->add.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    const add_attr *attr = n->attr;
    int64_t count = rg_shape_count(n->in[0]->shape);
    if (din[0])
        RG_TRY(rg_op_add_scaled(ex, dout[0]->data, attr->alpha, NULL, din[0]->data, count,
                                rg_op_adds(din[0])));
    if (!din[1]) return RG_OK;
    if (rg_shape_count(n->in[1]->shape) == count) /* nothing to sum */
        return rg_op_add_scaled(ex, dout[0]->data, attr->beta, NULL, din[1]->data, count,
                                rg_op_adds(din[1]));
    rg_reduce_args args = {.dy = dout[0]->data,
                           .db = din[1]->data,
                           .n = count,
                           .n_b = rg_shape_count(n->in[1]->shape),
                           .scale = attr->beta,
                           .add_db = rg_op_adds(din[1])};
    return ex->kernels->add.grad(&ex->kernel_ctx, &args);
}

#define ATTR(alpha, beta) \
    &(add_attr)           \
    {                     \
        alpha, beta       \
    }
static const rg_op_case cases[] = {
    {"same shape", {REAL(2, 3, 4), REAL(2, 3, 4)}, ATTR(1, 1), 0},
    {"weighted", {REAL(2, 3, 4), REAL(2, 3, 4)}, ATTR(.5, -2), 0},
    {"positions", {REAL(2, 3, 4), REAL(3, 4)}, ATTR(1, 1), 0},
    {"channels", {REAL(2, 3, 5), REAL(5)}, ATTR(1.5, .25), 0},
    {"to itself", {REAL(3, 4), SAME(0)}, ATTR(2, 3), 0},
    {"many rows", {REAL(700, 3), REAL(3)}, ATTR(1, 1), 8},
    {"scalars", {REAL(1), REAL(1)}, ATTR(1, 1), 0},
    {"empty", {REAL(0, 3), REAL(3)}, ATTR(1, 1), 0},
};

const rg_op rg_op_add = {
    .name = "add",
    .n_in = 2,
    .n_out = 1,
    .input = {{.name = "a"}, {.name = "b"}},
    .attr_size = sizeof(add_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_add(rg_exec *ex, rg_tensor *a, rg_tensor *b, double alpha, double beta)
{
    return rg_op_call(ex, &rg_op_add, (rg_tensor *[RG_MAX_IN]){a, b}, &(add_attr){alpha, beta});
}
