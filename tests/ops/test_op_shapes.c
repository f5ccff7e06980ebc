/*
 * Which axes of an operator's inputs are free and which follow from the others, which attributes
 * are refused, and what an operator counts as its arithmetic.
 *
 * One idea: a row holds shapes that fit; then each axis in turn is one longer, and the answers
 * stand in the row as a text.
 * Not here: what is computed (test_ops.c, test_op_facts.c).
 */
#include <stddef.h>

#include "ops/ops.h"
#include "test.h"

#define SHAPE(...)                                                     \
    {                                                                  \
        (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
        {                                                              \
            __VA_ARGS__                                                \
        }                                                              \
    }

/* For each input: its axes, then one more in front and one behind where there may be; '.' is
 * accepted, 'x' refused. */
typedef struct row {
    const rg_op *op;
    const char *attributes_of; /* the operator's test case that has them */
    rg_shape in[RG_MAX_IN];
    const char *longer;
    int64_t flops;
} row;

static const row rows[] = {
    {&rg_op_linear, "plain", {SHAPE(2, 3, 5), SHAPE(5, 4), SHAPE(4)}, "..x.x xxxx xxx", 2 * 6 * 20},
    {&rg_op_conv1d,
     "causal",
     {SHAPE(2, 9, 3), SHAPE(7, 3, 4), SHAPE(4)},
     "..xxx .xxxx xxx",
     2 * 2 * 9 * 4 * 21},
    {&rg_op_conv_tr1d,
     "causal doubling",
     {SHAPE(2, 5, 3), SHAPE(4, 3, 2), SHAPE(2)},
     "..xxx .xxxx xxx",
     2 * 10 * 24},
    {&rg_op_conv2d,
     "same",
     {SHAPE(2, 4, 5, 2), SHAPE(3, 3, 2, 3), SHAPE(3)},
     "...x ..xx xxx",
     2 * 40 * 54},
    {&rg_op_lstm,
     "small",
     {SHAPE(2, 5, 3), SHAPE(3, 16), SHAPE(4, 16), SHAPE(16)},
     "..xxx xxxx xxxx xxx",
     2 * 10 * (48 + 64)},
    {&rg_op_layernorm,
     "residual",
     {SHAPE(2, 3, 5), SHAPE(2, 3, 5), SHAPE(5), SHAPE(5)},
     "xxxxx xxxxx xxx xxx",
     8 * 30},
    {&rg_op_groupnorm, "plain", {SHAPE(2, 3, 5), SHAPE(5), SHAPE(5)}, "..xxx xxx xxx", 8 * 30},
    {&rg_op_attention,
     "self, packed",
     {SHAPE(2, 5, 12), SHAPE(2, 6, 12), SHAPE(5), SHAPE(6), SHAPE(2, 6)},
     "xx.xx xx.xx xxx xxx xxxx",
     4 * 10 * 6 * 4},
    {&rg_op_attention,
     "self, causal",
     {SHAPE(2, 5, 12), SHAPE(2, 6, 12), SHAPE(5), SHAPE(6), SHAPE(2, 6)},
     "xx.xx xx.xx xxx xxx xxxx",
     2 * 10 * 6 * 4},
    {&rg_op_embedding, NULL, {SHAPE(2, 3, 4), SHAPE(4, 7, 5)}, "..x.x x..xx", 0},
    {&rg_op_activation, "elu", {SHAPE(3, 4)}, "....", 0},
    {&rg_op_softmax_ce, "nll", {SHAPE(5, 9), SHAPE(5), SHAPE(5)}, "x.xx xxx xxx", 5 * 45},
    {&rg_op_rvq,
     "codes given",
     {SHAPE(2, 3, 4), SHAPE(3, 5, 4), SHAPE(2, 3, 3)},
     "xxxxx x.xxx xxxxx",
     2 * 24 * 5 * 3},
    {&rg_op_stft, "bare", {SHAPE(2, 30)}, "..xx", 0},
    {&rg_op_spectrogram, "bands", {SHAPE(2, 40), SHAPE(9, 3)}, "..xx x.xx", 0},
    {&rg_op_distance, "l1", {SHAPE(2, 7), SHAPE(2, 7)}, "xxxx xxxx", 0},
    {&rg_op_mean, NULL, {SHAPE(2, 7)}, "....", 0},
    {&rg_op_add, "positions", {SHAPE(2, 3, 4), SHAPE(3, 4)}, ".xx.x xxxx", 0},
    {&rg_op_scale, "half", {SHAPE(2, 3)}, "....", 0},
    {&rg_op_scale, "items", {SHAPE(3, 4, 5), SHAPE(3)}, "x..x. xxx", 0},
    {&rg_op_concat,
     "steps",
     {SHAPE(2, 3, 4), SHAPE(2, 1, 4), SHAPE(2, 2, 4)},
     "x.xxx x.xxx x.xxx",
     0},
    {&rg_op_slice, "steps", {SHAPE(2, 5, 3)}, "...x.", 0},
    {&rg_op_dropout, "half", {SHAPE(4, 2)}, "....", 0},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static rg_exec *ex;

static void open_exec(void)
{
    rg_error err = {0};
    ex = rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_reference64()}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_step_begin(ex, 0);
}

static const void *attributes(const row *r)
{
    for (int32_t i = 0; r->attributes_of && i < r->op->n_cases; i++)
        if (!strcmp(r->op->cases[i].name, r->attributes_of)) return r->op->cases[i].attr;
    ck_assert_msg(!r->attributes_of, "%s has no case '%s'", r->op->name, r->attributes_of);
    return NULL;
}

/* Runs an operator on zeros; false when it refused the shapes. */
static bool runs(const rg_op *op, const rg_shape *shapes, const void *attr)
{
    static const rg_dtype types[] = {[RG_INPUT_REAL] = RG_F64,
                                     [RG_INPUT_F32] = RG_F32,
                                     [RG_INPUT_I32] = RG_I32,
                                     [RG_INPUT_U8] = RG_U8};
    rg_tensor *in[RG_MAX_IN] = {0}, *out[RG_MAX_OUT] = {0};
    rg_step_begin(ex, 0);
    for (int32_t i = 0; i < op->n_in; i++) {
        if (!shapes[i].ndim) continue;
        in[i] = rg_tensor_new(ex, types[op->input[i].type], shapes[i]);
        ck_assert_msg(in[i] != NULL, "%s", ex->error.text);
        memset(in[i]->data, 0, (size_t)rg_shape_count(shapes[i]) * rg_dtype_size(in[i]->dtype));
    }
    if (rg_apply(ex, op, in, attr, out) == RG_OK) return true;
    ck_assert_msg(ex->error.code == RG_ERR_SHAPE, "%s: %s", op->name, ex->error.text);
    return false;
}

/* Axis `axis` of an input one longer; the two behind the last: one more axis in front, or one
 * behind. */
static bool runs_longer(const row *r, int32_t input, int32_t axis)
{
    rg_shape shapes[RG_MAX_IN];
    memcpy(shapes, r->in, sizeof shapes);
    rg_shape *s = shapes + input;
    if (axis < s->ndim)
        s->dim[axis]++;
    else {
        if (axis == s->ndim) memmove(s->dim + 1, s->dim, (size_t)s->ndim * sizeof *s->dim);
        s->dim[axis == s->ndim ? 0 : s->ndim] = 1;
        s->ndim++;
    }
    bool ok = runs(r->op, shapes, attributes(r));
    if (!ok) rg_error_clear(&ex->error);
    return ok;
}

START_TEST(axes_are_free_or_follow)
{
    open_exec();
    for (const row *r = rows; r < rows + ROWS; r++) {
        char seen[128] = "";
        size_t n = 0;
        for (int32_t i = 0; i < r->op->n_in && r->in[i].ndim; i++) {
            if (i > 0) seen[n++] = ' ';
            int32_t tries = r->in[i].ndim + (r->in[i].ndim < RG_MAX_DIMS ? 2 : 0);
            for (int32_t axis = 0; axis < tries; axis++)
                seen[n++] = runs_longer(r, i, axis) ? '.' : 'x';
        }
        seen[n] = 0;
        ck_assert_msg(!strcmp(seen, r->longer), "%s: '%s', not '%s'", r->op->name, seen, r->longer);
    }
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(arithmetic_is_counted)
{
    open_exec();
    for (const row *r = rows; r < rows + ROWS; r++) {
        ck_assert_msg(runs(r->op, r->in, attributes(r)), "%s", ex->error.text);
        ck_assert_msg(ex->flops == r->flops, "%s: %lld, not %lld", r->op->name,
                      (long long)ex->flops, (long long)r->flops);
    }
    rg_exec_destroy(ex);
}
END_TEST

/* Attributes that the operators' own functions pass on as they are. */
typedef struct change {
    const rg_op *op;
    size_t at, size; /* of an integer in the attributes */
    int64_t value;
    const char *refusal; /* what the message names; NULL: accepted */
} change;

#define AT(type, field) offsetof(type, field), sizeof(((type *)NULL)->field)
enum { BEYOND = (1 << 30) + 1 };

static const change changes[] = {
    {&rg_op_conv1d, AT(rg_conv1d_attr, stride), 0, "stride"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, stride), BEYOND, "stride"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, dilation), 0, "dilation"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, dilation), BEYOND, "dilation"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, pad_left), -1, "pad_left"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, pad_left), BEYOND, "pad_left"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, pad_right), -1, "pad_right"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, pad_right), BEYOND, "pad_right"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, pad_mode), RG_PAD_COUNT, "pad_mode"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, pad_mode), RG_PAD_COUNT - 1, NULL},
    {&rg_op_conv1d, AT(rg_conv1d_attr, act_in), RG_ACT_COUNT, "act_in"},
    {&rg_op_conv1d, AT(rg_conv1d_attr, act_in), RG_ACT_COUNT - 1, NULL},
    {&rg_op_conv_tr1d, AT(rg_conv_tr1d_attr, stride), 0, "stride"},
    {&rg_op_conv_tr1d, AT(rg_conv_tr1d_attr, stride), BEYOND, "stride"},
    {&rg_op_conv_tr1d, AT(rg_conv_tr1d_attr, trim_left), -1, "trim_left"},
    {&rg_op_conv_tr1d, AT(rg_conv_tr1d_attr, trim_right), -1, "trim_right"},
    {&rg_op_conv_tr1d, AT(rg_conv_tr1d_attr, trim_right), 12, NULL},
    {&rg_op_conv_tr1d, AT(rg_conv_tr1d_attr, trim_right), 13, "trims"},
    {&rg_op_conv_tr1d, AT(rg_conv_tr1d_attr, act_in), RG_ACT_COUNT, "act_in"},
    {&rg_op_conv_tr1d, AT(rg_conv_tr1d_attr, act_in), RG_ACT_COUNT - 1, NULL},
    {&rg_op_conv2d, AT(rg_conv2d_attr, stride_h), 0, "stride_h"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, stride_h), BEYOND, "stride_h"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, stride_w), 0, "stride_w"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, stride_w), BEYOND, "stride_w"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, dilation_h), 0, "dilation_h"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, dilation_h), BEYOND, "dilation_h"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, dilation_w), 0, "dilation_w"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, dilation_w), BEYOND, "dilation_w"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, pad_h), -1, "pad_h"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, pad_h), BEYOND, "pad_h"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, pad_w), -1, "pad_w"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, pad_w), BEYOND, "pad_w"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, act), RG_ACT_GELU, "act"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, act), RG_ACT_LEAKY_RELU, NULL},
    {&rg_op_conv2d, AT(rg_conv2d_attr, dilation_h), 3, "too small"},
    {&rg_op_conv2d, AT(rg_conv2d_attr, dilation_w), 4, "too small"},
    {&rg_op_attention, AT(rg_attention_attr, heads), 0, "heads"},
    {&rg_op_attention, AT(rg_attention_attr, heads), 5, "channels"},
    {&rg_op_attention, AT(rg_attention_attr, heads), 3, "remainder"},
    {&rg_op_attention, AT(rg_attention_attr, q_column), 8, NULL},
    {&rg_op_attention, AT(rg_attention_attr, q_column), 9, "q_column"},
    {&rg_op_attention, AT(rg_attention_attr, q_column), -1, "q_column"},
    {&rg_op_attention, AT(rg_attention_attr, k_column), 9, "k_column"},
    {&rg_op_attention, AT(rg_attention_attr, k_column), -1, "k_column"},
    {&rg_op_attention, AT(rg_attention_attr, v_column), 9, "v_column"},
    {&rg_op_attention, AT(rg_attention_attr, v_column), -1, "v_column"},
    {&rg_op_stft, AT(rg_stft_attr, n_fft), 0, "n_fft"},
    {&rg_op_stft, AT(rg_stft_attr, n_fft), 2, NULL},
    {&rg_op_stft, AT(rg_stft_attr, n_fft), 9, "n_fft"},
    {&rg_op_stft, AT(rg_stft_attr, n_fft), (1 << 20) + 2, "n_fft"},
    {&rg_op_stft, AT(rg_stft_attr, hop), 0, "hop"},
    {&rg_op_stft, AT(rg_stft_attr, hop), BEYOND, "hop"},
    {&rg_op_stft, AT(rg_stft_attr, frames), -1, "frames"},
    {&rg_op_stft, AT(rg_stft_attr, frames), BEYOND, "frames"},
    {&rg_op_stft, AT(rg_stft_attr, pad_mode), RG_PAD_COUNT, "pad_mode"},
    {&rg_op_stft, AT(rg_stft_attr, pad_mode), RG_PAD_COUNT - 1, NULL},
    {&rg_op_stft, AT(rg_stft_attr, pad_left), -1, "pad_left"},
    {&rg_op_stft, AT(rg_stft_attr, pad_left), BEYOND, "pad_left"},
    {&rg_op_stft, AT(rg_stft_attr, pad_right), -1, "pad_right"},
    {&rg_op_stft, AT(rg_stft_attr, pad_right), BEYOND, "pad_right"},
};

