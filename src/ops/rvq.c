/*
 * rvq: residual vector quantizer. Codes are given, or searched nearest entry by nearest entry.
 *
 * One idea: straight-through. Rounding to an entry has no useful gradient, so the gradient of the
 * quantized output goes to x unchanged; the commitment loss adds its own, which the forward pass
 * leaves ready. Not here: learning the codebooks (nn/rvq.h).
 */
#include "ops/op_util.h"

typedef struct rvq_attr {
    int32_t n_q;
} rvq_attr;

enum { X, BOOKS, CODES };
enum { QUANTIZED, COMMIT, CODES_OUT };
enum { DCOMMIT, RESIDUALS }; /* saved */

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    RG_TRY(rg_op_want_rank(ex, in[X], "x", 3, 3));
    RG_TRY(rg_op_want_rank(ex, in[BOOKS], "books", 3, 3));
    const int64_t *x = in[X]->shape.dim, *books = in[BOOKS]->shape.dim;
    RG_TRY(rg_op_want_shape(ex, in[BOOKS], "books", RG_SHAPE(books[0], books[1], x[2])));
    RG_TRY(rg_op_want_between(ex, "entries", books[1], 1, INT32_MAX));
    RG_TRY(rg_op_want_between(ex, "n_q", ((const rvq_attr *)attr)->n_q, 1, books[0]));
    RG_TRY(rg_op_want_shape(ex, in[CODES], "codes", RG_SHAPE(x[0], x[1], books[0])));
    out[QUANTIZED] = in[X]->shape;
    out[COMMIT] = RG_SHAPE(1);
    out[CODES_OUT] = RG_SHAPE(x[0], x[1], books[0]);
    type[CODES_OUT] = RG_I32;
    return RG_OK;
}

/* The first n_q columns as given (or open), the others -1. */
static void lay_out_codes(const rg_node *n, const int32_t *given, int32_t *codes)
{
    const int32_t n_q = ((const rvq_attr *)n->attr)->n_q;
    int64_t rows = rg_shape_rows(n->out[CODES_OUT]->shape), k = n->in[BOOKS]->shape.dim[0];
    for (int64_t i = 0; i < rows * k; i++) codes[i] = given && i % k < n_q ? given[i] : -1;
}

/* The same on a device: through the host where codes are given. As floats codes are exact. */
static rg_status send_codes(rg_exec *ex, const rg_node *n)
{
    const int64_t count = rg_shape_count(n->out[CODES_OUT]->shape);
    float *floats = rg_arena_alloc(ex->scratch, (size_t)count * sizeof *floats);
    int32_t *codes = rg_arena_alloc(ex->scratch, (size_t)count * sizeof *codes);
    if (!floats || !codes) return rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
    if (n->in[CODES]) rg_tensor_floats(n->in[CODES], 0, count, floats);
    for (int64_t i = 0; n->in[CODES] && i < count; i++) codes[i] = (int32_t)floats[i];
    lay_out_codes(n, n->in[CODES] ? codes : NULL, codes);
    return rg_tensor_put(ex, n->out[CODES_OUT], codes);
}

