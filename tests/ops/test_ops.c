/*
 * Generic tests of every operator from its table row: gradients in double precision.
 *
 * One idea: nothing here knows an operator; each row of rg_ops brings its cases. A case fails by
 * operator and name. Not here: faster kernels, threads, bits (test_op_levels.c).
 */
#include <inttypes.h>

#include "op_case.h"
#include "test.h"

static const uint32_t all = 0xff;
static rg_exec *ex;
static rg_arena *memory;

static void open_exec(const rg_kernels *kernels)
{
    rg_error err = {0};
    ex = rg_exec_create(&(rg_exec_options){.kernels = kernels, .seed = 3}, &err);
    memory = rg_arena_create((size_t)4 << 30, "test", &err);
    ck_assert_msg(ex && memory, "%s", err.text);
}

static void close_exec(void)
{
    rg_exec_destroy(ex);
    rg_arena_destroy(memory);
}

/* Calls check(d) for every case, and for every case less each of its optional inputs. */
static void for_each_case(void (*check)(const rg_op_data *d))
{
    for (int k = 0; k < RG_OP_COUNT; k++) {
        const rg_op *op = rg_ops[k];
        for (int32_t c = 0; c < op->n_cases; c++)
            for (int32_t drop = -1; drop < op->n_in; drop++) {
                rg_arena_reset(memory);
                if (drop >= 0 && !op->input[drop].optional) continue;
                if (drop >= 0 && op->cases[c].in[drop].kind == RG_CASE_ABSENT) continue;
                if (drop >= 0 && k == RG_OP_concat && drop + 1 < op->n_in &&
                    op->cases[c].in[drop + 1].kind != RG_CASE_ABSENT)
                    continue; /* a gap among the parts is refused */
                rg_op_data d = rg_op_case_of(op, &op->cases[c], drop, memory);
                check(&d);
            }
    }
}

/* sum over outputs of <cotangent, output>, of the outputs in `mask`. */
static double weighted_sum(const rg_op_data *d, uint32_t mask, double *const cotangent[])
{
    rg_tensor *in[RG_MAX_IN], *out[RG_MAX_OUT] = {0};
    double sum = 0;
    rg_step_begin(ex, 7);
    ck_assert_int_eq(rg_op_data_inputs(d, ex, in), RG_OK);
    ck_assert_msg(rg_apply(ex, d->op, in, d->c->attr, out) == RG_OK, "%s", ex->error.text);
    for (int32_t j = 0; j < d->op->n_out; j++) {
        if (!(mask >> j & 1) || !out[j]) continue;
        for (int64_t i = 0; i < rg_shape_count(out[j]->shape); i++)
            sum += cotangent[j][i] * rg_tensor_get(out[j], i);
    }
    return sum;
}

/* Analytic gradients of the outputs in `mask`, through the tape; the cotangents used. */
static void analytic(const rg_op_data *d, uint32_t mask, double *gradient[], double *cotangent[])
{
    rg_tensor *in[RG_MAX_IN], *out[RG_MAX_OUT] = {0}, *wrt[RG_MAX_IN], *got[RG_MAX_IN];
    rg_tensor *roots[RG_MAX_OUT], *seeds[RG_MAX_OUT];
    int32_t n_roots = 0, n_wrt = 0;
    rg_step_begin(ex, 7);
    ck_assert_int_eq(rg_op_data_inputs(d, ex, in), RG_OK);
    ck_assert_msg(rg_apply(ex, d->op, in, d->c->attr, out) == RG_OK, "%s", ex->error.text);
    for (int32_t j = 0; j < d->op->n_out; j++) {
        if (!(mask >> j & 1) || !rg_op_data_flows(d, (const rg_tensor *const *)out, j)) continue;
        cotangent[j] = rg_random_doubles(memory, d->op->name, j, rg_shape_count(out[j]->shape));
        roots[n_roots] = out[j];
        seeds[n_roots++] = rg_tensor_from_doubles(ex, ex->real, out[j]->shape, cotangent[j]);
    }
    for (int32_t i = 0; i < d->op->n_in; i++)
        if (rg_op_data_is_real(d, i)) wrt[n_wrt++] = in[i];
    ck_assert_msg(rg_backward(ex, roots, seeds, n_roots, wrt, n_wrt, got) == RG_OK, "%s: %s",
                  d->name, ex->error.text);
    for (int32_t i = 0, k = 0; i < d->op->n_in; i++)
        if (rg_op_data_is_real(d, i) && got[k++])
            gradient[i] = rg_tensor_doubles(ex, memory, got[k - 1]);
}

