/*
 * A training step on a device: it decides for itself whether it is made, and the host does not wait
 * for it; as a graph it has the same bits.
 *
 * One idea: what the host waits for is counted; two runs of different length wait equally often.
 */
#include "base/fs.h"
#include "cuemu_control.h"
#include "engine/optimizer.h"
#include "engine/safetensors.h"
#include "test.h"
#include "toy_bundle.h"
#include "toy_store.h"
#include "train/run_dir.h"
#include "train/selftest.h"
#include "train/trainer.h"

/* ---- the optimizer ---- */

enum { N = 300, STEPS = 12 };

typedef struct rig {
    rg_gpu *gpu;
    rg_exec *ex;
    rg_params *params;
    rg_adamw adamw;
    rg_scaler scaler;
} rig;

static rig open_rig(bool on_gpu, bool late)
{
    rg_error err = {0};
    rig r = {.scaler = rg_scaler_make(true)};
    r.adamw = (rg_adamw){.beta1 = 0.9,
                         .beta2 = 0.98,
                         .eps = 1e-8,
                         .weight_decay = 0.1,
                         .clip_norm = 1,
                         .ema_decay = 0.99,
                         .late = late};
    r.scaler.interval = 4;
    rg_exec_options options = {.kernels = rg_kernels_reference(),
                               .step_bytes = 1 << 20,
                               .scratch_bytes = 1 << 20,
                               .persist_bytes = 1 << 20};
    if (on_gpu) {
        r.gpu = options.gpu = rg_gpu_open(0, &err);
        ck_assert_msg(r.gpu != NULL, "%s", err.text);
        options.kernels = rg_gpu_kernels(r.gpu, RG_F32, &err);
    }
    r.ex = rg_exec_create(&options, &err);
    r.params = rg_params_create(&err);
    ck_assert_msg(r.ex && r.params, "%s", err.text);
    rg_params_add(r.params, "first", RG_SHAPE(N / 3, 2), (rg_init){RG_INIT_NORMAL, 1});
    rg_params_add(r.params, "second", RG_SHAPE(N / 3), (rg_init){RG_INIT_NORMAL, 1});
    RG_ASSERT_OK(rg_params_finish(r.params, r.ex, 3, true, &err), &err);
    return r;
}

static void close_rig(rig *r)
{
    rg_params_destroy(r->params);
    rg_exec_destroy(r->ex);
    rg_gpu_close(r->gpu);
}

/* Gradients of step s, through the door that backward passes use; every fifth is infinite. */
static void set_gradients(rig *r, int s)
{
    int32_t n;
    float g[N];
    const double scale = r->scaler.scale;
    rg_tensor *const *wrt = rg_params_trainable(r->params, &n);
    ck_assert_int_eq(n, 2);
    for (int i = 0; i < N; i++) g[i] = (float)(scale * sin(i + 7 * s) * (s % 2 ? 1 : 0.01));
    if (s % 5 == 3) g[N - 20] = INFINITY;
    if (s % 5 == 3) g[N - 40] = -INFINITY;
    for (int32_t i = 0; i < n; i++) {
        void *to = r->ex->param_gradients[wrt[i]->id].data;
        const float *from = i ? g + N / 3 * 2 : g;
        const size_t bytes = (size_t)rg_shape_count(wrt[i]->shape) * sizeof *g;
        if (r->gpu)
            RG_ASSERT_OK(rg_gpu_put(r->gpu, to, from, bytes, &r->ex->error), &r->ex->error);
        else
            memcpy(to, from, bytes);
    }
}

/* The scale that the device has is not known to a late host: what it is, is worked out beside. */
static void step(rig *r, int s, double known_scale, rg_update *update)
{
    const double mirrored = r->scaler.scale;
    r->scaler.scale = known_scale;
    set_gradients(r, s);
    r->scaler.scale = mirrored;
    RG_ASSERT_OK(rg_adamw_step(&r->adamw, &r->scaler, r->params, r->ex, 0.01 * (s + 1), 1, update),
                 &r->ex->error);
}

static void compare_rigs(rig *here, rig *there)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_params_fetch(there->params, &err), &err);
    const float *a = rg_params_values(here->params), *b = rg_params_values(there->params);
    const float *ema_a = rg_params_ema(here->params), *ema_b = rg_params_ema(there->params);
    for (int i = 0; i < N; i++) {
        RG_ASSERT_NEAR(b[i], a[i], 1e-5);
        RG_ASSERT_NEAR(ema_b[i], ema_a[i], 1e-5);
    }
    ck_assert_int_eq(there->adamw.step, here->adamw.step);
    ck_assert_int_eq(there->scaler.skipped, here->scaler.skipped);
    ck_assert_int_eq(there->scaler.good_steps, here->scaler.good_steps);
    ck_assert_double_eq(there->scaler.scale, here->scaler.scale);
}

