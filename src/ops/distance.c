/*
 * distance: a scalar between a and b; b is a target and gets no gradient.
 */
#include "ops/op_util.h"

typedef struct distance_attr {
    rg_distance_kind kind;
} distance_attr;

/* What a target counts as at least, per element, where it is divided by: the relative distance of
 * noise over silence stays that of noise over a soft signal. A power of -40 dBFS; a size of 1e-4.
 */
static const double silence = 1e-4;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    const distance_attr *a = attr;
    RG_TRY(rg_op_want_between(ex, "kind", a->kind, 0, RG_DISTANCE_COUNT - 1));
    RG_TRY(rg_op_want_rank(ex, in[0], "a", 1, RG_MAX_DIMS));
    RG_TRY(rg_op_want_shape(ex, in[1], "b", in[0]->shape));
    out[0] = RG_SHAPE(1);
    return RG_OK;
}

static rg_distance_args args_of(const rg_node *n)
{
    rg_shape shape = n->in[0]->shape;
    rg_distance_kind kind = ((const distance_attr *)n->attr)->kind;
    bool as_one = kind == RG_DISTANCE_RELATIVE_L1; /* items share one size */
    int64_t batch = as_one ? 1 : shape.dim[0], per_item = as_one ? shape.dim[0] : 1;
    for (int32_t i = 1; i < shape.ndim; i++) per_item *= shape.dim[i];
    const rg_distance_args args = {.a = n->in[0]->data,
                                   .b = n->in[1]->data,
                                   .y = n->out[0]->data,
                                   .batch = batch,
                                   .n = per_item,
                                   .kind = kind,
                                   .eps = silence};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_distance_args args = args_of(n);
    return ex->kernels->distance.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_distance_grad_args args = {.fwd = args_of(n),
                                  .dy = dout[0]->data,
                                  .da = rg_op_data(din[0]),
                                  .add_da = rg_op_adds(din[0])};
    return ex->kernels->distance.grad(&ex->kernel_ctx, &args);
}

#define ATTR(kind)         \
    &(distance_attr)       \
    {                      \
        RG_DISTANCE_##kind \
    }
static const rg_op_case cases[] = {
    {"l1", {REAL(2, 7, 3), FIXED(2, 7, 3)}, ATTR(L1), 0},
    {"mse", {REAL(2, 7, 3), FIXED(2, 7, 3)}, ATTR(MSE), 0},
    {"relative", {REAL(3, 11), FIXED(3, 11)}, ATTR(RELATIVE_MSE), 0},
    {"relative, silent target",
     {{RG_CASE_REAL, RG_SHAPE_INIT(2, 5), 0, 1e-3}, {RG_CASE_FIXED, RG_SHAPE_INIT(2, 5), 0, 0}},
     ATTR(RELATIVE_MSE),
     0},
    {"relative to the size", {REAL(3, 4, 5), FIXED(3, 4, 5)}, ATTR(RELATIVE_L1), 0},
    {"many", {REAL(2, 5000), FIXED(2, 5000)}, ATTR(L1), 0},
    {"one", {REAL(1), FIXED(1)}, ATTR(MSE), 0},
    {"empty", {REAL(0, 4), FIXED(0, 4)}, ATTR(L1), 0},
    {"empty, relative", {REAL(0, 4), FIXED(0, 4)}, ATTR(RELATIVE_L1), 0},
};

const rg_op rg_op_distance = {
    .name = "distance",
    .n_in = 2,
    .storage = RG_OP_WIDE,
    .n_out = 1,
    .input = {{.name = "a"}, {.name = "b", .fixed = true}},
    .attr_size = sizeof(distance_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_distance(rg_exec *ex, rg_tensor *a, rg_tensor *b, rg_distance_kind kind)
{
    return rg_op_call(ex, &rg_op_distance, (rg_tensor *[RG_MAX_IN]){a, b}, &(distance_attr){kind});
}
