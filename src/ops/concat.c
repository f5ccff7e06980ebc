/*
 * concat: tensors side by side along one axis.
 *
 * One idea: seen as a matrix whose rows are all dims before the axis, every part is a block of
 * columns.
 */
#include "ops/op_util.h"

typedef struct concat_attr {
    int32_t axis;
} concat_attr;

static int32_t axis_of(const rg_node *n)
{
    return ((const concat_attr *)n->attr)->axis;
}

/* Dims before the axis; elements from the axis on. */
static int64_t rows_of(const rg_tensor *t, int32_t axis)
{
    int64_t n = 1;
    for (int32_t i = 0; i < axis; i++) n *= t->shape.dim[i];
    return n;
}
static int64_t columns_of(const rg_tensor *t, int32_t axis)
{
    int64_t n = 1;
    for (int32_t i = axis; i < t->shape.ndim; i++) n *= t->shape.dim[i];
    return n;
}

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    int32_t axis = ((const concat_attr *)attr)->axis;
    rg_shape want = in[0]->shape;
    RG_TRY(rg_op_want_between(ex, "axis", axis, 0, want.ndim - 1));
    out[0] = want;
    for (int32_t i = 1; i < RG_MAX_IN; i++) {
        if (!in[i]) continue;
        if (!in[i - 1]) return rg_exec_fail(ex, RG_ERR_USAGE, "part %d is NULL", i - 1);
        RG_TRY(rg_op_want_rank(ex, in[i], "a part", want.ndim, want.ndim));
        want.dim[axis] = in[i]->shape.dim[axis];
        RG_TRY(rg_op_want_shape(ex, in[i], "a part", want));
        out[0].dim[axis] += want.dim[axis];
    }
    return RG_OK;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    int32_t axis = axis_of(n);
    int64_t rows = rows_of(n->out[0], axis), width = columns_of(n->out[0], axis), column = 0;
    for (int32_t i = 0; i < RG_MAX_IN && n->in[i]; i++) {
        int64_t cols = columns_of(n->in[i], axis);
        RG_TRY(rg_op_copy(ex, n->in[i]->data, cols, rg_op_at(ex, n->out[0]->data, column), width,
                          rows, cols, false));
        column += cols;
    }
    return RG_OK;
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    int32_t axis = axis_of(n);
    int64_t rows = rows_of(n->out[0], axis), width = columns_of(n->out[0], axis), column = 0;
    for (int32_t i = 0; i < RG_MAX_IN && n->in[i]; i++) {
        int64_t cols = columns_of(n->in[i], axis);
        if (din[i])
            RG_TRY(rg_op_copy(ex, rg_op_at(ex, dout[0]->data, column), width, din[i]->data, cols,
                              rows, cols, rg_op_adds(din[i])));
        column += cols;
    }
    return RG_OK;
}

static const concat_attr first = {0}, second = {1}, third = {2};
static const rg_op_case cases[] = {
    {"items", {REAL(2, 3), REAL(1, 3)}, &first, 0},
    {"steps", {REAL(2, 3, 4), REAL(2, 1, 4), REAL(2, 2, 4)}, &second, 0},
    {"channels", {REAL(2, 3, 1), REAL(2, 3, 5)}, &third, 0},
    {"eight",
     {REAL(2, 1), REAL(2, 2), REAL(2, 1), REAL(2, 3), REAL(2, 1), REAL(2, 1), REAL(2, 2),
      REAL(2, 1)},
     &second,
     0},
    {"twice the same", {REAL(2, 3), SAME(0)}, &first, 0},
    {"one empty", {REAL(2, 0, 4), REAL(2, 3, 4)}, &second, 0},
    {"all empty", {REAL(0, 3), REAL(0, 2)}, &second, 0},
};

const rg_op rg_op_concat = {
    .name = "concat",
    .n_in = RG_MAX_IN,
    .n_out = 1,
    .input = {{.name = "part 0"},
              {.name = "part 1"},
              {.name = "part 2", .optional = true},
              {.name = "part 3", .optional = true},
              {.name = "part 4", .optional = true},
              {.name = "part 5", .optional = true},
              {.name = "part 6", .optional = true},
              {.name = "part 7", .optional = true}},
    .attr_size = sizeof(concat_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_concat(rg_exec *ex, rg_tensor *const *parts, int32_t n, int32_t axis)
{
    rg_tensor *in[RG_MAX_IN] = {0};
    if (n < 2 || n > RG_MAX_IN) {
        rg_exec_fail(ex, RG_ERR_USAGE, "concat: %d parts, expected 2 to %d", n, RG_MAX_IN);
        return NULL;
    }
    for (int32_t i = 0; i < n; i++) {
        in[i] = parts[i];
        if (!in[i]) rg_exec_fail(ex, RG_ERR_USAGE, "concat: part %d is NULL", i);
    }
    return rg_op_call(ex, &rg_op_concat, in, &(concat_attr){axis});
}