static void check_outcome(const rg_update *there, const rg_update *here)
{
    ck_assert(there->known && there->skipped == here->skipped);
    ck_assert_str_eq(there->nonfinite, here->nonfinite);
    if (!here->skipped) RG_ASSERT_NEAR(there->grad_norm, here->grad_norm, 1e-5 * here->grad_norm);
}

START_TEST(a_step_is_decided_where_it_is_made)
{
    for (int late = 0; late < 2; late++) {
        rig here = open_rig(false, false), there = open_rig(true, late);
        rg_update before = {0}, update, heard;
        for (int s = 0; s < STEPS; s++) {
            const double scale = here.scaler.scale;
            step(&here, s, scale, &update);
            ck_assert_int_eq(update.skipped, s % 5 == 3);
            if (update.skipped) ck_assert_str_eq(update.nonfinite, "second");
            const int waits = cuemu_waits();
            step(&there, s, scale, &heard);
            ck_assert_int_eq(cuemu_waits(), waits);
            if (late && s == 0) ck_assert(!heard.known);
            if (!late || s > 0) check_outcome(&heard, late ? &before : &update);
            before = update;
        }
        RG_ASSERT_OK(rg_adamw_settle(&there.adamw, &there.scaler, there.params, there.ex, &heard),
                     &there.ex->error);
        if (late) check_outcome(&heard, &before);
        ck_assert(late || !heard.known);
        compare_rigs(&here, &there);
        close_rig(&here);
        close_rig(&there);
    }
}
END_TEST

/* ---- runs ---- */

enum { ROLES = 2 };
static const char config_text[] = "task: tracks\n"
                                  "name: toy\n"
                                  "threads: 1\n"
                                  "pin: false\n"
                                  "roles:\n"
                                  "  drums: {codec: x}\n"
                                  "  bass: {codec: x}\n"
                                  "phase: 2\n"
                                  "steps: 1\n"
                                  "batch: 1\n"
                                  "accumulate: 2\n"
                                  "store: x\n"
                                  "model: {width: 16, heads: 2, encoder_layers: 1,\n"
                                  "        decoder_layers: 1, frames: 16}\n"
                                  "optimizer: {ema_decay: 0.9, clip_norm: 1}\n"
                                  "schedule: {kind: constant, lr: 5.0e-3}\n"
                                  "precision: {loss_scaling: true}\n"
                                  "validation: {windows: 1}\n"
                                  "log_every: 1000\n"
                                  "validate_every: 1000\n"
                                  "checkpoint_every: 1000\n";

/* Files of all runs; made once in each test's process. */
static char folder[512], config[600], set[2 + ROLES][700];

static void make_files(void)
{
    rg_error err = {0};
    snprintf(folder, sizeof folder, "%s", rg_test_folder());
    snprintf(config, sizeof config, "%s/toy.yaml", folder);
    RG_ASSERT_OK(rg_fs_write_atomic(config, config_text, strlen(config_text), &err), &err);
    snprintf(set[0], sizeof set[0], "store=%s/store", folder);
    snprintf(set[1], sizeof set[1], "runs=%s", folder);
    const rg_toy toy = {.roles = ROLES, .songs = 3, .rate = 16000, .seconds = 4, .absent = 9};
    rg_store_close(rg_toy_build(&toy, set[0] + strlen("store=")));
    rg_exec *ex = rg_toy_exec(NULL);
    for (int32_t r = 0; r < ROLES; r++) {
        const char *role = rg_toy_role(r);
        char path[600];
        snprintf(path, sizeof path, "%s/codec-%s.safetensors", folder, role);
        rg_toy_codec(ex, path, role, 30 + (uint64_t)r);
        snprintf(set[2 + r], sizeof set[2 + r], "roles.%s.codec=%s", role, path);
    }
    rg_exec_destroy(ex);
    ck_assert(cuemu_set("memory", "512"));
}

static void say(void *ctx, rg_log_level level, const char *text)
{
    (void)ctx, (void)level, (void)text;
}

