/*
 * Every slot of the tables "cuda", "cuda-f16" and "cuda-bf16" against the double reference, on
 * every case of kernel_cases.def.
 *
 * One idea: the calls are those of the CPU's levels; their buffers, canaries included, cross over
 * to the device and back. Run on a GPU, or on the emulator in every order of its threads.
 */
#include "kernel_cases.h"
#include "kernels/gpu.h"
#include "test.h"

/* fp32 sums of products in an order of the library's; functions with a relative error of 2^-21 */
static const double f32_unit = 2e-6, half_unit = 0x1p-5, tie_unit = 0x1p-7;
static rg_gpu *gpu;
static const rg_kernels *table;

static void open_gpu(rg_dtype activations)
{
    rg_error err = {0};
    gpu = rg_gpu_open(0, &err);
    ck_assert_msg(gpu != NULL, "%s", err.text);
    table = rg_gpu_kernels(gpu, activations, &err);
    ck_assert_msg(table != NULL, "%s", err.text);
}

/* What the emulator found wrong: races, wild or uninitialized reads ...; absent on a GPU. */
extern int cuemu_total(void) __attribute__((weak));

typedef void check_fn(const rg_call *c);

static void for_each_call(rg_dtype activations, check_fn *fn)
{
    rg_error err = {0};
    open_gpu(activations);
    rg_arena *memory = rg_arena_create((size_t)1 << 32, "test values", &err);
    ck_assert_msg(memory != NULL, "%s", err.text);
    const char *only = getenv("RG_SLOT");
    for (int32_t i = 0; i < rg_kernel_case_count(); i++)
        for (int grad = 0; grad <= rg_kernel_case_has_grad(i); grad++) {
            rg_call c;
            if (only && strcmp(only, rg_kernel_case_slot(i)) != 0) continue;
            rg_kernel_case_build(i, grad, memory, &c);
            fn(&c);
            rg_arena_reset(memory);
        }
    rg_arena_destroy(memory);
    rg_gpu_close(gpu);
    if (cuemu_total) ck_assert_int_eq(cuemu_total(), 0);
}

static rg_variant on_gpu(rg_variant v)
{
    v.gpu = gpu;
    return v;
}

static void check_variant(const rg_call *c, const rg_variant *v, double unit)
{
    rg_outcome truth, seen;
    const rg_variant there = on_gpu(*v);
    rg_call_run(c, rg_kernels_reference64(), v, &truth);
    RG_ASSERT_OK(truth.status, &truth.error);
    rg_call_run(c, table, &there, &seen);
    RG_ASSERT_OK(seen.status, &seen.error);
    rg_call_compare(c, table->name, &truth, &seen, unit);
}

/* Whether an operand of its products is computed in fp32 first: rounded to bf16 it may then fall on
 * the other side of a tie than the reference's. */
static bool computes_operands(const rg_call *c)
{
    return c->activated || !strncmp(c->name, "lstm", 4) || !strncmp(c->name, "attention", 9);
}

static void check_values(const rg_call *c)
{
    for (int add = 0; add < 2; add++) {
        const rg_placement place = add ? RG_PLACE_SHIFTED : RG_PLACE_ALIGNED;
        rg_variant v = {.packed = RG_DTYPE_COUNT, .add = add, .placement = place};
        check_variant(c, &v, f32_unit);
        v.operands = RG_BF16;
        v.placement = RG_PLACE_FLUSH;
        check_variant(c, &v, computes_operands(c) ? tie_unit : f32_unit);
    }
}

START_TEST(values_are_those_of_the_reference)
{
    for_each_call(RG_F32, check_values);
}
END_TEST

static void check_packed(const rg_call *c)
{
    rg_variant v = {.packed = RG_F32, .add = true};
    if (c->n_packs == 0) return;
    check_variant(c, &v, f32_unit);
    v.packed = RG_BF16;
    check_variant(c, &v, half_unit);
    v.operands = RG_BF16;
    check_variant(c, &v, computes_operands(c) ? tie_unit : f32_unit);
}

START_TEST(packed_weights_give_what_plain_ones_give)
{
    for_each_call(RG_F32, check_packed);
}
END_TEST

