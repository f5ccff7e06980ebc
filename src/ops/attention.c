/*
 * attention: softmax(q k^T / sqrt(D)) v over the allowed keys, heads side by side in the rows.
 *
 * One idea: q, k and v are column blocks of wider rows, so that one linear makes all three and
 * nothing is copied. Self-attention passes the same tensor twice. The log-sum-exp per query is
 * saved; the scores are not.
 */
#include "ops/op_util.h"

enum { Q_SOURCE, KV_SOURCE, Q_POS, K_POS, KEY_MASK };

static rg_status check_columns(rg_exec *ex, const rg_attention_attr *a, int64_t c_q, int64_t c_k)
{
    RG_TRY(rg_op_want_between(ex, "heads", a->heads, 1, INT32_MAX));
    RG_TRY(rg_op_want_between(ex, "channels", a->channels, a->heads, INT32_MAX));
    RG_TRY(rg_op_want_between(ex, "channels over heads, remainder", a->channels % a->heads, 0, 0));
    if (a->rope_base > 0)
        RG_TRY(rg_op_want_between(ex, "channels per head, remainder by 2 (rotary)",
                                  a->channels / a->heads % 2, 0, 0));
    RG_TRY(rg_op_want_between(ex, "q_column", a->q_column, 0, c_q - a->channels));
    RG_TRY(rg_op_want_between(ex, "k_column", a->k_column, 0, c_k - a->channels));
    return rg_op_want_between(ex, "v_column", a->v_column, 0, c_k - a->channels);
}

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    const rg_attention_attr *a = attr;
    RG_TRY(rg_op_want_rank(ex, in[Q_SOURCE], "q_source", 3, 3));
    RG_TRY(rg_op_want_rank(ex, in[KV_SOURCE], "kv_source", 3, 3));
    const int64_t *q = in[Q_SOURCE]->shape.dim, *k = in[KV_SOURCE]->shape.dim;
    RG_TRY(rg_op_want_shape(ex, in[KV_SOURCE], "kv_source", RG_SHAPE(q[0], k[1], k[2])));
    RG_TRY(rg_op_want_shape(ex, in[Q_POS], "q_pos", RG_SHAPE(q[1])));
    RG_TRY(rg_op_want_shape(ex, in[K_POS], "k_pos", RG_SHAPE(k[1])));
    RG_TRY(rg_op_want_shape(ex, in[KEY_MASK], "key_mask", RG_SHAPE(q[0], k[1])));
    RG_TRY(check_columns(ex, a, q[2], k[2]));
    out[0] = RG_SHAPE(q[0], q[1], a->channels);
    return RG_OK;
}

static rg_attention_args args_of(const rg_exec *ex, const rg_node *n)
{
    const rg_attention_attr *a = n->attr;
    const rg_tensor *q = n->in[Q_SOURCE], *kv = n->in[KV_SOURCE];
    const rg_attention_args args = {.q = rg_op_at(ex, q->data, a->q_column),
                                    .k = rg_op_at(ex, kv->data, a->k_column),
                                    .v = rg_op_at(ex, kv->data, a->v_column),
                                    .ld_q = q->shape.dim[2],
                                    .ld_k = kv->shape.dim[2],
                                    .ld_v = kv->shape.dim[2],
                                    .q_pos = rg_op_data(n->in[Q_POS]),
                                    .k_pos = rg_op_data(n->in[K_POS]),
                                    .key_mask = rg_op_data(n->in[KEY_MASK]),
                                    .out = n->out[0]->data,
                                    .lse = rg_op_data(n->saved[0]),
                                    .batch = q->shape.dim[0],
                                    .heads = a->heads,
                                    .t_q = q->shape.dim[1],
                                    .t_k = kv->shape.dim[1],
                                    .head_dim = a->channels / a->heads,
                                    .causal = a->causal,
                                    .window = a->window,
                                    .rope_base = a->rope_base};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    const rg_attention_attr *a = n->attr;
    const int64_t *q = n->in[Q_SOURCE]->shape.dim;
    RG_TRY(rg_op_save(ex, n, 0, ex->real, RG_SHAPE(q[0], a->heads, q[1])));
    rg_attention_args args = args_of(ex, n);
    return ex->kernels->attention.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    const rg_attention_attr *a = n->attr;
    rg_op_start_sum(ex, din[Q_SOURCE]); /* the kernel always adds */
    rg_op_start_sum(ex, din[KV_SOURCE]);
    rg_attention_grad_args args = {.fwd = args_of(ex, n),
                                   .dout = dout[0]->data,
                                   .dq = rg_op_at(ex, rg_op_data(din[Q_SOURCE]), a->q_column),
                                   .dk = rg_op_at(ex, rg_op_data(din[KV_SOURCE]), a->k_column),
                                   .dv = rg_op_at(ex, rg_op_data(din[KV_SOURCE]), a->v_column)};
    return ex->kernels->attention.grad(&ex->kernel_ctx, &args);
}

