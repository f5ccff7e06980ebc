/*
 * The tiles of AMX-BF16: on a software model of the unit everywhere, and on the unit, bit for bit
 * the same, where the CPU has one.
 *
 * One idea: memory that a tile must not read is NaN and memory that it must not write a canary, so
 * a wrong pitch or row shows as a wrong number. Operators on the model: tests/ops/test_op_levels.c.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "model_level.h"
#include "test.h"
#include "tile_model.h"

static const uint16_t no_number = 0x7fc0;
static const float canary = -12345.5F;

static double from_half(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Numbers in about [-2, 2] that need all of a bf16's digits. */
static uint16_t random_half(rg_rng *rng)
{
    const float x = (float)rg_rng_normal(rng);
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void *take(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1); /* exactly: valgrind sees one byte more */
    ck_assert_ptr_nonnull(p);
    return p;
}

/* ---- the model itself ---- */

typedef struct tile_config {
    uint8_t palette, start_row, none[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* c (rows,cols) += a (rows, 2 pairs) b (pairs, cols) as tiles 0, 1, 2. */
static tile_config config_of(uint8_t rows, uint8_t pairs, uint8_t cols)
{
    return (tile_config){
        .palette = 1,
        .row_bytes = {(uint16_t)(4 * cols), (uint16_t)(4 * pairs), (uint16_t)(4 * cols)},
        .rows = {rows, rows, pairs}};
}

/* c + the products of two times two numbers in bf16, on the model. */
static float one_product(const uint16_t a[4], const uint16_t b[4], float c)
{
    const tile_config config = config_of(1, 2, 1);
    rg_tile_model_configure(&config);
    rg_tile_model_load(0, &c, 4);
    rg_tile_model_load(1, a, 8);
    rg_tile_model_load(2, b, 4);
    rg_tile_model_multiply(0, 1, 2);
    rg_tile_model_store(0, &c, 4);
    rg_tile_model_release();
    return c;
}

enum { ONE = 0x3f80, MINUS_ONE = 0xbf80 };

START_TEST(test_order_of_sums)
{
    /* 2^24 + 1 - 2^24 is 0 in one chain and 1 when even and odd k are summed apart */
    const uint16_t a[4] = {0x4b80, ONE, 0xcb80, 0}, b[4] = {ONE, ONE, ONE, ONE};
    ck_assert(one_product(a, b, 0) == 1);
    /* the two chains meet before c is added: 1 + (2^24 - 2^24), not (1 + 2^24) - 2^24 */
    const uint16_t across[4] = {0x4b80, 0xcb80, 0, 0};
    ck_assert(one_product(across, b, 1) == 1);
    /* ties go to the even neighbour */
    const uint16_t tie[4] = {0x4b80, 0, ONE, 0}, up[4] = {0x4b81, 0, ONE, 0};
    ck_assert(one_product(tie, b, 0) == 0x1p24F);
    ck_assert(one_product(up, b, 0) == 0x1p24F + 0x1p17F);
    const uint16_t odd[4] = {ONE, 0, 0, 0};
    ck_assert(one_product(odd, b, 0x1p24F + 2) == 0x1p24F + 4);
}
END_TEST

START_TEST(test_subnormal_numbers_are_zeros)
{
    const uint16_t ones[4] = {ONE, 0, 0, 0};
    const uint16_t smallest[4] = {0x0080, 0, 0, 0}, below[4] = {0x007f, 0, 0, 0},
                   half[4] = {0x3f00, 0, 0, 0}, largest[4] = {0x7f00, 0, 0, 0};
    ck_assert(one_product(smallest, ones, 0) == 0x1p-126F);
    ck_assert(one_product(below, ones, 0) == 0);    /* going in */
    ck_assert(one_product(below, largest, 0) == 0); /* though its product is normal */
    ck_assert(one_product(smallest, half, 0) == 0); /* coming out */
    ck_assert(one_product(ones, ones, 0x1p-127F) == 1);
    ck_assert(one_product((uint16_t[4]){0}, ones, 0x1p-127F) == 0); /* c, going in */
    /* 2^-126 - 2^-150 has all the digits of an fp32 and is below its smallest normal number */
    const uint16_t p[4] = {0x2080, 0, 0x1980, 0}, q[4] = {0x1f80, 0, 0x9a80, 0};
    ck_assert(from_half(p[0]) * from_half(q[0]) == 0x1p-126);
    ck_assert(from_half(p[2]) * from_half(q[2]) == -0x1p-150);
    ck_assert(one_product(p, q, 0) == 0);
}
END_TEST

/* ---- what faults on the unit ends the program on the model ---- */

static void unconfigured(void)
{
    rg_tile_model_zero(0);
}

static void after_release(void)
{
    const tile_config config = config_of(16, 16, 16);
    rg_tile_model_configure(&config);
    rg_tile_model_release();
    rg_tile_model_zero(0);
}

static void unused_tile(void)
{
    const tile_config config = config_of(16, 16, 16);
    rg_tile_model_configure(&config);
    rg_tile_model_zero(3);
}

static void wrong_palette(void)
{
    tile_config config = config_of(16, 16, 16);
    config.palette = 2;
    rg_tile_model_configure(&config);
}

static void too_many_rows(void)
{
    const tile_config config = config_of(17, 16, 16);
    rg_tile_model_configure(&config);
}

static void rows_without_columns(void)
{
    tile_config config = config_of(16, 16, 16);
    config.row_bytes[1] = 0;
    rg_tile_model_configure(&config);
}

static void reserved_bytes(void)
{
    tile_config config = config_of(16, 16, 16);
    config.none[13] = 1;
    rg_tile_model_configure(&config);
}

static void multiply_shapes(uint8_t rows_c, uint8_t bytes_c, uint8_t rows_b)
{
    tile_config config = config_of(16, 16, 16);
    config.rows[0] = rows_c, config.row_bytes[0] = bytes_c, config.rows[2] = rows_b;
    rg_tile_model_configure(&config);
    rg_tile_model_multiply(0, 1, 2);
}

static void rows_differ(void)
{
    multiply_shapes(15, 64, 16);
}

static void columns_differ(void)
{
    multiply_shapes(16, 60, 16);
}

static void depth_differs(void)
{
    multiply_shapes(16, 64, 15);
}

static void one_tile_twice(void)
{
    const tile_config config = config_of(16, 16, 16);
    rg_tile_model_configure(&config);
    rg_tile_model_multiply(0, 1, 1);
}

static void no_mistake(void)
{
    multiply_shapes(16, 64, 16);
}

/* Whether a child that does this dies by abort. */
static bool is_caught(void (*mistake)(void))
{
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
        mistake();
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

START_TEST(test_misuse_is_caught)
{
    static void (*const mistakes[])(void) = {unconfigured,         after_release, unused_tile,
                                             wrong_palette,        too_many_rows, reserved_bytes,
                                             rows_without_columns, rows_differ,   columns_differ,
                                             depth_differs,        one_tile_twice};
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++)
        ck_assert_msg(is_caught(mistakes[i]), "mistake %zu passed", i);
    ck_assert(!is_caught(no_mistake));
}
END_TEST

/* ---- tiles ---- */

typedef enum base_kind { BASE_NONE, BASE_ROW, BASE_ROWS, BASE_C, BASE_KINDS } base_kind;

typedef struct panel {
    int64_t m, n, width, segs, len, a_row, a_seg, gap; /* gap: of c beyond the columns */
    base_kind base;
    uint16_t *a, *b;
    float *c, *row; /* row: of the base */
    double *truth, *size;
} panel;

/* Elements of a that p reads are random, the others no numbers; the last one read ends it. */
static void make_left(panel *p, rg_rng *rng)
{
    const int64_t size = (p->m - 1) * p->a_row + (p->segs - 1) * p->a_seg + p->len;
    p->a = take((size_t)size * sizeof *p->a);
    for (int64_t i = 0; i < size; i++) p->a[i] = no_number;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t s = 0; s < p->segs; s++)
            for (int64_t k = 0; k < p->len; k++)
                p->a[i * p->a_row + s * p->a_seg + k] = random_half(rng);
}

static void make_right(panel *p, rg_rng *rng)
{
    const int64_t k = p->segs * p->len;
    p->b = take((size_t)(k * p->width) * sizeof *p->b);
    for (int64_t i = 0; i < k / 2; i++)
        for (int64_t j = 0; j < p->width; j++)
            for (int64_t odd = 0; odd < 2; odd++)
                p->b[(i * p->width + j) * 2 + odd] = j < p->n ? random_half(rng) : 0;
}

static double base_of(const panel *p, int64_t i, int64_t j)
{
    const int64_t c_row = p->n + p->gap;
    return p->base == BASE_NONE  ? 0
           : p->base == BASE_ROW ? p->row[j]
           : p->base == BASE_C   ? p->c[i * c_row + j]
                                 : p->row[i * p->n + j];
}

static void make_truth(panel *p)
{
    p->truth = take((size_t)(p->m * p->n) * sizeof *p->truth);
    p->size = take((size_t)(p->m * p->n) * sizeof *p->size);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = base_of(p, i, j), size = fabs(sum);
            for (int64_t k = 0; k < p->segs * p->len; k++) {
                const double x =
                    from_half(p->a[i * p->a_row + k / p->len * p->a_seg + k % p->len]) *
                    from_half(p->b[(k / 2 * p->width + j) * 2 + k % 2]);
                sum += x, size += fabs(x);
            }
            p->truth[i * p->n + j] = sum, p->size[i * p->n + j] = size;
        }
}