static rg_status start_codes(rg_exec *ex, const rg_node *n)
{
    rg_tensor *codes = n->out[CODES_OUT];
    if (!codes->gpu) {
        lay_out_codes(n, rg_op_data(n->in[CODES]), codes->data);
        return RG_OK;
    }
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    const rg_status status = send_codes(ex, n);
    rg_arena_restore(ex->scratch, mark);
    return status;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    int32_t n_q = ((const rvq_attr *)n->attr)->n_q;
    const int64_t *x = n->in[X]->shape.dim, *books = n->in[BOOKS]->shape.dim;
    int64_t rows = x[0] * x[1];
    RG_TRY(rg_op_save(ex, n, DCOMMIT, ex->kernels->real, RG_SHAPE(rows, x[2])));
    RG_TRY(rg_op_save(ex, n, RESIDUALS, ex->kernels->real, RG_SHAPE(n_q, rows, x[2])));
    RG_TRY(start_codes(ex, n));
    rg_rvq_args args = {.x = n->in[X]->data,
                        .books = n->in[BOOKS]->data,
                        .codes = n->out[CODES_OUT]->data,
                        .q = n->out[QUANTIZED]->data,
                        .commit = n->out[COMMIT]->data,
                        .dcommit = rg_op_data(n->saved[DCOMMIT]),
                        .residuals = rg_op_data(n->saved[RESIDUALS]),
                        .rows = rows,
                        .dim = x[2],
                        .entries = books[1],
                        .n_books = (int32_t)books[0],
                        .n_q = n_q,
                        .fixed_codes = n->in[CODES] != NULL};
    return ex->kernels->rvq(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    int64_t count = rg_shape_count(din[X]->shape);
    bool add = rg_op_adds(din[X]);
    if (dout[QUANTIZED]) {
        RG_TRY(rg_op_copy(ex, dout[QUANTIZED]->data, count, din[X]->data, count, 1, count, add));
        add = true;
    }
    if (!dout[COMMIT]) return RG_OK;
    return rg_op_add_scaled(ex, n->saved[DCOMMIT]->data, 1, dout[COMMIT]->data, din[X]->data, count,
                            add);
}

/* Distances to all entries of each layer. */
static int64_t flops(const rg_node *n)
{
    const int64_t *books = n->in[BOOKS]->shape.dim;
    return 2 * rg_shape_count(n->in[X]->shape) * books[1] * ((const rvq_attr *)n->attr)->n_q;
}

#define ATTR(n_q) \
    &(rvq_attr)   \
    {             \
        n_q       \
    }
static const rg_op_case cases[] = {
    {"codes given", {REAL(2, 3, 4), FIXED(3, 5, 4), INTS(0, 4, 2, 3, 3)}, ATTR(3), 0},
    {"fewer layers", {REAL(2, 3, 4), FIXED(3, 5, 4), INTS(0, 4, 2, 3, 3)}, ATTR(2), 0},
    {"chains that end", {REAL(2, 6, 4), FIXED(3, 5, 4), INTS(-1, 4, 2, 6, 3)}, ATTR(3), 0},
    {"wide", {REAL(1, 5, 37), FIXED(4, 70, 37), INTS(0, 69, 1, 5, 4)}, ATTR(4), 0},
    {"one of everything", {REAL(1, 1, 1), FIXED(1, 1, 1), INTS(0, 0, 1, 1, 1)}, ATTR(1), 0},
    {"no steps", {REAL(2, 0, 4), FIXED(2, 5, 4), INTS(0, 4, 2, 0, 2)}, ATTR(2), 0},
};

const rg_op rg_op_rvq = {
    .name = "rvq",
    .n_in = 3,
    .storage = RG_OP_WIDE,
    .n_out = 3,
    .input = {{.name = "x"},
              {.name = "books", .fixed = true},
              {.name = "codes", .type = RG_INPUT_I32, .optional = true}},
    .fixed_out = {false, false, true},
    .straight_through = true,
    .attr_size = sizeof(rvq_attr),
    .flops = flops,
    RG_OP_PARTS,
};

rg_rvq_out rg_rvq(rg_exec *ex, rg_tensor *x, rg_tensor *books, rg_tensor *codes, int32_t n_q)
{
    rg_tensor *out[RG_MAX_OUT] = {0};
    rg_status status =
        rg_apply(ex, &rg_op_rvq, (rg_tensor *[RG_MAX_IN]){x, books, codes}, &(rvq_attr){n_q}, out);
    rg_rvq_out result = {0};
    if (status != RG_OK) return result;
    result.quantized = out[QUANTIZED];
    result.commit = out[COMMIT];
    result.codes = out[CODES_OUT];
    if (out[QUANTIZED]->node) result.residuals = out[QUANTIZED]->node->saved[RESIDUALS];
    return result;
}