/* Trains from the start; the last record of the run's training metrics in `line`. */
static void train(const char *device, const char *name, int steps, bool graph, char *run)
{
    rg_error err = {0};
    char named[64], length[32];
    const char *all[5 + ROLES] = {named, length, graph ? "graph=true" : "graph=false"};
    rg_train_result result = {0};
    const rg_log log = {.line = say};
    if (!folder[0]) make_files();
    snprintf(named, sizeof named, "name=%s", name);
    snprintf(length, sizeof length, "steps=%d", steps);
    for (int i = 0; i < 2 + ROLES; i++) all[3 + i] = set[i];
    const rg_train_options o = {.config_path = config,
                                .overrides = all,
                                .n_overrides = 5 + ROLES,
                                .resume_step = -1,
                                .device = device};
    RG_ASSERT_OK(rg_train(&o, &log, &result, &err), &err);
    ck_assert_int_eq(result.step, steps);
    snprintf(run, RG_RUN_PATH, "%s", result.run_folder);
}

/* A number of the run's last record of training. */
static double number(const char *run, const char *name)
{
    rg_error err = {0};
    char path[RG_RUN_PATH + 32], *text, *save = NULL;
    size_t n;
    double value = NAN;
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 24, &text, &n, &err), &err);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        const char *at = strstr(line, "\"kind\":\"train\"") ? strstr(line, name) : NULL;
        if (at) value = atof(strchr(at, ':') + 1);
    }
    free(text);
    return value;
}

/* A step waits for no stream, and for one event: that the step before has told its outcome. One
 * more may be for room in the ring that copies to the device go through. */
START_TEST(steps_of_tracks_wait_for_nothing)
{
    char run[RG_RUN_PATH];
    const int w0 = cuemu_waits(), e0 = cuemu_event_waits();
    train("cuda", "short", 2, false, run);
    const int w1 = cuemu_waits(), e1 = cuemu_event_waits();
    train("cuda", "long", 5, false, run);
    const int w2 = cuemu_waits(), e2 = cuemu_event_waits();
    ck_assert_int_eq(w2 - w1, w1 - w0);
    ck_assert_int_le((e2 - e1) - (e1 - e0), 3 + 1);
}
END_TEST

/* What is told of a run is the same although it is told late. */
START_TEST(losses_are_those_of_the_cpu)
{
    static const char *const names[] = {"\"loss\"", "\"drums/loss\"", "\"bass/loss\"",
                                        "\"grad_norm\"", "\"loss_scale\""};
    char here[RG_RUN_PATH], there[RG_RUN_PATH];
    train("cpu", "here", 3, false, here);
    train("cuda", "there", 3, false, there);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const double a = number(here, names[i]), b = number(there, names[i]);
        ck_assert_msg(fabs(a - b) <= 1e-3 * fabs(a), "%s: %g here, %g there", names[i], a, b);
    }
}
END_TEST

/* Every tensor of the last checkpoint: parameters, moments, averages. */
static void compare_checkpoints(const char *a, const char *b, int step)
{
    rg_error err = {0};
    char path[2][RG_RUN_PATH + 64];
    const char *const runs[] = {a, b};
    rg_st_reader *r[2];
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/checkpoints/step_%07d.safetensors", runs[i], step);
        r[i] = rg_st_open(path[i], &err);
        ck_assert_msg(r[i] != NULL, "%s", err.text);
    }
    ck_assert_uint_eq(rg_st_count(r[0]), rg_st_count(r[1]));
    for (size_t i = 0; i < rg_st_count(r[0]); i++) {
        const rg_st_tensor *t = rg_st_at(r[0], i), *u = rg_st_find(r[1], t->name);
        ck_assert_msg(u && u->bytes == t->bytes, "%s", t->name);
        char *x = malloc((size_t)t->bytes + 1), *y = malloc((size_t)t->bytes + 1);
        ck_assert(x && y);
        RG_ASSERT_OK(rg_st_read(r[0], t, x, &err), &err);
        RG_ASSERT_OK(rg_st_read(r[1], u, y, &err), &err);
        ck_assert_msg(!memcmp(x, y, (size_t)t->bytes), "%s has other bits", t->name);
        free(x), free(y);
    }
    rg_st_close(r[0]), rg_st_close(r[1]);
}

/* Roles, masks and songs change from step to step, and with them the form of what is computed. */
START_TEST(a_graph_has_the_bits_of_its_calls)
{
    enum { UPDATES = 5 };
    char plain[RG_RUN_PATH], graph[RG_RUN_PATH];
    train("cuda", "plain", UPDATES, false, plain);
    const int launches = cuemu_graph_launches();
    train("cuda", "graph", UPDATES, true, graph);
    ck_assert_int_ge(cuemu_graph_launches() - launches, UPDATES - 1); /* and those of samples */
    compare_checkpoints(plain, graph, UPDATES);
    ck_assert_double_eq(number(graph, "\"loss\""), number(plain, "\"loss\""));
    ck_assert_int_eq(cuemu_total(), 0);
}
END_TEST

