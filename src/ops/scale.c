/*
 * scale: y = factor x, or y_b = factor s_b x_b with a factor s_b for each item.
 */
#include "ops/op_util.h"

enum { X, ITEMS };

typedef struct scale_attr {
    double factor;
} scale_attr;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)attr, (void)type;
    out[0] = in[X]->shape;
    if (!in[ITEMS]) return RG_OK;
    RG_TRY(rg_op_want_rank(ex, in[X], "x", 1, RG_MAX_DIMS));
    return rg_op_want_shape(ex, in[ITEMS], "items", RG_SHAPE(in[X]->shape.dim[0]));
}

static double factor_of(const rg_node *n)
{
    return ((const scale_attr *)n->attr)->factor;
}

/* out = (or +=) factor from, item by item where each has its own. */
static rg_status scaled(rg_exec *ex, const rg_node *n, const rg_tensor *from, const rg_tensor *out,
                        bool add)
{
    const rg_tensor *items = n->in[ITEMS];
    int64_t count = rg_shape_count(from->shape), parts = items ? from->shape.dim[0] : 1;
    size_t bytes = parts ? (size_t)(count / parts) * rg_dtype_size(from->dtype) : 0;
    rg_status status = RG_OK;
    for (int64_t b = 0; b < parts && status == RG_OK; b++) {
        const size_t size = rg_dtype_size(ex->real);
        const void *item = items ? (const char *)items->data + (size_t)b * size : NULL;
        status = rg_op_add_scaled(ex, (const char *)from->data + (size_t)b * bytes, factor_of(n),
                                  item, (char *)out->data + (size_t)b * bytes, count / parts, add);
    }
    return status;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    return scaled(ex, n, n->in[X], n->out[0], false);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    return scaled(ex, n, dout[0], din[X], rg_op_adds(din[X]));
}

static const rg_op_case cases[] = {
    {"half", {REAL(2, 3, 4)}, &(scale_attr){.5}, 0},
    {"negative", {REAL(17)}, &(scale_attr){-3}, 0},
    {"zero", {REAL(5)}, &(scale_attr){0}, 0},
    {"empty", {REAL(0, 3)}, &(scale_attr){2}, 0},
    {"items", {REAL(3, 4, 5), FIXED(3)}, &(scale_attr){.5}, 0},
    {"items of one", {REAL(17), FIXED(17)}, &(scale_attr){-1}, 0},
    {"no items", {REAL(0, 3), FIXED(0)}, &(scale_attr){2}, 0},
};

const rg_op rg_op_scale = {
    .name = "scale",
    .n_in = 2,
    .n_out = 1,
    .input = {{.name = "x"}, {.name = "items", .fixed = true, .wide = true, .optional = true}},
    .attr_size = sizeof(scale_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_scale(rg_exec *ex, rg_tensor *x, double factor)
{
    return rg_op_call(ex, &rg_op_scale, (rg_tensor *[RG_MAX_IN]){x}, &(scale_attr){factor});
}

rg_tensor *rg_scale_items(rg_exec *ex, rg_tensor *x, rg_tensor *items)
{
    return rg_op_call(ex, &rg_op_scale, (rg_tensor *[RG_MAX_IN]){x, items}, &(scale_attr){1});
}
