/*
 * lstm: one layer over a sequence, gates i, f, g, o, from a zero state or one that is given.
 *
 * One idea: gates and cells of all steps are saved, so that the gradient recomputes nothing. A
 * given state gets no gradient; the cells after the last step are the second result.
 */
#include "ops/op_util.h"

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)attr;
    RG_TRY(rg_op_want_rank(ex, in[0], "x", 3, 3));
    RG_TRY(rg_op_want_rank(ex, in[2], "w_hh", 2, 2));
    const int64_t *x = in[0]->shape.dim, h = in[2]->shape.dim[0];
    RG_TRY(rg_op_want_shape(ex, in[1], "w_ih", RG_SHAPE(x[2], 4 * h)));
    RG_TRY(rg_op_want_shape(ex, in[2], "w_hh", RG_SHAPE(h, 4 * h)));
    RG_TRY(rg_op_want_shape(ex, in[3], "bias", RG_SHAPE(4 * h)));
    RG_TRY(rg_op_want_shape(ex, in[4], "h0", RG_SHAPE(x[0], h)));
    RG_TRY(rg_op_want_shape(ex, in[5], "c0", RG_SHAPE(x[0], h)));
    out[0] = RG_SHAPE(x[0], x[1], h);
    out[1] = RG_SHAPE(x[0], h);
    if (!in[4] && !in[5]) type[1] = RG_DTYPE_COUNT;
    return RG_OK;
}

static rg_lstm_args args_of(const rg_node *n)
{
    const rg_lstm_args args = {.x = n->in[0]->data,
                               .w_ih = n->in[1]->data,
                               .w_hh = n->in[2]->data,
                               .bias = n->in[3]->data,
                               .h0 = rg_op_data(n->in[4]),
                               .c0 = rg_op_data(n->in[5]),
                               .w_ih_packed = n->in[1]->packed,
                               .w_hh_packed = n->in[2]->packed,
                               .packed_type = n->in[1]->packed_type,
                               .y = n->out[0]->data,
                               .gates = rg_op_data(n->saved[0]),
                               .cells = rg_op_data(n->saved[1]),
                               .c_last = rg_op_data(n->out[1]),
                               .batch = n->in[0]->shape.dim[0],
                               .steps = n->in[0]->shape.dim[1],
                               .c_in = n->in[0]->shape.dim[2],
                               .hidden = n->in[2]->shape.dim[0]};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_shape gates = n->out[0]->shape;
    gates.dim[2] *= 4;
    RG_TRY(rg_op_save(ex, n, 0, ex->kernels->real, gates));
    RG_TRY(rg_op_save(ex, n, 1, ex->kernels->real, n->out[0]->shape));
    rg_lstm_args args = args_of(n);
    return ex->kernels->lstm.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_lstm_grad_args args = {.fwd = args_of(n),
                              .dy = dout[0]->data,
                              .dx = rg_op_data(din[0]),
                              .dw_ih = rg_op_data(din[1]),
                              .dw_hh = rg_op_data(din[2]),
                              .dbias = rg_op_data(din[3]),
                              .add_dx = rg_op_adds(din[0]),
                              .add_dw_ih = rg_op_adds(din[1]),
                              .add_dw_hh = rg_op_adds(din[2]),
                              .add_dbias = rg_op_adds(din[3])};
    return ex->kernels->lstm.grad(&ex->kernel_ctx, &args);
}

static int64_t flops(const rg_node *n)
{
    int64_t weights = rg_shape_count(n->in[1]->shape) + rg_shape_count(n->in[2]->shape);
    return 2 * rg_shape_rows(n->in[0]->shape) * weights;
}

static const rg_op_case cases[] = {
    {"small", {REAL(2, 5, 3), REAL(3, 16), REAL(4, 16), REAL(16)}, NULL, 0},
    {"wide", {REAL(3, 4, 9), REAL(9, 132), REAL(33, 132), REAL(132)}, NULL, 4},
    {"long", {REAL(1, 21, 2), REAL(2, 12), REAL(3, 12), REAL(12)}, NULL, 4},
    {"one of everything", {REAL(1, 1, 1), REAL(1, 4), REAL(1, 4), REAL(4)}, NULL, 0},
    {"from a state",
     {REAL(2, 5, 3), REAL(3, 16), REAL(4, 16), REAL(16), FIXED(2, 4), FIXED(2, 4)},
     NULL,
     0},
    {"no steps", {REAL(2, 0, 3), REAL(3, 8), REAL(2, 8), REAL(8)}, NULL, 0},
    {"no steps from a state",
     {REAL(2, 0, 3), REAL(3, 8), REAL(2, 8), REAL(8), FIXED(2, 2), FIXED(2, 2)},
     NULL,
     0},
    {"no items", {REAL(0, 4, 3), REAL(3, 8), REAL(2, 8), REAL(8)}, NULL, 0},
};

const rg_op rg_op_lstm = {
    .name = "lstm",
    .n_in = 6,
    .n_out = 2,
    .input = {{.name = "x"},
              {.name = "w_ih", .wide = true},
              {.name = "w_hh", .wide = true},
              {.name = "bias", .wide = true},
              {.name = "h0", .optional = true, .fixed = true},
              {.name = "c0", .optional = true, .fixed = true}},
    .fixed_out = {false, true},
    .storage = RG_OP_STORED,
    .flops = flops,
    RG_OP_PARTS,
};

rg_tensor *rg_lstm(rg_exec *ex, rg_tensor *x, rg_tensor *w_ih, rg_tensor *w_hh, rg_tensor *bias)
{
    return rg_op_call(ex, &rg_op_lstm, (rg_tensor *[RG_MAX_IN]){x, w_ih, w_hh, bias}, NULL);
}

rg_tensor *rg_lstm_from(rg_exec *ex, rg_tensor *x, rg_tensor *w_ih, rg_tensor *w_hh,
                        rg_tensor *bias, rg_tensor *h0, rg_tensor *c0, rg_tensor **c_last)
{
    rg_tensor *out[RG_MAX_OUT] = {0};
    rg_status status =
        rg_apply(ex, &rg_op_lstm, (rg_tensor *[RG_MAX_IN]){x, w_ih, w_hh, bias, h0, c0}, NULL, out);
    *c_last = out[1];
    return status == RG_OK ? out[0] : NULL;
}
