/*
 * slice: a range along one axis, copied.
 *
 * One idea: seen as a matrix whose rows are all dims before the axis, the range is a block of
 * columns.
 */
#include "ops/op_util.h"

typedef struct slice_attr {
    int32_t axis;
    int64_t start, length;
} slice_attr;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    const slice_attr *a = attr;
    out[0] = in[0]->shape;
    RG_TRY(rg_op_want_between(ex, "axis", a->axis, 0, out[0].ndim - 1));
    RG_TRY(rg_op_want_between(ex, "start", a->start, 0, out[0].dim[a->axis]));
    RG_TRY(rg_op_want_between(ex, "length", a->length, 0, out[0].dim[a->axis] - a->start));
    out[0].dim[a->axis] = a->length;
    return RG_OK;
}

/* The range as a block of columns of x. */
typedef struct block {
    int64_t rows, cols, width, column;
} block;

static block block_of(const rg_node *n)
{
    const slice_attr *a = n->attr;
    rg_shape shape = n->in[0]->shape;
    int64_t rows = 1, inner = 1;
    for (int32_t i = 0; i < a->axis; i++) rows *= shape.dim[i];
    for (int32_t i = a->axis + 1; i < shape.ndim; i++) inner *= shape.dim[i];
    return (block){rows, a->length * inner, shape.dim[a->axis] * inner, a->start * inner};
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    block b = block_of(n);
    return rg_op_copy(ex, rg_op_at(ex, n->in[0]->data, b.column), b.width, n->out[0]->data, b.cols,
                      b.rows, b.cols, false);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    block b = block_of(n);
    rg_op_start_sum(ex, din[0]);
    return rg_op_copy(ex, dout[0]->data, b.cols, rg_op_at(ex, din[0]->data, b.column), b.width,
                      b.rows, b.cols, true);
}

#define ATTR(axis, start, length) \
    &(slice_attr)                 \
    {                             \
        axis, start, length       \
    }
static const rg_op_case cases[] = {
    {"items", {REAL(4, 3)}, ATTR(0, 1, 2), 0},
    {"steps", {REAL(2, 5, 3)}, ATTR(1, 2, 3), 0},
    {"channels", {REAL(2, 3, 7)}, ATTR(2, 1, 4), 0},
    {"inner axis of four", {REAL(2, 3, 4, 2)}, ATTR(2, 0, 3), 0},
    {"whole", {REAL(2, 3)}, ATTR(1, 0, 3), 0},
    {"nothing", {REAL(2, 3)}, ATTR(1, 3, 0), 0},
    {"of nothing", {REAL(0, 3)}, ATTR(1, 1, 2), 0},
};

const rg_op rg_op_slice = {
    .name = "slice",
    .n_in = 1,
    .n_out = 1,
    .input = {{.name = "x"}},
    .attr_size = sizeof(slice_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_slice(rg_exec *ex, rg_tensor *x, int32_t axis, int64_t start, int64_t length)
{
    return rg_op_call(ex, &rg_op_slice, (rg_tensor *[RG_MAX_IN]){x},
                      &(slice_attr){.axis = axis, .start = start, .length = length});
}
