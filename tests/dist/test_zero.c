/*
 * Updates by several processes against AdamW of one: the same bits where one process has all the
 * gradients, the same norm and skipped steps everywhere, moments gathered whole.
 */
#include <sys/mman.h>

#include "dist/zero.h"
#include "ranks.h"

enum { UPDATES = 4, MICROS = 4 };

typedef struct model {
    rg_exec *ex;
    rg_params *params;
    rg_adamw optimizer;
    rg_scaler scaler;
} model;

static void open_model(model *m, int64_t multiple, double clip_norm)
{
    rg_error err = {0};
    rg_exec_options options = {.kernels = rg_kernels_cpu(&err)};
    m->ex = rg_exec_create(&options, &err);
    m->ex->flat_multiple = multiple;
    m->params = rg_params_create(&err);
    rg_tensor *w = rg_params_add(m->params, "a", RG_SHAPE(37, 129), (rg_init){RG_INIT_NORMAL, 1});
    rg_params_use_as_matrix(m->params, w);
    rg_params_add(m->params, "b", RG_SHAPE(5), (rg_init){RG_INIT_ONES, 0});
    rg_params_add(m->params, "c", RG_SHAPE(9000), (rg_init){RG_INIT_NORMAL, 0.1});
    RG_ASSERT_OK(rg_params_finish(m->params, m->ex, 3, true, &err), &err);
    m->optimizer = (rg_adamw){.beta1 = 0.9,
                              .beta2 = 0.99,
                              .eps = 1e-8,
                              .weight_decay = 0.1,
                              .clip_norm = clip_norm,
                              .ema_decay = 0.9};
    m->scaler = rg_scaler_make(true);
}

static void close_model(model *m)
{
    rg_params_destroy(m->params);
    rg_exec_destroy(m->ex);
}

static float gradient(int64_t update, int64_t micro, int64_t i)
{
    uint32_t x = (uint32_t)i * 2654435761u + (uint32_t)(micro * 977 + update * 40503);
    x = (x ^ (x >> 15)) * 2246822519u;
    return (float)(x >> 8) / 16777216.0F - 0.5F;
}

static void add_gradients(model *m, int64_t update, int64_t micro)
{
    float *g = rg_params_gradients(m->params);
    for (int64_t i = 0; i < rg_params_elements(m->params); i++)
        g[i] += gradient(update, micro, i) * (float)m->scaler.scale;
}

/* All updates; `only`: only micro-batch 0 has gradients. The third has a NaN. */
static rg_status run(model *m, const rg_comm *comm, bool only, double *norms, char *name)
{
    rg_update u;
    for (int64_t update = 0; update < UPDATES; update++) {
        rg_params_zero_gradients(m->params);
        for (int64_t micro = rg_comm_rank(comm); micro < MICROS; micro += rg_comm_world(comm)) {
            rg_zero_micro(m->params, micro);
            rg_zero_last(m->params, m->ex, micro + rg_comm_world(comm) >= MICROS);
            if (!only || micro == 0) add_gradients(m, update, micro);
            if (update == 2 && micro == 0) rg_params_gradients(m->params)[4775] = NAN;
            rg_zero_last(m->params, m->ex, false);
        }
        RG_TRY(rg_adamw_step(&m->optimizer, &m->scaler, m->params, m->ex, 0.01, MICROS, &u));
        norms[update] = u.grad_norm;
        if (u.skipped) snprintf(name, RG_NAME_SIZE, "%s", u.nonfinite);
    }
    return RG_OK;
}

typedef struct result {
    double norms[UPDATES];
    char name[RG_NAME_SIZE];
    int64_t steps;
    double scale;
    float flats[4][37 * 129 + 5 + 9000];
} result;

enum { ELEMENTS = 37 * 129 + 5 + 9000 };

static void keep(model *m, result *out)
{
    float *const flats[] = {rg_params_values(m->params), rg_params_moment1(m->params),
                            rg_params_moment2(m->params), rg_params_ema(m->params)};
    for (size_t f = 0; f < 4; f++) memcpy(out->flats[f], flats[f], ELEMENTS * sizeof(float));
    out->steps = m->optimizer.step;
    out->scale = m->scaler.scale;
}

typedef struct task {
    int32_t shards;
    bool only;
    double clip_norm;
    result *result; /* shared by all processes; rank 0 writes */
} task;

