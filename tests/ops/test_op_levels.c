/*
 * Generic tests of every operator on every level of kernels that this CPU runs, and on the model of
 * AMX: against the double reference, and for equal bits.
 *
 * One idea: the same cases as test_ops.c, as arrays of doubles. The bound of a tensor is in units
 * of its own size, so that one number serves all operators; a case may widen it (op.h, tolerance).
 */
#include <inttypes.h>

#include "model_level.h"
#include "op_case.h"
#include "test.h"

/* Of a tensor's size, for fp32 sums of up to some hundred terms; sizes below `small` count as it.
 * */
static const double unit = 1e-5, small = 1e-2, bf16_unit = 4e-3;
static rg_arena *memory;

static rg_exec *open_exec(const rg_kernels *kernels, rg_pool *pool, rg_dtype operands)
{
    rg_error err = {0};
    rg_exec *ex = rg_exec_create(
        &(rg_exec_options){.kernels = kernels, .pool = pool, .operands = operands, .seed = 3},
        &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    return ex;
}

static void open_memory(void)
{
    rg_error err = {0};
    memory = rg_arena_create((size_t)1 << 30, "test", &err);
    ck_assert_msg(memory != NULL, "%s", err.text);
}

/* Calls check(d, ctx) for every case. */
static void for_each_case(void (*check)(const rg_op_data *d, void *ctx), void *ctx)
{
    for (int k = 0; k < RG_OP_COUNT; k++)
        for (int32_t c = 0; c < rg_ops[k]->n_cases; c++) {
            rg_arena_reset(memory);
            rg_op_data d = rg_op_case_of(rg_ops[k], &rg_ops[k]->cases[c], -1, memory);
            check(&d, ctx);
        }
}

static const rg_op_how both_ways = {.dout = 0xff, .din = 0xff};

static double rms_of(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i] * values[i];
    return n ? sqrt(sum / (double)n) : 0;
}

typedef struct pair {
    rg_exec *truth, *seen;
    const char *level;
    bool bf16;
} pair;

/*
 * Operands in bf16: what was computed in fp32 before it is rounded may fall on the other side of a
 * tie. So few elements may be off by more than the bound, none by more than a bf16's half unit.
 */
static void compare(const rg_op_data *d, const pair *p, const char *kind, int32_t k,
                    const double *truth, const double *seen, int64_t n)
{
    double size = rms_of(truth, n), factor = d->c->tolerance > 0 ? d->c->tolerance : 1;
    const double loose = p->bf16 ? bf16_unit / unit : 1;
    int64_t off = 0;
    for (int64_t i = 0; i < n; i++) {
        double err = fabs(seen[i] - truth[i]),
               tol = factor * unit * fmax(small, fmax(size, fabs(truth[i])));
        off += !(err <= tol);
        ck_assert_msg(err <= loose * tol,
                      "%s on %s: %s %d, element %" PRId64
                      ": %.9g, double reference %.9g, %.2f of the bound",
                      d->name, p->level, kind, k, i, seen[i], truth[i], err / (loose * tol));
    }
    ck_assert_msg(off <= 1 + n / 10, "%s on %s: %s %d: %" PRId64 " of %" PRId64 " are off", d->name,
                  p->level, kind, k, off, n);
}

static void check_level(const rg_op_data *d, void *ctx)
{
    const pair *p = ctx;
    rg_op_result truth, seen;
    rg_op_run(d, p->truth, &both_ways, &truth);
    rg_op_run(d, p->seen, &both_ways, &seen);
    for (int32_t j = 0; j < d->op->n_out; j++)
        if (truth.out[j]) compare(d, p, "output", j, truth.out[j], seen.out[j], truth.n_out[j]);
    for (int32_t i = 0; i < d->op->n_in; i++)
        if (truth.din[i])
            compare(d, p, "gradient of input", i, truth.din[i], seen.din[i], truth.n_din[i]);
}

static void compare_levels(rg_dtype operands)
{
    open_memory();
    pair p = {.truth = open_exec(rg_kernels_reference64(), NULL, operands)};
    p.bf16 = operands == RG_BF16;
    const rg_kernels *level;
    for (int k = 0; (level = rg_test_level(k)); k++) {
        p.level = level->name;
        p.seen = open_exec(level, NULL, operands);
        for_each_case(check_level, &p);
        rg_exec_destroy(p.seen);
    }
    rg_exec_destroy(p.truth);
    rg_arena_destroy(memory);
}

START_TEST(levels_agree_with_double)
{
    compare_levels(RG_F32);
}
END_TEST

START_TEST(levels_agree_with_double_in_bf16)
{
    compare_levels(RG_BF16);
}
END_TEST

/* Twice the same run; then with recording off (outputs only). */
static void check_repeat(const rg_op_data *d, void *ctx)
{
    rg_op_result first, again, off;
    rg_op_run(d, ctx, &both_ways, &first);
    rg_op_run(d, ctx, &both_ways, &again);
    rg_op_same_bits(d, "twice", &first, &again);
    rg_op_run(d, ctx, &(rg_op_how){.no_recording = true}, &off);
    memset(first.din, 0, sizeof first.din);
    rg_op_same_bits(d, "recording off", &first, &off);
}

START_TEST(same_bits_twice_and_without_recording)
{
    open_memory();
    const rg_kernels *level;
    for (int k = 0; (level = rg_test_level(k)); k++) {
        rg_exec *ex = open_exec(level, NULL, RG_BF16);
        for_each_case(check_repeat, ex);
        rg_exec_destroy(ex);
    }
    rg_arena_destroy(memory);
}
END_TEST

enum { N_POOLS = 4 };
typedef struct pools {
    rg_exec *ex[N_POOLS];
    int32_t threads[N_POOLS];
} pools;

static void check_threads(const rg_op_data *d, void *ctx)
{
    const pools *p = ctx;
    rg_op_result one, more;
    rg_op_run(d, p->ex[0], &both_ways, &one);
    for (int k = 1; k < N_POOLS; k++) {
        char what[32];
        snprintf(what, sizeof what, "%d threads", p->threads[k]);
        rg_op_run(d, p->ex[k], &both_ways, &more);
        rg_op_same_bits(d, what, &one, &more);
    }
}

START_TEST(same_bits_on_any_number_of_threads)
{
    open_memory();
    pools p = {.threads = {1, 2, 3, 7}};
    rg_pool *pool[N_POOLS];
    rg_error err = {0};
    for (int k = 0; k < N_POOLS; k++) {
        pool[k] = rg_pool_create(p.threads[k], 0, false, &err);
        ck_assert_msg(pool[k] != NULL, "%s", err.text);
    }
    const rg_kernels *level;
    for (int i = 0; (level = rg_test_level(i / 2)); i++) { /* each with both kinds of operands */
        for (int k = 0; k < N_POOLS; k++)
            p.ex[k] = open_exec(level, pool[k], i % 2 ? RG_BF16 : RG_F32);
        for_each_case(check_threads, &p);
        for (int k = 0; k < N_POOLS; k++) rg_exec_destroy(p.ex[k]);
    }
    for (int k = 0; k < N_POOLS; k++) rg_pool_destroy(pool[k]);
    rg_arena_destroy(memory);
}
END_TEST

RG_TEST_MAIN("op levels", 300, levels_agree_with_double, levels_agree_with_double_in_bf16,
             same_bits_twice_and_without_recording, same_bits_on_any_number_of_threads)
