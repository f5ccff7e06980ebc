/*
 * embedding: the sum over books of the table rows that codes name; a negative code adds nothing.
 */
#include "ops/op_util.h"

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)attr, (void)type;
    RG_TRY(rg_op_want_rank(ex, in[0], "codes", 1, RG_MAX_DIMS));
    RG_TRY(rg_op_want_rank(ex, in[1], "table", 3, 3));
    const int64_t *table = in[1]->shape.dim;
    rg_shape codes = in[0]->shape;
    RG_TRY(
        rg_op_want_shape(ex, in[1], "table", RG_SHAPE(rg_shape_last(codes), table[1], table[2])));
    out[0] = codes;
    out[0].dim[codes.ndim - 1] = table[2];
    return RG_OK;
}

static rg_embedding_args args_of(const rg_node *n)
{
    const int64_t *table = n->in[1]->shape.dim;
    const rg_embedding_args args = {.codes = n->in[0]->data,
                                    .table = n->in[1]->data,
                                    .y = n->out[0]->data,
                                    .rows = rg_shape_rows(n->in[0]->shape),
                                    .books = table[0],
                                    .entries = table[1],
                                    .channels = table[2]};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_embedding_args args = args_of(n);
    return ex->kernels->embedding.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_embedding_grad_args args = {.fwd = args_of(n),
                                   .dy = dout[0]->data,
                                   .dtable = rg_op_data(din[1]),
                                   .add_dtable = rg_op_adds(din[1])};
    return ex->kernels->embedding.grad(&ex->kernel_ctx, &args);
}

static const rg_op_case cases[] = {
    {"four books", {INTS(0, 6, 2, 3, 4), REAL(4, 7, 5)}, NULL, 0},
    {"some codes negative", {INTS(-2, 4, 2, 9, 2), REAL(2, 5, 3)}, NULL, 0},
    {"one book, repeats", {INTS(0, 1, 30, 1), REAL(1, 2, 4)}, NULL, 2},
    {"all negative", {INTS(-3, -1, 4, 2), REAL(2, 5, 3)}, NULL, 0},
    {"many rows", {INTS(0, 2, 300, 2), REAL(2, 3, 17)}, NULL, 8},
    {"one of everything", {INTS(0, 0, 1, 1), REAL(1, 1, 1)}, NULL, 0},
    {"no rows", {INTS(0, 4, 0, 2), REAL(2, 5, 3)}, NULL, 0},
};

const rg_op rg_op_embedding = {
    .name = "embedding",
    .n_in = 2,
    .n_out = 1,
    .input = {{.name = "codes", .type = RG_INPUT_I32}, {.name = "table", .wide = true}},
    .storage = RG_OP_STORED,
    RG_OP_PARTS,
};

rg_tensor *rg_embedding(rg_exec *ex, rg_tensor *codes, rg_tensor *table)
{
    return rg_op_call(ex, &rg_op_embedding, (rg_tensor *[RG_MAX_IN]){codes, table}, NULL);
}