static const row *row_of(const rg_op *op)
{
    for (const row *r = rows; r < rows + ROWS; r++)
        if (r->op == op) return r;
    ck_abort_msg("%s has no row", op->name);
    return NULL;
}

static void try_change(const change *c)
{
    const row *r = row_of(c->op);
    _Alignas(16) char attr[256];
    int32_t small = (int32_t)c->value;
    ck_assert(r->op->attr_size <= sizeof attr);
    memcpy(attr, attributes(r), r->op->attr_size);
    if (c->size == sizeof small)
        memcpy(attr + c->at, &small, sizeof small);
    else
        memcpy(attr + c->at, &c->value, sizeof c->value);
    bool ok = runs(r->op, r->in, attr);
    ck_assert_msg(ok == !c->refusal, "%s, %s %lld: %s", r->op->name,
                  c->refusal ? c->refusal : "accepted", (long long)c->value, ex->error.text);
    ck_assert_msg(ok || strstr(ex->error.text, c->refusal), "'%s' does not name '%s'",
                  ex->error.text, c->refusal);
    rg_error_clear(&ex->error);
}

START_TEST(attributes_have_limits)
{
    open_exec();
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) try_change(changes + i);
    rg_exec_destroy(ex);
}
END_TEST

static void refused(const rg_tensor *t, const char *says)
{
    ck_assert_ptr_null(t);
    ck_assert_msg(strstr(ex->error.text, says), "'%s' does not say '%s'", ex->error.text, says);
    rg_error_clear(&ex->error);
}

