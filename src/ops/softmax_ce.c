/*
 * softmax_ce: weighted mean of the negative log-likelihoods of the targets, in nats.
 *
 * One idea: the forward pass leaves the gradient of the loss, so that backward only scales it.
 */
#include "ops/op_util.h"

typedef struct softmax_ce_attr {
    bool want_nll;
} softmax_ce_attr;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    RG_TRY(rg_op_want_rank(ex, in[0], "logits", 1, RG_MAX_DIMS));
    rg_shape rows = in[0]->shape;
    rows.ndim--;
    rows.dim[rows.ndim] = 0;
    RG_TRY(rg_op_want_shape(ex, in[1], "targets", rows));
    RG_TRY(rg_op_want_shape(ex, in[2], "weight", rows));
    out[0] = RG_SHAPE(1);
    out[1] = rows;
    if (!((const softmax_ce_attr *)attr)->want_nll) type[1] = RG_DTYPE_COUNT;
    return RG_OK;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    RG_TRY(rg_op_save(ex, n, 0, ex->kernels->real, n->in[0]->shape));
    rg_softmax_ce_args args = {.logits = n->in[0]->data,
                               .targets = n->in[1]->data,
                               .weight = rg_op_data(n->in[2]),
                               .loss = n->out[0]->data,
                               .nll = rg_op_data(n->out[1]),
                               .dlogits = rg_op_data(n->saved[0]),
                               .rows = rg_shape_rows(n->in[0]->shape),
                               .classes = rg_shape_last(n->in[0]->shape)};
    return ex->kernels->softmax_ce(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    return rg_op_add_scaled(ex, n->saved[0]->data, 1, dout[0]->data, din[0]->data,
                            rg_shape_count(din[0]->shape), rg_op_adds(din[0]));
}

static int64_t flops(const rg_node *n)
{
    return 5 * rg_shape_count(n->in[0]->shape);
}

static const softmax_ce_attr loss_only = {false}, with_nll = {true};
#define WEIGHT(...)                                        \
    {                                                      \
        RG_CASE_COUNT, RG_SHAPE_INIT(__VA_ARGS__), .25, .5 \
    }
static const rg_op_case cases[] = {
    {"plain", {REAL(2, 3, 7), INTS(0, 6, 2, 3)}, &loss_only, 0},
    {"nll", {REAL(5, 9), INTS(0, 8, 5)}, &with_nll, 0},
    {"ignored rows", {REAL(12, 4), INTS(-4, 3, 12)}, &with_nll, 0},
    {"all ignored", {REAL(3, 4), INTS(-4, -1, 3)}, &with_nll, 0},
    {"weights", {REAL(6, 5), INTS(-1, 4, 6), WEIGHT(6)}, &with_nll, 0},
    {"large logits", {{RG_CASE_REAL, RG_SHAPE_INIT(4, 6), 0, 30}, INTS(0, 5, 4)}, &with_nll, 0},
    {"many classes", {REAL(3, 131), INTS(0, 130, 3)}, &loss_only, 0},
    {"one of everything", {REAL(1, 1), INTS(0, 0, 1)}, &with_nll, 0},
    {"no rows", {REAL(0, 5), INTS(0, 4, 0)}, &with_nll, 0},
};

const rg_op rg_op_softmax_ce = {
    .name = "softmax_ce",
    .n_in = 3,
    .storage = RG_OP_WIDE,
    .n_out = 2,
    .input = {{.name = "logits"},
              {.name = "targets", .type = RG_INPUT_I32},
              {.name = "weight", .type = RG_INPUT_F32, .optional = true}},
    .fixed_out = {false, true},
    .attr_size = sizeof(softmax_ce_attr),
    .flops = flops,
    RG_OP_PARTS,
};

rg_tensor *rg_softmax_ce(rg_exec *ex, rg_tensor *logits, rg_tensor *targets, rg_tensor *weight,
                         rg_tensor **nll)
{
    rg_tensor *out[RG_MAX_OUT] = {0};
    rg_status status =
        rg_apply(ex, &rg_op_softmax_ce, (rg_tensor *[RG_MAX_IN]){logits, targets, weight},
                 &(softmax_ce_attr){nll != NULL}, out);
    if (nll) *nll = out[1];
    return status == RG_OK ? out[0] : NULL;
}