/* Every element of input i, signed, against central differences. */
static void check_differences(const rg_op_data *d, uint32_t mask, int32_t i, const double *gradient,
                              double *const cotangent[])
{
    const double eps = 1e-6, atol = 1e-5, rtol = 1e-3;
    for (int64_t k = 0; k < d->n[i]; k++) {
        double kept = d->values[i][k];
        d->values[i][k] = kept + eps;
        double up = weighted_sum(d, mask, cotangent);
        d->values[i][k] = kept - eps;
        double down = weighted_sum(d, mask, cotangent);
        d->values[i][k] = kept;
        double numeric = (up - down) / (2 * eps);
        double err = fabs(gradient[k] - numeric), tol = atol + rtol * fabs(numeric);
        ck_assert_msg(err <= tol,
                      "%s: gradient of %s, element %" PRId64 ": %.9g, central difference %.9g",
                      d->name, d->op->input[i].name, k, gradient[k], numeric);
    }
}

static void check_gradient(const rg_op_data *d)
{
    double *gradient[RG_MAX_IN] = {0}, *cotangent[RG_MAX_OUT] = {0};
    uint32_t mask = d->op->straight_through ? all & ~1u : all;
    for (int32_t j = 0; j < d->op->n_out; j++)
        if (d->op->fixed_out[j]) mask &= ~(1u << j);
    analytic(d, mask, gradient, cotangent);
    for (int32_t i = 0; i < d->op->n_in; i++) {
        if (!rg_op_data_is_real(d, i)) continue;
        ck_assert_msg(gradient[i] != NULL, "%s: no gradient of %s", d->name, d->op->input[i].name);
        check_differences(d, mask, i, gradient[i], cotangent);
    }
}

START_TEST(gradients_are_central_differences)
{
    open_exec(rg_kernels_reference64());
    for_each_case(check_gradient);
    close_exec();
}
END_TEST

/* Of straight-through operators the gradient of output 0 is that of input 0, bit by bit. */
static void check_straight_through(const rg_op_data *d)
{
    double *gradient[RG_MAX_IN] = {0}, *cotangent[RG_MAX_OUT] = {0};
    if (!d->op->straight_through) return;
    analytic(d, 1, gradient, cotangent);
    ck_assert_ptr_nonnull(gradient[0]);
    ck_assert_mem_eq(gradient[0], cotangent[0], (size_t)d->n[0] * sizeof(double));
}

START_TEST(straight_through_copies)
{
    open_exec(rg_kernels_reference64());
    for_each_case(check_straight_through);
    close_exec();
}
END_TEST

static void near(const rg_op_data *d, const char *what, int32_t i, const double *a, const double *b,
                 int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        ck_assert_msg(fabs(a[k] - b[k]) <= 1e-11 * (1 + fabs(b[k])),
                      "%s, %s: gradient of %s, element %" PRId64 ": %.17g, expected %.17g", d->name,
                      what, d->op->input[i].name, k, a[k], b[k]);
}

/* Leaving out a gradient, or asking for one alone, changes no bit of the others. */
static void check_null_gradients(const rg_op_data *d)
{
    rg_op_result whole, part;
    rg_op_run(d, ex, &(rg_op_how){.dout = all, .din = all}, &whole);
    for (int32_t i = 0; i < d->op->n_in; i++) {
        if (!whole.din[i]) continue;
        for (int without = 0; without < 2; without++) {
            uint32_t mask = without ? all & ~(1u << i) : 1u << i;
            rg_op_run(d, ex, &(rg_op_how){.dout = all, .din = mask}, &part);
            for (int32_t k = 0; k < d->op->n_in; k++) {
                ck_assert_msg(!part.din[k] == !(whole.din[k] && mask >> k & 1), "%s", d->name);
                if (part.din[k])
                    ck_assert_msg(
                        !memcmp(part.din[k], whole.din[k], (size_t)whole.n_din[k] * sizeof(double)),
                        "%s: the gradient of %s depends on what else is wanted", d->name,
                        d->op->input[k].name);
            }
        }
    }
}

/* Gradients are linear in what arrives: one output at a time adds up to all at once. */
static void check_null_outputs(const rg_op_data *d)
{
    rg_op_result whole, part;
    double *sum[RG_MAX_IN] = {0};
    int32_t parts = 0;
    rg_op_run(d, ex, &(rg_op_how){.dout = all, .din = all}, &whole);
    for (int32_t i = 0; i < d->op->n_in; i++)
        if (whole.din[i]) sum[i] = rg_arena_zalloc(memory, (size_t)whole.n_din[i] * sizeof(double));
    for (int32_t j = 0; j < d->op->n_out; j++) {
        rg_op_run(d, ex, &(rg_op_how){.dout = 1u << j, .din = all}, &part);
        for (int32_t i = 0; i < d->op->n_in; i++)
            for (int64_t k = 0; part.din[i] && k < part.n_din[i]; k++) sum[i][k] += part.din[i][k];
        parts++;
    }
    for (int32_t i = 0; parts && i < d->op->n_in; i++)
        if (whole.din[i]) near(d, "outputs one by one", i, sum[i], whole.din[i], whole.n_din[i]);
}