/* Leaving an output out changes no bit of the others, and a second run changes none at all. */
static void check_bits(const rg_call *c)
{
    const rg_variant plain = on_gpu((rg_variant){.packed = RG_DTYPE_COUNT});
    rg_outcome whole, part;
    rg_call_run(c, table, &plain, &whole);
    RG_ASSERT_OK(whole.status, &whole.error);
    rg_call_run(c, table, &plain, &part);
    rg_call_same_bits(c, "a second run", &whole, &part);
    for (int32_t i = 0; i < c->n_fields; i++) {
        rg_variant v = plain;
        if (!c->fields[i].nullable) continue;
        v.leave = c->fields[i].name;
        rg_call_run(c, table, &v, &part);
        RG_ASSERT_OK(part.status, &part.error);
        rg_call_same_bits(c, "with an output left out", &whole, &part);
    }
}

START_TEST(outputs_left_out_change_no_bit)
{
    for_each_call(RG_F32, check_bits);
}
END_TEST

/* ---- activations of 16 bits ---- */

/*
 * Inputs and weights are numbers of the type on both sides, so what differs is what the slot itself
 * rounds: each stored result once, and on the way there what the table below says, in units of
 * rounding relative to the rms of the output.
 */
static const struct {
    const char *slot;
    double roundings;
} between[] = {
    {"linear", 4}, {"conv1d", 4}, {"conv_tr1d", 4}, {"conv2d", 4}, {"lstm", 8}, {"attention", 8},
};

static double roundings_between(const rg_call *c)
{
    for (size_t i = 0; i < sizeof between / sizeof *between; i++)
        if (!strcmp(between[i].slot, rg_kernel_case_slot(c->index))) return between[i].roundings;
    return 0;
}

static void check_halves(const rg_call *c)
{
    const double unit = table->real == RG_F16 ? 0x1p-11 : 0x1p-8;
    const rg_half_bound bound = {.unit = f32_unit,
                                 .stored = unit,
                                 .least = table->real == RG_F16 ? 0x1p-25 : 0,
                                 .between = unit * roundings_between(c)};
    for (int add = 0; add < 2; add++) {
        const rg_variant v = {.packed = RG_DTYPE_COUNT,
                              .add = add,
                              .placement = add ? RG_PLACE_SHIFTED : RG_PLACE_ALIGNED,
                              .operands = table->real,
                              .stored = table->real};
        const rg_variant there = on_gpu(v);
        rg_outcome truth, seen;
        rg_call_run(c, rg_kernels_reference64(), &v, &truth);
        RG_ASSERT_OK(truth.status, &truth.error);
        rg_call_run(c, table, &there, &seen);
        RG_ASSERT_OK(seen.status, &seen.error);
        rg_call_compare_halves(c, table->name, &truth, &seen, &bound);
    }
}

START_TEST(fp16_values_are_those_of_the_reference)
{
    for_each_call(RG_F16, check_halves);
}
END_TEST

START_TEST(bf16_values_are_those_of_the_reference)
{
    for_each_call(RG_BF16, check_halves);
}
END_TEST

/* From `matrix` on a table is nothing but pointers to functions. */
START_TEST(no_slot_is_missing)
{
    const rg_dtype types[] = {RG_F32, RG_F16, RG_BF16};
    rg_error err = {0};
    open_gpu(RG_F32);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const rg_kernels *k = rg_gpu_kernels(gpu, types[i], &err);
        ck_assert_msg(k != NULL, "%s", err.text);
        for (size_t at = offsetof(rg_kernels, matrix); at < sizeof *k; at += sizeof(void *)) {
            void *slot;
            memcpy(&slot, (const char *)k + at, sizeof slot);
            ck_assert_msg(slot != NULL, "%s: byte %zu of the table is NULL", k->name, at);
        }
    }
    rg_gpu_close(gpu);
}
END_TEST

RG_TEST_MAIN("cuda kernels", 600, no_slot_is_missing, values_are_those_of_the_reference,
             packed_weights_give_what_plain_ones_give, fp16_values_are_those_of_the_reference,
             bf16_values_are_those_of_the_reference, outputs_left_out_change_no_bit)