static rg_selftest_tracks choose(rg_gpu *gpu, bool graphs)
{
    rg_error err = {0};
    rg_selftest_tracks made;
    const rg_exec_options options = {.kernels = rg_gpu_kernels(gpu, RG_F32, &err),
                                     .gpu = gpu,
                                     .graphs = graphs,
                                     .seed = 3,
                                     .step_bytes = 1 << 26,
                                     .scratch_bytes = 1 << 24,
                                     .persist_bytes = 1 << 24};
    rg_exec *ex = rg_exec_create(&options, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_selftest_tracks_run(ex, 0, &made, &err), &err);
    rg_exec_destroy(ex);
    return made;
}

START_TEST(choices_of_graphs_are_the_same)
{
    rg_error err = {0};
    rg_gpu *gpu = rg_gpu_open(0, &err);
    ck_assert_msg(gpu != NULL, "%s", err.text);
    rg_selftest_tracks plain = choose(gpu, false);
    const int launches = cuemu_graph_launches();
    rg_selftest_tracks graphs = choose(gpu, true);
    ck_assert_int_gt(cuemu_graph_launches() - launches, 32);
    ck_assert_int_eq(graphs.n_codes, plain.n_codes);
    ck_assert_mem_eq(graphs.codes, plain.codes, (size_t)plain.n_codes * sizeof *plain.codes);
    rg_selftest_tracks_free(&plain);
    rg_selftest_tracks_free(&graphs);
    rg_gpu_close(gpu);
    ck_assert_int_eq(cuemu_total(), 0);
}
END_TEST

/* ---- the backend's side of it ---- */

START_TEST(nothing_is_read_within_a_graph)
{
    rg_error err = {0};
    uint32_t here[4] = {1, 2, 3, 4}, back[4] = {0};
    rg_gpu *gpu = rg_gpu_open(0, &err);
    ck_assert_msg(gpu != NULL, "%s", err.text);
    void *there = rg_gpu_alloc(gpu, sizeof here, &err);
    rg_gpu_graph *graph = rg_gpu_graph_create(gpu, &err);
    rg_gpu_letter *letter = rg_gpu_letter_create(gpu, sizeof here, &err);
    ck_assert_msg(there && graph && letter, "%s", err.text);
    for (uint32_t round = 0; round < 3; round++) {
        here[0] = round;
        RG_ASSERT_OK(rg_gpu_graph_begin(graph, &err), &err);
        RG_ASSERT_OK(rg_gpu_put(gpu, there, here, sizeof here, &err), &err);
        RG_ASSERT_OK(rg_gpu_letter_post(letter, 0, there, sizeof here, &err), &err);
        here[0] = 77; /* it was taken when it was given */
        ck_assert_int_eq(rg_gpu_get(gpu, back, there, sizeof back, &err), RG_ERR_USAGE);
        ck_assert_msg(strstr(err.text, "within a graph") != NULL, "%s", err.text);
        err = (rg_error){0};
        ck_assert_int_eq(rg_gpu_wait(gpu, &err), RG_ERR_USAGE);
        err = (rg_error){0};
        ck_assert_ptr_null(rg_gpu_letter_read(letter, &err));
        err = (rg_error){0};
        RG_ASSERT_OK(rg_gpu_graph_end(graph, &err), &err);
        const uint32_t *told = rg_gpu_letter_read(letter, &err);
        ck_assert_msg(told != NULL, "%s", err.text);
        ck_assert_uint_eq(told[0], round);
        ck_assert_uint_eq(told[3], 4);
    }
    RG_ASSERT_OK(rg_gpu_graph_begin(graph, &err), &err);
    RG_ASSERT_OK(rg_gpu_zero(gpu, there, sizeof here, &err), &err);
    rg_gpu_graph_drop(graph);
    RG_ASSERT_OK(rg_gpu_get(gpu, back, there, sizeof back, &err), &err);
    ck_assert_uint_eq(back[0], 2); /* what was dropped did not run */
    rg_gpu_letter_destroy(letter);
    rg_gpu_graph_destroy(graph);
    rg_gpu_free(gpu, there);
    rg_gpu_close(gpu);
    ck_assert_int_eq(cuemu_total(), 0);
}
END_TEST

RG_TEST_MAIN("cuda step", 300, a_step_is_decided_where_it_is_made, steps_of_tracks_wait_for_nothing,
             losses_are_those_of_the_cpu, a_graph_has_the_bits_of_its_calls,
             choices_of_graphs_are_the_same, nothing_is_read_within_a_graph)