/* The gradients in `mask` are added to what is there, the others are not. */
static void check_added(const rg_op_data *d, const rg_op_result *plain, uint32_t mask)
{
    rg_op_result added;
    rg_op_run(d, ex, &(rg_op_how){.dout = all, .din = all, .add = mask}, &added);
    for (int32_t i = 0; i < d->op->n_in; i++) {
        if (!plain->din[i]) continue;
        double *expected = rg_random_doubles(memory, "base", i, plain->n_din[i]);
        for (int64_t k = 0; k < plain->n_din[i]; k++)
            expected[k] = (mask >> i & 1 ? expected[k] : 0) + plain->din[i][k];
        near(d, "accumulating", i, added.din[i], expected, plain->n_din[i]);
    }
}

static void check_accumulate(const rg_op_data *d)
{
    rg_op_result plain;
    rg_op_run(d, ex, &(rg_op_how){.dout = all, .din = all}, &plain);
    check_added(d, &plain, all);
    for (int32_t i = 0; i < d->op->n_in; i++)
        if (plain.din[i]) check_added(d, &plain, 1u << i);
}

START_TEST(null_gradients)
{
    open_exec(rg_kernels_reference64());
    for_each_case(check_null_gradients);
    close_exec();
}
END_TEST

START_TEST(null_outputs)
{
    open_exec(rg_kernels_reference64());
    for_each_case(check_null_outputs);
    close_exec();
}
END_TEST

START_TEST(accumulating)
{
    open_exec(rg_kernels_reference64());
    for_each_case(check_accumulate);
    close_exec();
}
END_TEST

/* The error of rg_apply on broken inputs; the exec is fresh again afterwards. */
static rg_status refusal(const rg_op_data *d, rg_tensor *const in[], char text[RG_ERROR_TEXT])
{
    rg_tensor *out[RG_MAX_OUT];
    rg_status status = rg_apply(ex, d->op, in, d->c->attr, out);
    memcpy(text, ex->error.text, RG_ERROR_TEXT);
    ck_assert_msg(status == RG_OK || (!out[0] && ex->error.code == status), "%s", d->op->name);
    ck_assert_msg(status == RG_OK || !strncmp(text, d->op->name, strlen(d->op->name)),
                  "%s: the error does not name it: %s", d->op->name, text);
    rg_error_clear(&ex->error);
    return status;
}

static void check_refusals(const rg_op_data *d)
{
    char text[RG_ERROR_TEXT];
    rg_step_begin(ex, 1);
    for (int32_t i = 0; i < d->op->n_in; i++) {
        rg_tensor *in[RG_MAX_IN];
        ck_assert_int_eq(rg_op_data_inputs(d, ex, in), RG_OK);
        if (!in[i]) continue;
        rg_tensor changed = *in[i];
        in[i] = &changed;
        changed.dtype = RG_I64;
        ck_assert_int_eq(refusal(d, in, text), RG_ERR_DTYPE);
        ck_assert_msg(strstr(text, d->op->input[i].name), "%s", text);
        changed = *in[i];
        if (d->op->input[i].optional) continue;
        in[i] = NULL;
        ck_assert_int_eq(refusal(d, in, text), RG_ERR_USAGE);
        ck_assert_msg(strstr(text, d->op->input[i].name), "%s", text);
    }
}

START_TEST(wrong_inputs_are_refused)
{
    open_exec(rg_kernels_reference());
    for_each_case(check_refusals);
    close_exec();
}
END_TEST

START_TEST(table_is_whole)
{
#define RG_OP(name) #name,
    static const char *const names[] = {
#include "engine/ops.def"
    };
#undef RG_OP
    ck_assert_int_eq(sizeof names / sizeof names[0], RG_OP_COUNT);
    for (int k = 0; k < RG_OP_COUNT; k++) {
        ck_assert_str_eq(rg_ops[k]->name, names[k]);
        ck_assert_msg(rg_ops[k]->n_cases >= 4, "%s has too few cases", names[k]);
        ck_assert_msg(rg_ops[k]->backward != NULL, "%s has no gradient", names[k]);
        for (int32_t i = 0; i < rg_ops[k]->n_in; i++)
            ck_assert_msg(rg_ops[k]->input[i].name != NULL, "%s, input %d", names[k], i);
    }
}
END_TEST

RG_TEST_MAIN("ops", 300, table_is_whole, gradients_are_central_differences, straight_through_copies,
             null_gradients, null_outputs, accumulating, wrong_inputs_are_refused)