static int update_together(rg_comm *comm, void *ctx)
{
    const task *t = ctx;
    rg_error err = {0};
    model m;
    double norms[UPDATES];
    char name[RG_NAME_SIZE] = "";
    open_model(&m, (int64_t)rg_comm_world(comm) * RG_ZERO_UNIT, t->clip_norm);
    rg_zero_options options = {.comm = comm, .shards = t->shards, .bucket_bytes = 1};
    RG_RANK_EXPECT(comm, rg_zero_attach(m.params, &options, &err) == RG_OK, "%s", err.text);
    rg_status status = run(&m, comm, t->only, norms, name);
    RG_RANK_EXPECT(comm, status == RG_OK, "%s", m.ex->error.text);
    rg_zero_forget(m.params); /* what others hold is not needed */
    RG_RANK_EXPECT(comm, rg_zero_check_same(m.params, &err) == RG_OK, "%s", err.text);
    RG_RANK_EXPECT(comm, rg_zero_gather(m.params, &err) == RG_OK, "%s", err.text);
    RG_RANK_EXPECT(comm, !strcmp(name, "a") || !strcmp(name, "b"), "'%s'", name);
    if (rg_comm_rank(comm) == 0) {
        memcpy(t->result->norms, norms, sizeof norms);
        memcpy(t->result->name, name, sizeof name);
        keep(&m, t->result);
    }
    if (rg_comm_rank(comm) == 1) rg_params_values(m.params)[7] += 1;
    bool differs = rg_zero_check_same(m.params, &err) == RG_ERR_MISMATCH;
    RG_RANK_EXPECT(comm, differs == (rg_comm_world(comm) > 1), "%s", err.text);
    close_model(&m);
    return 0;
}

static result *shared_result(void)
{
    FILE *file = tmpfile();
    ck_assert(file && ftruncate(fileno(file), sizeof(result)) == 0);
    void *p = mmap(NULL, sizeof(result), PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    ck_assert(p != MAP_FAILED);
    fclose(file);
    return p;
}

static void expect_equal(const result *a, const result *b, const char *what)
{
    static const char *const names[] = {"values", "moment 1", "moment 2", "average"};
    for (size_t f = 0; f < 4; f++)
        for (size_t i = 0; i < ELEMENTS; i++)
            ck_assert_msg(a->flats[f][i] == b->flats[f][i], "%s: %s, element %zu: %.9g and %.9g",
                          what, names[f], i, a->flats[f][i], b->flats[f][i]);
    ck_assert_int_eq(a->steps, b->steps);
    ck_assert(a->scale == b->scale);
    ck_assert_str_eq(a->name, b->name);
}

/* One process alone, without any of this. */
static void update_alone(bool only, result *out)
{
    model m;
    open_model(&m, 0, 0);
    ck_assert_int_eq(run(&m, NULL, only, out->norms, out->name), RG_OK);
    ck_assert_int_eq(m.optimizer.step, UPDATES - 1);
    keep(&m, out);
    close_model(&m);
}

START_TEST(zero_is_adamw_to_the_bit)
{
    static result alone;
    update_alone(true, &alone);
    for (int32_t world = 1; world <= 4; world *= 2) {
        task t = {.shards = 4, .only = true, .result = shared_result()};
        rg_ranks_all_good(world, "shm", update_together, &t);
        expect_equal(&alone, t.result, "one process' AdamW");
        for (int32_t u = 0; u < UPDATES; u++)
            if (u != 2) RG_ASSERT_NEAR(t.result->norms[u], alone.norms[u], 1e-9 * alone.norms[u]);
        munmap(t.result, sizeof *t.result);
    }
}
END_TEST

START_TEST(shards_decide_the_bits_not_processes)
{
    task first = {.shards = 4, .clip_norm = 0.3, .result = shared_result()};
    rg_ranks_all_good(1, "shm", update_together, &first);
    for (int32_t world = 2; world <= 4; world *= 2) {
        task t = first;
        t.result = shared_result();
        rg_ranks_all_good(world, "shm", update_together, &t);
        expect_equal(first.result, t.result, "one process with four shards");
        ck_assert(!memcmp(first.result->norms, t.result->norms, 2 * sizeof(double)));
        munmap(t.result, sizeof *t.result);
    }
    munmap(first.result, sizeof *first.result);
}
END_TEST

RG_TEST_MAIN("zero", 60, zero_is_adamw_to_the_bit, shards_decide_the_bits_not_processes)