static void make_panel(panel *p, uint64_t seed)
{
    rg_rng rng = rg_rng_make(seed, 5);
    make_left(p, &rng);
    make_right(p, &rng);
    const int64_t c_size = (p->m - 1) * (p->n + p->gap) + p->n;
    p->c = take((size_t)c_size * sizeof *p->c);
    for (int64_t i = 0; i < c_size; i++)
        p->c[i] = i % (p->n + p->gap) < p->n ? (float)rg_rng_normal(&rng) : canary;
    p->row = take((size_t)(p->m * p->n) * sizeof *p->row);
    for (int64_t i = 0; i < p->m * p->n; i++) p->row[i] = (float)rg_rng_normal(&rng);
    make_truth(p);
}

static void drop_panel(panel *p)
{
    free(p->a), free(p->b), free(p->c), free(p->row), free(p->truth), free(p->size);
}

/* Runs p in a fresh copy of c, which the caller frees. */
static float *run_panel(const panel *p, const rg_tiles *tiles)
{
    const int64_t c_row = p->n + p->gap, c_size = (p->m - 1) * c_row + p->n;
    float *c = take((size_t)c_size * sizeof *c);
    memcpy(c, p->c, (size_t)c_size * sizeof *c);
    rg_tile t = {.m = p->m, .n = p->n, .a = p->a, .a_row = p->a_row, .a_col = 1};
    t.a_tile = tiles->mr * p->a_row, t.a_seg = p->a_seg, t.segs = p->segs, t.len = p->len;
    t.b = p->b, t.b_row = 2 * p->width, t.c = c, t.c_row = c_row;
    t.base = p->base == BASE_NONE ? NULL : p->base == BASE_C ? c : p->row;
    t.base_row = p->base == BASE_ROW ? 0 : p->base == BASE_C ? c_row : p->n;
    tiles->tile[p->width == tiles->width[0] ? 0 : 1](&t);
    return c;
}

