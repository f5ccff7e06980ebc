/*
 * Every level of this CPU against the double reference, on every case of kernel_cases.def.
 *
 * One idea: the properties are written once and hold for every slot. The bound is in units of the
 * accumulation length: fp32 1e-6 sqrt(K) of the output's rms, elementwise.
 */
#include "kernel_cases.h"
#include "model_level.h"
#include "test.h"

static const double f32_unit = 1e-6, bf16_unit = 0x1p-5, tie_unit = 0x1p-7;
static const rg_variant plain = {.packed = RG_DTYPE_COUNT};

typedef void check_fn(const rg_call *c, const rg_kernels *k);

/* The double reference's results of the call at hand: the same for all levels and placements. */
static struct {
    rg_variant variant;
    rg_outcome outcome;
} truths[16];
static int n_truths;

static const rg_outcome *truth_of(const rg_call *c, const rg_variant *v)
{
    for (int i = 0; i < n_truths; i++) {
        const rg_variant *w = &truths[i].variant;
        if (v->add == w->add && v->packed == w->packed && v->operands == w->operands)
            return &truths[i].outcome;
    }
    ck_assert_int_lt(n_truths, (int)(sizeof truths / sizeof truths[0]));
    truths[n_truths].variant = *v;
    rg_call_run(c, rg_kernels_reference64(), v, &truths[n_truths].outcome);
    RG_ASSERT_OK(truths[n_truths].outcome.status, &truths[n_truths].outcome.error);
    return &truths[n_truths++].outcome;
}

/* Calls `fn` for every call of every case on every level, `more` (or NULL) behind them; values are
 * dropped after each call. */
static void for_each_call_and(const rg_kernels *more, check_fn *fn)
{
    rg_error err = {0};
    rg_arena *memory = rg_arena_create((size_t)1 << 32, "test values", &err);
    ck_assert_msg(memory != NULL, "%s", err.text);
    const char *const *levels = rg_kernels_cpu_levels();
    for (int32_t i = 0; i < rg_kernel_case_count(); i++)
        for (int grad = 0; grad <= rg_kernel_case_has_grad(i); grad++) {
            rg_call c;
            rg_kernel_case_build(i, grad, memory, &c);
            n_truths = 0;
            for (int l = 0; levels[l]; l++) fn(&c, rg_kernels_cpu_level(levels[l]));
            if (more) fn(&c, more);
            rg_arena_reset(memory);
        }
    rg_arena_destroy(memory);
}

static void for_each_call(check_fn *fn)
{
    for_each_call_and(NULL, fn);
}

/* Runs the level and compares it with what the reference says. */
static void check_variant(const rg_call *c, const rg_kernels *k, const rg_variant *v, double unit)
{
    rg_outcome seen;
    rg_call_run(c, k, v, &seen);
    rg_call_compare(c, k->name, truth_of(c, v), &seen, unit);
}

/* Whether an operand of its products is computed in fp32 first: rounded to bf16 it may then fall on
 * the other side of a tie than the reference's. */
static bool computes_operands(const rg_call *c)
{
    return c->activated || !strncmp(c->name, "lstm", 4) || !strncmp(c->name, "attention", 9);
}

static void check_values(const rg_call *c, const rg_kernels *k)
{
    for (int add = 0; add < 2; add++)
        for (int place = 0; place < RG_PLACE_COUNT; place++) {
            rg_variant v = plain;
            v.add = add, v.placement = (rg_placement)place;
            check_variant(c, k, &v, f32_unit);
            v.operands = RG_BF16;
            check_variant(c, k, &v, computes_operands(c) ? tie_unit : f32_unit);
        }
}

START_TEST(test_values)
{
    for_each_call_and(rg_model_kernels(), check_values);
}
END_TEST

static void check_packed(const rg_call *c, const rg_kernels *k)
{
    rg_variant v = plain;
    for (int add = 0; c->n_packs && add < 2; add++) {
        v.add = add;
        v.packed = RG_F32;
        check_variant(c, k, &v, f32_unit);
        v.packed = RG_BF16;
        check_variant(c, k, &v, bf16_unit);
        v.operands = RG_BF16;
        check_variant(c, k, &v, computes_operands(c) ? tie_unit : f32_unit);
        v.operands = RG_F32;
        v.packed = RG_I8; /* the reference has the same int8 values */
        check_variant(c, k, &v, f32_unit);
    }
}

START_TEST(test_packed)
{
    /* panels as deep as a tile, which fp32 products with bf16 weights read too */
    for_each_call_and(rg_model_kernels(), check_packed);
}
END_TEST

/* Leaving an output out changes no bit of the others. */
static void check_left_out(const rg_call *c, const rg_kernels *k)
{
    rg_outcome whole, part;
    rg_call_run(c, k, &plain, &whole);
    for (int32_t i = 0; i < c->n_fields; i++) {
        if (!c->fields[i].nullable) continue;
        rg_variant v = plain;
        v.leave = c->fields[i].name;
        rg_call_run(c, k, &v, &part);
        RG_ASSERT_OK(part.status, &part.error);
        rg_call_same_bits(c, "with an output left out", &whole, &part);
    }
}

