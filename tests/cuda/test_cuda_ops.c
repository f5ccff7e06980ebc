/*
 * Operators on a device against the double reference: every case of every operator, as the engine
 * runs it: forward, then rg_backward with random seeds.
 *
 * One idea: the same numbers go through two execs, one over device memory. What is compared has
 * crossed the door between host and device, both ways.
 */
#include <inttypes.h>

#include "op_case.h"
#include "test.h"

static const double unit = 2e-5, small = 1e-2;
static rg_arena *memory;

typedef struct results {
    int64_t n[RG_MAX_OUT + RG_MAX_IN];
    double *of[RG_MAX_OUT + RG_MAX_IN]; /* outputs, then gradients; NULL: there is none */
} results;

static double *doubles_of(const rg_tensor *t)
{
    const int64_t n = rg_shape_count(t->shape);
    double *values = rg_arena_alloc(memory, (size_t)n * sizeof *values);
    float *floats = rg_arena_alloc(memory, (size_t)n * sizeof *floats);
    ck_assert_msg(values && floats, "the test's arena is full");
    if (t->dtype == RG_F64) return rg_tensor_doubles(memory, t);
    rg_tensor_floats(t, 0, n, floats);
    for (int64_t i = 0; i < n; i++) values[i] = floats[i];
    return values;
}

/* The outputs that pass gradients on, with a random seed for each. */
static int32_t choose_roots(const rg_op_data *d, rg_exec *ex, rg_tensor *const out[],
                            rg_tensor *roots[], rg_tensor *seeds[])
{
    int32_t n = 0;
    for (int32_t j = 0; j < d->op->n_out; j++) {
        if (!rg_op_data_flows(d, (const rg_tensor *const *)out, j)) continue;
        const double *v = rg_random_doubles(memory, "cotangent", j, rg_shape_count(out[j]->shape));
        roots[n] = out[j];
        seeds[n++] = rg_tensor_from_doubles(ex, out[j]->shape, v);
    }
    return n;
}

static void run_backward(const rg_op_data *d, rg_exec *ex, rg_tensor *const in[],
                         rg_tensor *const out[], results *r)
{
    rg_tensor *roots[RG_MAX_OUT], *seeds[RG_MAX_OUT], *wrt[RG_MAX_IN], *grads[RG_MAX_IN];
    int32_t index[RG_MAX_IN], n_wrt = 0;
    for (int32_t i = 0; i < d->op->n_in; i++)
        if (rg_op_data_is_real(d, i)) wrt[n_wrt] = in[i], index[n_wrt++] = i;
    const int32_t n_roots = choose_roots(d, ex, out, roots, seeds);
    if (n_roots == 0 || n_wrt == 0 || !d->op->backward) return;
    const rg_status status = rg_backward(ex, roots, seeds, n_roots, wrt, n_wrt, grads);
    ck_assert_msg(status == RG_OK, "%s: %s", rg_op_data_name(d), ex->error.text);
    for (int32_t i = 0; i < n_wrt; i++) {
        if (!grads[i]) continue;
        r->n[RG_MAX_OUT + index[i]] = rg_shape_count(grads[i]->shape);
        r->of[RG_MAX_OUT + index[i]] = doubles_of(grads[i]);
    }
}

static void run(const rg_op_data *d, rg_exec *ex, results *r)
{
    rg_tensor *in[RG_MAX_IN], *out[RG_MAX_OUT] = {0};
    *r = (results){0};
    rg_step_begin(ex, 7);
    rg_op_data_inputs(d, ex, in);
    const rg_status status = rg_apply(ex, d->op, in, d->c->attr, out);
    ck_assert_msg(status == RG_OK, "%s: %s", rg_op_data_name(d), ex->error.text);
    for (int32_t j = 0; j < d->op->n_out; j++) {
        if (!out[j]) continue;
        r->n[j] = rg_shape_count(out[j]->shape);
        r->of[j] = doubles_of(out[j]);
    }
    run_backward(d, ex, in, out, r);
}

static double rms_of(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i] * values[i];
    return n ? sqrt(sum / (double)n) : 0;
}

static void compare(const rg_op_data *d, int32_t k, const results *truth, const results *seen)
{
    const double *a = truth->of[k], *b = seen->of[k];
    ck_assert_msg(!a == !b, "%s: result %d is there only once", rg_op_data_name(d), k);
    if (!a) return;
    const double size = rms_of(a, truth->n[k]), factor = d->c->tolerance > 0 ? d->c->tolerance : 1;
    for (int64_t i = 0; i < truth->n[k]; i++) {
        const double tol = factor * unit * fmax(small, fmax(size, fabs(a[i])));
        ck_assert_msg(fabs(a[i] - b[i]) <= tol,
                      "%s: result %d, element %" PRId64 ": %.9g, the reference %.9g, allowed %.3g",
                      rg_op_data_name(d), k, i, b[i], a[i], tol);
    }
}

START_TEST(operators_agree_with_the_reference)
{
    rg_error err = {0};
    memory = rg_arena_create((size_t)1 << 30, "test", &err);
    rg_gpu *gpu = rg_gpu_open(0, &err);
    ck_assert_msg(memory && gpu, "%s", err.text);
    const rg_exec_options host = {.kernels = rg_kernels_reference64(), .seed = 3};
    const rg_exec_options device = {.kernels = rg_gpu_kernels(gpu, RG_F32, &err),
                                    .gpu = gpu,
                                    .seed = 3,
                                    .step_bytes = (size_t)256 << 20,
                                    .scratch_bytes = (size_t)256 << 20,
                                    .persist_bytes = (size_t)16 << 20};
    rg_exec *truth = rg_exec_create(&host, &err), *seen = rg_exec_create(&device, &err);
    ck_assert_msg(truth && seen, "%s", err.text);
    for (int k = 0; k < RG_OP_COUNT; k++)
        for (int32_t c = 0; c < rg_ops[k]->n_cases; c++) {
            results a, b;
            rg_arena_reset(memory);
            const rg_op_data d = rg_op_data_make(rg_ops[k], &rg_ops[k]->cases[c], -1, memory);
            run(&d, truth, &a);
            run(&d, seen, &b);
            for (int32_t i = 0; i < RG_MAX_OUT + RG_MAX_IN; i++) compare(&d, i, &a, &b);
        }
    rg_exec_destroy(truth);
    rg_exec_destroy(seen);
    rg_gpu_close(gpu);
    rg_arena_destroy(memory);
}
END_TEST

RG_TEST_MAIN("cuda operators", 300, operators_agree_with_the_reference)