static void check_panel(const panel *p)
{
    const int64_t c_row = p->n + p->gap;
    const double unit = (double)(p->segs * p->len + 4) * 0x1p-24;
    float *c = run_panel(p, &rg_model_tiles);
    if (rg_tile_model_is_configured()) ck_abort_msg("the unit was not given back");
    for (int64_t i = 0; i < (p->m - 1) * c_row + p->n; i++) {
        const int64_t at = i / c_row * p->n + i % c_row;
        if (i % c_row >= p->n ? c[i] != canary : !(fabs(c[i] - p->truth[at]) <= unit * p->size[at]))
            ck_abort_msg("%d x %d (tile %d), depth %d x %d, base %d: row %d column %d is %.9g, not "
                         "%.9g",
                         (int)p->m, (int)p->n, (int)p->width, (int)p->segs, (int)p->len,
                         (int)p->base, (int)(i / c_row), (int)(i % c_row), c[i],
                         i % c_row >= p->n ? canary : p->truth[at]);
    }
    if (rg_kernels_cpu_level("amx")) {
        float *unit_c = run_panel(p, rg_isa_amx.bf16);
        ck_assert_mem_eq(unit_c, c, (size_t)((p->m - 1) * c_row + p->n) * sizeof *c);
        free(unit_c);
    }
    free(c);
}