/* Two products over all pairs; half of them when causal. */
static int64_t flops(const rg_node *n)
{
    const rg_attention_attr *a = n->attr;
    int64_t pairs = rg_shape_rows(n->in[Q_SOURCE]->shape) * n->in[KV_SOURCE]->shape.dim[1];
    return 4 * pairs * a->channels / (a->causal ? 2 : 1);
}

/* heads, channels, columns of q, k, v, causal, window, rope */
#define ATTR(...)        \
    &(rg_attention_attr) \
    {                    \
        __VA_ARGS__      \
    }
static const rg_op_case cases[] = {
    {"self, packed", {REAL(2, 5, 12), SAME(0)}, ATTR(2, 4, 0, 4, 8, false, -1, 0), 0},
    {"self, causal", {REAL(2, 6, 12), SAME(0)}, ATTR(2, 4, 0, 4, 8, true, -1, 0), 0},
    {"self, causal, rope", {REAL(1, 6, 12), SAME(0)}, ATTR(1, 4, 0, 4, 8, true, -1, 100), 0},
    {"self, one block read twice", {REAL(2, 4, 6), SAME(0)}, ATTR(1, 4, 1, 2, 2, false, -1, 0), 0},
    {"cross", {REAL(2, 3, 4), REAL(2, 5, 8)}, ATTR(2, 4, 0, 0, 4, false, -1, 0), 0},
    {"cross, wider sources", {REAL(2, 3, 7), REAL(2, 5, 11)}, ATTR(2, 4, 2, 1, 6, false, -1, 0), 0},
    {"cross, masked",
     {REAL(2, 3, 4), REAL(2, 6, 8), ABSENT, ABSENT, MASK(.5, 2, 6)},
     ATTR(2, 4, 0, 0, 4, false, -1, 0),
     0},
    {"banded by positions",
     {REAL(1, 4, 4), REAL(1, 7, 8), COUNT(0, 2, 4), COUNT(.5, 1, 7)},
     ATTR(2, 4, 0, 0, 4, false, 1.5, 0),
     0},
    {"queries without keys",
     {REAL(1, 4, 4), REAL(1, 3, 8), COUNT(0, 4, 4), COUNT(1, 1, 3)},
     ATTR(1, 4, 0, 0, 4, false, 1, 0),
     4},
    {"causal by positions",
     {REAL(2, 3, 4), REAL(2, 6, 8), COUNT(3, 1, 3), COUNT(0, 1, 6)},
     ATTR(1, 4, 0, 0, 4, true, -1, 0),
     0},
    {"all at once",
     {REAL(2, 6, 24), SAME(0), COUNT(5, .5, 6), COUNT(5, .5, 6), MASK(.7, 2, 6)},
     ATTR(2, 8, 0, 8, 16, true, 2, 50),
     0},
    {"rope, window 0", {REAL(1, 5, 12), SAME(0)}, ATTR(1, 4, 0, 4, 8, false, 0, 10), 4},
    {"long", {REAL(1, 70, 12), SAME(0)}, ATTR(1, 4, 0, 4, 8, true, -1, 0), 2},
    {"one of everything", {REAL(1, 1, 3), SAME(0)}, ATTR(1, 1, 0, 1, 2, false, -1, 0), 0},
    {"no queries", {REAL(2, 0, 4), REAL(2, 5, 8)}, ATTR(2, 4, 0, 0, 4, false, -1, 0), 0},
    {"no keys", {REAL(2, 3, 4), REAL(2, 0, 8)}, ATTR(2, 4, 0, 0, 4, false, -1, 0), 0},
};

const rg_op rg_op_attention = {
    .name = "attention",
    .n_in = 5,
    .n_out = 1,
    .input = {{.name = "q_source"},
              {.name = "kv_source"},
              {.name = "q_pos", .type = RG_INPUT_F32, .optional = true},
              {.name = "k_pos", .type = RG_INPUT_F32, .optional = true},
              {.name = "key_mask", .type = RG_INPUT_U8, .optional = true}},
    .storage = RG_OP_STORED,
    .attr_size = sizeof(rg_attention_attr),
    .flops = flops,
    RG_OP_PARTS,
};

rg_tensor *rg_attention(rg_exec *ex, rg_tensor *q_source, rg_tensor *kv_source, rg_tensor *q_pos,
                        rg_tensor *k_pos, rg_tensor *key_mask, const rg_attention_attr *attr)
{
    return rg_op_call(ex, &rg_op_attention,
                      (rg_tensor *[RG_MAX_IN]){q_source, kv_source, q_pos, k_pos, key_mask}, attr);
}