/* Attributes that only the functions take. */
START_TEST(choices_have_limits)
{
    open_exec();
    rg_tensor *x = rg_tensor_new(ex, RG_F64, RG_SHAPE(2, 16)),
              *w = rg_tensor_new(ex, RG_F64, RG_SHAPE(16, 2)), *log_y;
    memset(x->data, 0, 32 * sizeof(double));
    memset(w->data, 0, 32 * sizeof(double));
    refused(rg_activation(ex, x, RG_ACT_COUNT, 0), "act");
    refused(rg_linear(ex, x, w, NULL, RG_ACT_COUNT), "act");
    refused(rg_distance(ex, x, x, RG_DISTANCE_COUNT), "kind");
    refused(rg_dropout(ex, x, 1), "[0, 1)");
    refused(rg_dropout(ex, x, -0.5), "[0, 1)");
    ck_assert_ptr_eq(rg_dropout(ex, x, 0), x);
    refused(rg_slice(ex, x, -1, 0, 1), "axis");
    refused(rg_slice(ex, x, 1, -1, 1), "start");
    refused(rg_slice(ex, x, 1, 17, 0), "start");
    refused(rg_slice(ex, x, 1, 0, -1), "length");
    ck_assert_ptr_nonnull(rg_slice(ex, x, 1, 16, 0));
    rg_tensor *one = rg_tensor_new(ex, RG_F64, RG_SHAPE(7)), /* one row is a row too */
        *target = rg_tensor_from_ints(ex, RG_SHAPE(1), (const int32_t[]){0});
    refused(rg_softmax_ce(ex, one, target, NULL, NULL), "targets");
    rg_conv1d_attr plain = {.stride = 1, .dilation = 1};
    refused(rg_conv1d(ex, rg_tensor_new(ex, RG_F64, RG_SHAPE(1, 9, 3)),
                      rg_tensor_new(ex, RG_F64, RG_SHAPE(7, 3, 4, 1)), NULL, &plain),
            "w is (7,3,4,1)");
    rg_stft_attr reflect = {.n_fft = 8, .hop = 4, .pad_right = 15, .pad_mode = RG_PAD_REFLECT};
    ck_assert_ptr_nonnull(rg_stft(ex, x, &reflect));
    reflect.pad_right = 16;
    refused(rg_stft(ex, x, &reflect), "pad_right");
    rg_spectrogram_attr a = {.stft = {.n_fft = 8, .hop = 4}, .power = 0};
    refused(rg_spectrogram(ex, x, NULL, &a, NULL), "power");
    a.power = 1;
    refused(rg_spectrogram(ex, x, NULL, &a, &log_y), "log_floor");
    ck_assert_ptr_nonnull(rg_spectrogram(ex, x, NULL, &a, NULL));
    rg_exec_destroy(ex);
}
END_TEST

/* What is compared with takes no gradient. */
START_TEST(targets_take_no_gradient)
{
    open_exec();
    rg_tensor *a = rg_tensor_from_floats(ex, RG_SHAPE(2), (const float[]){1, 2}),
              *b = rg_tensor_from_floats(ex, RG_SHAPE(2), (const float[]){2, 4}), *g[2];
    rg_tensor *loss = rg_distance(ex, a, b, RG_DISTANCE_MSE);
    RG_ASSERT_OK(rg_backward(ex, &loss, NULL, 1, (rg_tensor *[]){a, b}, 2, g), &ex->error);
    RG_ASSERT_NEAR(rg_tensor_get(g[0], 1), -2, 1e-12);
    ck_assert(!g[1] || rg_tensor_get(g[1], 1) == 0);
    rg_exec_destroy(ex);
}
END_TEST

RG_TEST_MAIN("op shapes", 60, axes_are_free_or_follow, arithmetic_is_counted,
             attributes_have_limits, choices_have_limits, targets_take_no_gradient)