/* Every number of rows and columns; depths, segments, pitches and bases take turns. */
START_TEST(test_tiles)
{
    static const struct {
        int64_t segs, len, a_row, a_seg;
    } shapes[] = {{1, 32, 32, 0},   {1, 96, 103, 0}, {3, 32, 16, 32},
                  {2, 64, 64, 200}, {4, 32, 40, 48}, {0, 32, 32, 32}};
    const char *on = rg_kernels_cpu_level("amx") ? "the model and the unit" : "the model";
    int64_t turn = 0;
    for (int64_t m = 1; m <= 40; m++)
        for (int64_t n = 1; n <= 32; n++, turn++) {
            const size_t s = (size_t)turn % (sizeof shapes / sizeof shapes[0]);
            panel p = {.m = m, .n = n, .width = n > 16 || turn % 5 == 0 ? 32 : 16};
            p.segs = shapes[s].segs, p.len = shapes[s].len;
            p.a_row = shapes[s].a_row, p.a_seg = shapes[s].a_seg;
            if (p.segs == 0) p.segs = 1, p.len = 0;
            p.gap = turn % 3 * 5, p.base = (base_kind)(turn / 7 % BASE_KINDS);
            make_panel(&p, (uint64_t)turn);
            check_panel(&p);
            drop_panel(&p);
        }
    printf("tiles of AMX-BF16 on %s\n", on);
}
END_TEST

/* Several whole blocks of rows and a rest, deeper. */
START_TEST(test_many_rows)
{
    static const int64_t rows[] = {64, 95, 113, 192};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int64_t n = 15; n <= 32; n += 17) {
            panel p = {.m = rows[i], .n = n, .width = n > 16 ? 32 : 16, .segs = 2, .len = 160};
            p.a_row = 200, p.a_seg = 7 * 200, p.gap = 3, p.base = (base_kind)(i % BASE_KINDS);
            make_panel(&p, i + 100);
            check_panel(&p);
            drop_panel(&p);
        }
}
END_TEST

/* ---- whole products ---- */

typedef struct product {
    int64_t m, k, n;
    bool columns, half, plain; /* a in columns; a in bf16; b as rows of floats */
    base_kind base;
} product;

static float rounded(float x)
{
    uint16_t h;
    rg_model_isa()->vec->narrow_bf16(&x, &h, 1);
    return (float)from_half(h);
}

