/*
 * The reference's gradients against central differences of its forward calls, in double.
 *
 * One idea: a gradient call names its cotangents "d<output>" and its results "d<input>", so one
 * loop checks every slot: d/dx of sum(cotangent * output), elementwise and signed, with random
 * cotangents. Also here, for all slots: what the accumulate flags mean.
 */
#include "kernel_cases.h"
#include "test.h"

enum { SAMPLES = 11 }; /* elements probed per input: the ends and some between */
static const double step = 1e-5;
static const rg_variant plain = {.packed = RG_DTYPE_COUNT};

static rg_arena *memory_make(void)
{
    rg_error err = {0};
    rg_arena *memory = rg_arena_create((size_t)1 << 32, "test values", &err);
    ck_assert_msg(memory != NULL, "%s", err.text);
    return memory;
}

/* Sum over the cotangents that the gradient call is given of cotangent * output. */
static double objective(const rg_call *forward, const rg_call *grad)
{
    rg_outcome out;
    rg_call_run(forward, rg_kernels_reference64(), &plain, &out);
    RG_ASSERT_OK(out.status, &out.error);
    double sum = 0;
    for (int32_t i = 0; i < grad->n_fields; i++) {
        const rg_call_field *d = &grad->fields[i];
        for (int32_t j = 0; !d->out && d->name[0] == 'd' && j < forward->n_fields; j++) {
            if (strcmp(d->name + 1, forward->fields[j].name) || !forward->fields[j].out) continue;
            for (int64_t e = 0; e < d->n; e++) sum += d->values[e] * out.values[j][e];
        }
    }
    return sum;
}

static void check_input(rg_call *forward, const rg_call *grad, rg_call_field *input,
                        const double *expected)
{
    for (int64_t s = 0; s < SAMPLES && s < input->n; s++) {
        const int64_t e = input->n <= SAMPLES ? s : s * (input->n - 1) / (SAMPLES - 1);
        const rg_arena_mark mark = rg_arena_save(forward->memory);
        const double kept = input->values[e];
        input->values[e] = kept + step;
        const double above = objective(forward, grad);
        input->values[e] = kept - step;
        const double below = objective(forward, grad);
        input->values[e] = kept;
        rg_arena_restore(forward->memory, mark);
        const double numeric = (above - below) / (2 * step);
        const double tolerance = 2e-5 * (1 + fabs(numeric));
        ck_assert_msg(fabs(numeric - expected[e]) <= tolerance,
                      "%s: d%s[%lld] = %.9g, by differences %.9g", grad->name, input->name,
                      (long long)e, expected[e], numeric);
    }
}

/* The gradient that belongs to an input; the residual of a layernorm shares that of x. */
static const double *gradient_of(const rg_call *grad, const rg_outcome *out, const char *input)
{
    const char *name = strcmp(input, "residual") ? input : "x";
    for (int32_t i = 0; i < grad->n_fields; i++)
        if (grad->fields[i].out && grad->fields[i].name[0] == 'd' &&
            !strcmp(grad->fields[i].name + 1, name))
            return out->values[i];
    return NULL;
}

/* Gradients that are always added to (attention) start from zero here. */
static void clear_outputs(rg_call *c)
{
    for (int32_t i = 0; i < c->n_fields; i++)
        for (int64_t e = 0; c->fields[i].out && e < c->fields[i].n; e++) c->fields[i].values[e] = 0;
}

START_TEST(test_differences)
{
    rg_arena *memory = memory_make();
    int64_t checked = 0;
    for (int32_t i = 0; i < rg_kernel_case_count(); i++) {
        if (!rg_kernel_case_has_grad(i) || !strcmp(rg_kernel_case_slot(i), "add") ||
            !strcmp(rg_kernel_case_slot(i), "weight_norm"))
            continue; /* their gradient structs are not forward + cotangent: test_reference.c */
        rg_call forward, grad;
        rg_outcome out;
        rg_kernel_case_build(i, false, memory, &forward);
        rg_kernel_case_build(i, true, memory, &grad);
        clear_outputs(&grad);
        rg_call_run(&grad, rg_kernels_reference64(), &plain, &out);
        RG_ASSERT_OK(out.status, &out.error);
        for (int32_t f = 0; f < forward.n_fields; f++) {
            const double *expected = gradient_of(&grad, &out, forward.fields[f].name);
            if (forward.fields[f].out || !expected) continue;
            check_input(&forward, &grad, &forward.fields[f], expected);
            checked++;
        }
        rg_arena_reset(memory);
    }
    ck_assert_int_gt(checked, 150);
    rg_arena_destroy(memory);
}
END_TEST

/* With the accumulate flag: what was there plus what the call writes without it. */
START_TEST(test_accumulate)
{
    rg_arena *memory = memory_make();
    rg_variant adding = plain;
    adding.add = true;
    for (int32_t i = 0; i < rg_kernel_case_count(); i++) {
        rg_call c;
        rg_outcome written, added;
        rg_kernel_case_build(i, rg_kernel_case_has_grad(i), memory, &c);
        rg_call_run(&c, rg_kernels_reference64(), &plain, &written);
        rg_call_run(&c, rg_kernels_reference64(), &adding, &added);
        for (int32_t f = 0; f < c.n_fields; f++)
            for (int64_t e = 0; c.fields[f].add >= 0 && e < c.fields[f].n; e++) {
                const double base = c.fields[f].values[e];
                const bool gap =
                    !strcmp(rg_kernel_case_slot(i), "copy") && written.values[f][e] == base;
                if (!gap) RG_ASSERT_NEAR(added.values[f][e], base + written.values[f][e], 1e-12);
            }
        rg_arena_reset(memory);
    }
    rg_arena_destroy(memory);
}
END_TEST

RG_TEST_MAIN("kernel gradients", 300, test_differences, test_accumulate)