START_TEST(test_left_out)
{
    for_each_call(check_left_out);
}
END_TEST

/*
 * Zero padding, trimmed frames and keys out of sight (weight 0) may be skipped or multiplied: what
 * meets them may make more NaN.
 */
static bool meets_padding(const rg_call *c, const rg_call_field *f)
{
    if (!strncmp(c->name, "conv_tr1d", 9) || !strncmp(c->name, "attention", 9)) return true;
    return !strncmp(c->name, "conv1d", 6) ||
           (!strncmp(c->name, "conv", 4) && (strcmp(f->name, "x") || strstr(c->name, ".grad")));
}

static void forgive_more_nan(const rg_call *c, rg_outcome *truth, const rg_outcome *seen)
{
    for (int32_t f = 0; f < c->n_fields; f++)
        for (int64_t i = 0; seen->values[f] && i < c->fields[f].n; i++)
            if (isnan(seen->values[f][i])) truth->values[f][i] = NAN;
}

/* One NaN in an input arrives exactly where the reference says. */
static void check_nan(const rg_call *c, const rg_kernels *k)
{
    for (int32_t i = 0; c->nan_defined && i < c->n_fields; i++) {
        const rg_call_field *f = &c->fields[i];
        const bool real = f->type == RG_DTYPE_COUNT || f->type == RG_F32;
        if (f->out || f->n == 0 || !real || strstr(f->name, "_pos")) continue;
        rg_variant v = plain;
        rg_outcome truth, seen;
        v.nan = f->name;
        for (int bf16 = 0; bf16 < 2; bf16++) {
            v.operands = bf16 ? RG_BF16 : RG_F32;
            rg_call_run(c, rg_kernels_reference64(), &v, &truth);
            rg_call_run(c, k, &v, &seen);
            if (meets_padding(c, f)) forgive_more_nan(c, &truth, &seen);
            rg_call_compare(c, k->name, &truth, &seen, bf16 ? tie_unit : f32_unit);
        }
    }
}

START_TEST(test_nan)
{
    for_each_call(check_nan);
}
END_TEST

static rg_pool *pools[4];

/* Twice the same, and the same on any number of threads, with and without packed weights. */
static void check_threads(const rg_call *c, const rg_kernels *k)
{
    for (int kind = 0; kind < (c->n_packs > 0 ? 4 : 2); kind++) {
        rg_variant v = plain;
        v.operands = kind % 2 ? RG_BF16 : RG_F32;
        if (kind >= 2) v.packed = v.operands;
        rg_outcome first, again;
        rg_call_run(c, k, &v, &first);
        for (int i = 0; i < 4; i++) {
            v.pool = pools[i];
            rg_call_run(c, k, &v, &again);
            rg_call_same_bits(c, k->name, &first, &again);
        }
    }
}

START_TEST(test_threads)
{
    static const int32_t threads[4] = {1, 2, 3, 7};
    rg_error err = {0};
    for (int i = 0; i < 4; i++) {
        pools[i] = rg_pool_create(threads[i], 0, false, &err);
        ck_assert_msg(pools[i] != NULL, "%s", err.text);
    }
    for_each_call(check_threads);
    for (int i = 0; i < 4; i++) rg_pool_destroy(pools[i]);
}
END_TEST

static rg_arena *small_scratch;

/* With too little scratch a call says so, or does without; it never crashes. */
static void check_scratch(const rg_call *c, const rg_kernels *k)
{
    rg_variant v = plain;
    v.scratch = small_scratch;
    rg_outcome whole, out;
    rg_call_run(c, k, &plain, &whole);
    rg_call_run(c, k, &v, &out);
    if (out.status == RG_OK) {
        rg_call_same_bits(c, k->name, &whole, &out);
        return;
    }
    ck_assert_msg(out.status == RG_ERR_NOMEM && strstr(out.error.text, "scratch"), "%s, %s: %s",
                  k->name, c->name, out.error.text);
}

START_TEST(test_scratch)
{
    static const size_t capacities[] = {64, 4096, 8192, 16384, 65536};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        rg_error err = {0};
        small_scratch = rg_arena_create(capacities[i], "small", &err);
        ck_assert_msg(small_scratch != NULL, "%s", err.text);
        for_each_call(check_scratch);
        rg_arena_destroy(small_scratch);
    }
}
END_TEST

/* Every level says which slot it is for and fills the whole table. */
START_TEST(test_tables)
{
    const char *const *levels = rg_kernels_cpu_levels();
    ck_assert_str_eq(levels[0], "ref");
    for (int l = 0; levels[l]; l++) {
        const rg_kernels *k = rg_kernels_cpu_level(levels[l]);
        ck_assert_msg(k != NULL, "level %s is listed and absent", levels[l]);
        ck_assert_str_eq(k->name, levels[l]);
        ck_assert_int_eq(k->real, RG_F32);
        printf("level %s\n", k->name);
    }
    ck_assert_ptr_null(rg_kernels_cpu_level("no such level"));
}
END_TEST

RG_TEST_MAIN("kernel levels", 900, test_tables, test_values, test_packed, test_left_out, test_nan,
             test_threads, test_scratch)