static float *random_floats(rg_rng *rng, int64_t n)
{
    float *x = take((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)rg_rng_normal(rng);
    return x;
}

static void check_product(const product *q, const float *a, const float *b, const float *base,
                          const float *c)
{
    for (int64_t i = 0; i < q->m; i++)
        for (int64_t j = 0; j < q->n; j++) {
            double sum = base ? base[(q->base == BASE_ROW ? 0 : i * q->n) + j] : 0;
            double size = fabs(sum);
            for (int64_t k = 0; k < q->k; k++) {
                const double x = (double)rounded(a[q->columns ? k * q->m + i : i * q->k + k]) *
                                 rounded(b[k * q->n + j]);
                sum += x, size += fabs(x);
            }
            if (!(fabs(c[i * q->n + j] - sum) <= (double)(q->k + 4) * 0x1p-24 * size))
                ck_abort_msg("%d x %d x %d, a %s%s, b %s, base %d: row %d column %d is %.9g, not "
                             "%.9g",
                             (int)q->m, (int)q->k, (int)q->n, q->columns ? "columns" : "rows",
                             q->half ? " of bf16" : "", q->plain ? "rows" : "panels", (int)q->base,
                             (int)i, (int)j, c[i * q->n + j], sum);
        }
}

static void run_product(const product *q, rg_kernel_ctx *ctx)
{
    const rg_isa *isa = rg_model_isa();
    rg_rng rng = rg_rng_make(11, (uint64_t)(q->m * 1000 + q->k));
    float *a = random_floats(&rng, q->m * q->k), *b = random_floats(&rng, q->k * q->n);
    float *c = random_floats(&rng, q->m * q->n), *before = random_floats(&rng, q->m * q->n);
    uint16_t *narrow = take((size_t)(q->m * q->k) * sizeof *narrow);
    memcpy(c, before, (size_t)(q->m * q->n) * sizeof *c);
    isa->vec->narrow_bf16(a, narrow, q->m * q->k);
    rg_gemm g = {.m = q->m, .n = q->n, .segs = 1, .len = q->k, .operands = RG_BF16};
    g.a = q->half ? (const void *)narrow : a, g.a_type = q->half ? RG_BF16 : RG_F32;
    g.a_row = q->columns ? 1 : q->k, g.a_col = q->columns ? q->m : 1;
    g.b_row = q->plain ? q->n : 0, g.b_type = q->plain ? RG_F32 : RG_BF16;
    g.b = q->plain ? b : rg_panels_make(isa, ctx, RG_BF16, b, q->n, 1, q->k, q->n);
    ck_assert_ptr_nonnull(g.b);
    g.c = c, g.c_row = q->n;
    g.base = q->base == BASE_NONE ? NULL : q->base == BASE_C ? c : before;
    g.base_row = q->base == BASE_ROW ? 0 : q->n;
    RG_ASSERT_OK(rg_gemm_run(isa, ctx, &g, NULL, NULL), ctx->error);
    check_product(q, a, b, g.base ? before : NULL, c);
    free(a), free(b), free(c), free(before), free(narrow);
}

START_TEST(test_products)
{
    static const int64_t sizes[][3] = {
        {1, 1, 1},    {3, 33, 40},  {33, 31, 65},   {70, 64, 17},
        {5, 800, 50}, {40, 777, 9}, {200, 100, 96}, {13, 96, 300},
    };
    rg_error err = {0};
    rg_kernel_ctx ctx = {.operands = RG_BF16, .error = &err};
    if (!rg_model_isa()) return; /* without AVX2 there is no blocked product */
    ctx.scratch = rg_arena_create((size_t)1 << 28, "scratch", &err);
    ctx.pool = rg_pool_create(3, 0, false, &err);
    ck_assert_ptr_nonnull(ctx.scratch);
    ck_assert_ptr_nonnull(ctx.pool);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int ways = 0; ways < 6; ways++) {
            product q = {sizes[s][0],
                         sizes[s][1],
                         sizes[s][2],
                         ways % 3 == 1,
                         ways % 3 == 2,
                         ways / 3 == 1,
                         (base_kind)((s + (size_t)ways) % BASE_KINDS)};
            rg_arena_reset(ctx.scratch);
            run_product(&q, &ctx);
        }
    rg_pool_destroy(ctx.pool);
    rg_arena_destroy(ctx.scratch);
}
END_TEST

RG_TEST_MAIN("amx", 300, test_order_of_sums, test_subnormal_numbers_are_zeros,
             test_misuse_is_caught, test_tiles, test_many_rows, test_products)
