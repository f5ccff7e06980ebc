/*
 * Operators against the double reference (op_check.h).
 */
#include "engine/op_check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "engine/op_data.h"

enum { RESULTS = RG_MAX_OUT + RG_MAX_IN };
static const double small = 1e-2, small_halves = 1e-1;

/* Outputs, then gradients; NULL: there is none. */
typedef struct results {
    int64_t n[RESULTS];
    double *of[RESULTS];
} results;

static rg_status keep(const rg_op_data *d, rg_exec *ex, const rg_tensor *t, results *r, int32_t k)
{
    if (!t) return RG_OK;
    r->n[k] = rg_shape_count(t->shape);
    r->of[k] = rg_tensor_doubles(ex, d->memory, t);
    return r->of[k] ? RG_OK : rg_exec_fail(ex, RG_ERR_NOMEM, "no memory for results");
}

/* The outputs that pass gradients on, with a random seed for each. */
static int32_t choose_roots(const rg_op_data *d, rg_exec *ex, rg_dtype numbers,
                            rg_tensor *const out[], rg_tensor *roots[], rg_tensor *seeds[])
{
    int32_t n = 0;
    for (int32_t j = 0; j < d->op->n_out; j++) {
        if (!rg_op_data_flows(d, (const rg_tensor *const *)out, j)) continue;
        const int64_t count = rg_shape_count(out[j]->shape);
        double *seed = rg_random_doubles(d->memory, "cotangent", j, count);
        if (seed) rg_round_doubles(seed, count, numbers);
        roots[n] = out[j];
        seeds[n++] = rg_tensor_from_doubles(ex, out[j]->dtype, out[j]->shape, seed);
    }
    return n;
}

static rg_status run_backward(const rg_op_data *d, rg_exec *ex, rg_dtype numbers,
                              rg_tensor *const in[], rg_tensor *const out[], results *r)
{
    rg_tensor *roots[RG_MAX_OUT], *seeds[RG_MAX_OUT], *wrt[RG_MAX_IN], *grads[RG_MAX_IN];
    int32_t index[RG_MAX_IN], n_wrt = 0;
    for (int32_t i = 0; i < d->op->n_in; i++)
        if (rg_op_data_is_real(d, i)) wrt[n_wrt] = in[i], index[n_wrt++] = i;
    const int32_t n_roots = choose_roots(d, ex, numbers, out, roots, seeds);
    RG_TRY(rg_exec_status(ex));
    if (n_roots == 0 || n_wrt == 0 || !d->op->backward) return RG_OK;
    RG_TRY(rg_backward(ex, roots, seeds, n_roots, wrt, n_wrt, grads));
    for (int32_t i = 0; i < n_wrt; i++) RG_TRY(keep(d, ex, grads[i], r, RG_MAX_OUT + index[i]));
    return RG_OK;
}

static rg_status run(const rg_op_data *d, rg_exec *ex, rg_dtype numbers, results *r)
{
    rg_tensor *in[RG_MAX_IN], *out[RG_MAX_OUT] = {0};
    *r = (results){0};
    rg_step_begin(ex, 7);
    RG_TRY(rg_op_data_inputs(d, ex, in));
    RG_TRY(rg_apply(ex, d->op, in, d->c->attr, out));
    for (int32_t j = 0; j < d->op->n_out; j++) RG_TRY(keep(d, ex, out[j], r, j));
    return run_backward(d, ex, numbers, in, out, r);
}

static double rms_of(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i] * values[i];
    return n ? sqrt(sum / (double)n) : 0;
}

/* The greatest error as a share of what is allowed; above 1, or no number, with the place. */
static double compare(const rg_op_data *d, int32_t k, const results *truth, const results *seen,
                      double unit, double least, char *reason, size_t size)
{
    const double *a = truth->of[k], *b = seen->of[k];
    const double factor = d->c->tolerance > 0 ? d->c->tolerance : 1;
    const char *what = k < RG_MAX_OUT ? "output" : "gradient of input";
    double worst = 0;
    if (!a != !b) {
        snprintf(reason, size, "%s: %s %d is there only once", d->name, what, k % RG_MAX_OUT);
        return INFINITY;
    }
    const double rms = a ? rms_of(a, truth->n[k]) : 0;
    for (int64_t i = 0; a && i < truth->n[k]; i++) {
        const double tol = factor * unit * fmax(least, fmax(rms, fabs(a[i])));
        const double share = fabs(a[i] - b[i]) / tol;
        if (share <= worst) continue;
        worst = share;
        if (!(share <= 1)) {
            snprintf(reason, size,
                     "%s: %s %d, element %" PRId64 ": %.9g, the reference %.9g, %.3g allowed",
                     d->name, what, k < RG_MAX_OUT ? k : k - RG_MAX_OUT, i, b[i], a[i], tol);
            return share;
        }
    }
    return worst;
}

static rg_status check_case(const rg_op_data *d, rg_exec *truth, rg_exec *seen, double unit,
                            rg_op_checked *out)
{
    results a, b;
    char reason[sizeof out->reason];
    double worst = 0;
    const rg_dtype numbers = rg_exec_activations(seen);
    const bool halves = seen->stored && d->op->storage != RG_OP_WIDE;
    const double least = halves ? small_halves : small;
    for (int32_t i = 0; i < d->op->n_in; i++)
        if (d->values[i] && d->op->input[i].type == RG_INPUT_REAL)
            rg_round_doubles(d->values[i], d->n[i], numbers);
    RG_TRY(run(d, truth, numbers, &a));
    if (run(d, seen, numbers, &b) != RG_OK) {
        rg_format(reason, sizeof reason, "%s: %s", d->name, seen->error.text);
        seen->error = (rg_error){0};
        worst = INFINITY;
    }
    for (int32_t k = 0; k < RESULTS && worst <= 1; k++) {
        const double share = compare(d, k, &a, &b, unit, least, reason, sizeof reason);
        if (!(share <= worst)) worst = isnan(share) ? INFINITY : share;
    }
    if (!(worst <= 1) && !out->failed++) memcpy(out->reason, reason, sizeof reason);
    if (worst > out->worst) out->worst = worst;
    return RG_OK;
}

static rg_status check_cases(const rg_op *op, rg_arena *memory, rg_exec *truth, rg_exec *seen,
                             double unit, rg_op_checked *out)
{
    for (int32_t c = 0; c < op->n_cases; c++) {
        rg_op_data d;
        rg_arena_reset(memory);
        RG_TRY(rg_op_data_make(op, &op->cases[c], -1, memory, &d));
        RG_TRY(check_case(&d, truth, seen, unit, out));
        out->cases++;
    }
    return RG_OK;
}

rg_status rg_op_check(const rg_op *op, rg_exec *seen, double unit, rg_op_checked *out,
                      rg_error *err)
{
    *out = (rg_op_checked){.name = op->name};
    const rg_exec_options options = {.kernels = rg_kernels_reference64(), .seed = seen->seed};
    rg_arena *memory = rg_arena_create((size_t)1 << 30, "check", err);
    rg_exec *truth = memory ? rg_exec_create(&options, err) : NULL;
    rg_status status = truth ? check_cases(op, memory, truth, seen, unit, out) : err->code;
    if (truth && status != RG_OK)
        rg_fail(err, status, "%s: the reference: %s", op->name,
                truth->error.code ? truth->error.text : rg_status_text(status));
    if (status == RG_OK && out->failed)
        status = rg_fail(err, RG_ERR_NUMERIC, "%.250s", out->reason);
    rg_exec_destroy(truth);
    rg_arena_destroy(memory);
    return status;
}
