/*
 * A run that is killed with SIGKILL at any moment, checkpoint writes included, and resumed ends
 * with the same bits as a run that was never stopped. Also: NaN stop, foreign models, threads.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "engine/checkpoint.h"
#include "toy_store.h"
#include "train/trainer.h"

enum { STEPS = 24 };

static char folder[512];

static const char config_text[] = "task: codec\n"
                                  "name: toy\n"
                                  "role: bass\n"
                                  "sample_rate: 4000\n"
                                  "ratios: [5, 4, 4]\n"
                                  "filters: 2\n"
                                  "dimension: 8\n"
                                  "lstm_layers: 0\n"
                                  "codebooks: 2\n"
                                  "entries: 8\n"
                                  "batch: 2\n"
                                  "crop_seconds: 0.2\n"
                                  "steps: 24\n"
                                  "log_every: 6\n"
                                  "validate_every: 12\n"
                                  "checkpoint_every: 3\n"
                                  "keep_checkpoints: 2\n"
                                  "pin: false\n"
                                  "threads: 1\n"
                                  "mel: {scales: [64, 128], bands: 16}\n"
                                  "validation: {seconds: 0.2, per_song: 1}\n"
                                  "optimizer: {ema_decay: 0.9}\n"
                                  "schedule: {lr: 0.001}\n";

static const char *in_folder(const char *name)
{
    static char paths[4][1200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 1200, "%s/%s", folder, name);
    return path;
}

static void setup(void)
{
    rg_error err = {0};
    rg_toy toy = {.roles = 2, .songs = 4, .rate = 8000, .seconds = 3};
    static int n;
    snprintf(folder, sizeof folder, "%s/%d", rg_test_folder(), n++);
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    RG_ASSERT_OK(
        rg_fs_write_atomic(in_folder("codec.yaml"), config_text, strlen(config_text), &err), &err);
    rg_store_close(rg_toy_build(&toy, in_folder("store")));
}

/* Runs lie in <folder>/<where>/runs: the configuration, and so its hash, is the same for all. */
static rg_status train(const char *where, bool resume, const char *const *more, size_t n_more,
                       rg_train_result *result, rg_error *err)
{
    char store[1300];
    const char *overrides[16] = {store, "runs=runs"};
    RG_TRY(rg_fs_make_folders(in_folder(where), err));
    ck_assert_int_eq(chdir(in_folder(where)), 0);
    snprintf(store, sizeof store, "store=%s", in_folder("store"));
    for (size_t i = 0; i < n_more; i++) overrides[2 + i] = more[i];
    rg_train_options options = {.config_path = in_folder("codec.yaml"),
                                .overrides = overrides,
                                .n_overrides = 2 + n_more,
                                .resume = resume,
                                .resume_step = -1};
    return rg_train(&options, NULL, result, err);
}

/* The hash of a run's last checkpoint file. */
static void final_hash(const rg_train_result *result, char hex[65])
{
    rg_error err = {0};
    char path[RG_RUN_PATH];
    int64_t found;
    RG_ASSERT_OK(rg_run_checkpoint(result->run_folder, -1, path, &found, &err), &err);
    ck_assert_int_eq(found, STEPS);
    RG_ASSERT_OK(rg_sha256_file(path, hex, &err), &err);
}

static void train_whole(const char *runs, const char *const *more, size_t n, char hex[65])
{
    rg_error err = {0};
    rg_train_result result;
    RG_ASSERT_OK(train(runs, false, more, n, &result, &err), &err);
    final_hash(&result, hex);
}

static rg_status find_run(const char *where, char found[RG_RUN_PATH], rg_error *err)
{
    char runs[1300];
    snprintf(runs, sizeof runs, "%s/runs", in_folder(where));
    return rg_run_find(runs, "toy", found, err);
}

/* ---- killing ---- */

static int64_t calls_left;
static rg_fs_calls killing;

static int64_t write_or_die(int fd, const void *buf, size_t n)
{
    if (--calls_left == 0) {
        if (n > 1) (void)!rg_fs_posix()->write(fd, buf, n / 2); /* torn in the middle */
        kill(getpid(), SIGKILL);
    }
    return rg_fs_posix()->write(fd, buf, n);
}

static int rename_or_die(const char *from, const char *to)
{
    if (--calls_left == 0) kill(getpid(), SIGKILL);
    return rg_fs_posix()->rename(from, to);
}

/* A discriminator joins at step 8, half of whose updates are drawn, before an update of two
 * micro-batches. */
static const char *const gan[] = {"losses.adv=[1, 1]",
                                  "losses.feat=[1, 1]",
                                  "discriminator.start=0.35",
                                  "discriminator.probability=0.5",
                                  "discriminator.scales=[64]",
                                  "discriminator.filters=2",
                                  "accumulate=2"};
enum { GAN = sizeof gan / sizeof *gan };

/* Runs in a child that dies after `calls` writes (0: none), or after `ms` milliseconds. */
static bool run_child(const char *runs, bool resume, int64_t calls, int64_t ms, size_t n_more)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        rg_error err = {0};
        rg_train_result result;
        killing = *rg_fs_posix();
        killing.write = write_or_die;
        killing.rename = rename_or_die;
        calls_left = calls;
        if (calls) rg_fs_install(&killing);
        rg_status status = train(runs, resume, gan, n_more, &result, &err);
        if (status != RG_OK) fprintf(stderr, "child: %s\n", err.text);
        _exit(status == RG_OK ? 0 : 1);
    }
    if (ms) {
        usleep((useconds_t)ms * 1000);
        kill(child, SIGKILL);
    }
    int how;
    waitpid(child, &how, 0);
    ck_assert_msg(WIFSIGNALED(how) || WEXITSTATUS(how) == 0, "the child failed");
    return WIFEXITED(how);
}

static void check_killed(int kills, uint64_t stream, const char *const *more, size_t n_more)
{
    char whole[65], hex[65], runs[64];
    setup();
    train_whole("whole", more, n_more, whole);
    rg_rng rng = rg_rng_make(11, stream);
    for (int i = 0; i < kills; i++) {
        bool in_write = i % 2, finished;
        snprintf(runs, sizeof runs, "killed-%d", i);
        int64_t calls = in_write ? 5 + (int64_t)rg_rng_below(&rng, 90) : 0;
        int64_t ms = in_write ? 0 : 20 + (int64_t)rg_rng_below(&rng, 300);
        finished = run_child(runs, false, calls, ms, n_more);
        rg_error err = {0};
        char found[RG_RUN_PATH];
        bool begun = find_run(runs, found, &err) == RG_OK;
        if (!finished) run_child(runs, begun, 0, 0, n_more);
        rg_train_result result = {0};
        err = (rg_error){0};
        RG_ASSERT_OK(train(runs, true, more, n_more, &result, &err), &err);
        final_hash(&result, hex);
        ck_assert_msg(!strcmp(hex, whole), "run %d (seed 11) ended with other bits", i);
    }
}

START_TEST(killed_runs_end_with_the_same_bits)
{
    check_killed(20, 4, NULL, 0);
}
END_TEST

START_TEST(killed_runs_with_a_discriminator_do_too)
{
    check_killed(8, 5, gan, GAN);
}
END_TEST

START_TEST(repeated_kills_still_get_there)
{
    char whole[65], hex[65];
    rg_error err = {0};
    setup();
    train_whole("whole", NULL, 0, whole);
    bool finished = run_child("many", false, 60, 0, 0);
    for (int i = 0; i < 40 && !finished; i++) finished = run_child("many", true, 60 + i, 0, 0);
    rg_train_result result;
    RG_ASSERT_OK(train("many", true, NULL, 0, &result, &err), &err);
    final_hash(&result, hex);
    ck_assert_str_eq(hex, whole);
}
END_TEST

/* The configuration names the threads, so files differ; what was learnt must not. */
static void learnt_with(const char *threads, char hex[65])
{
    rg_error err = {0};
    rg_train_result result;
    char path[RG_RUN_PATH];
    int64_t found;
    RG_ASSERT_OK(train(threads, false, &threads, 1, &result, &err), &err);
    RG_ASSERT_OK(rg_run_checkpoint(result.run_folder, -1, path, &found, &err), &err);
    RG_ASSERT_OK(rg_weights_hash(path, hex, &err), &err);
}

START_TEST(threads_do_not_change_bits)
{
    static const char *const counts[] = {"threads=2", "threads=3", "threads=7"};
    char one[65], many[65];
    setup();
    learnt_with("threads=1", one);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        learnt_with(counts[i], many);
        ck_assert_msg(!strcmp(one, many), "%s gave other bits", counts[i]);
    }
}
END_TEST

START_TEST(a_changed_model_is_refused)
{
    rg_error err = {0};
    rg_train_result result;
    const char *more[] = {"filters=4"};
    setup();
    RG_ASSERT_OK(train("runs", false, NULL, 0, &result, &err), &err);
    ck_assert_int_eq(train("runs", true, more, 1, &result, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "in the model"), "%s", err.text);
}
END_TEST

/* What cannot run is refused in words before it has a folder; nothing has run out by then. */
START_TEST(refused_runs_leave_nothing)
{
    static const struct {
        const char *set[4];
        rg_status code;
        const char *word;
    } rows[] = {
        {{"role=bells"}, RG_ERR_CONFIG, "no role 'bells'"},
        {{"crop_seconds=30"}, RG_ERR_MISMATCH, "shorter crops"},
        {{"sample_rate=16000", "ratios=[8, 8, 5]"}, RG_ERR_USAGE, "higher rate"},
        {{"mel.scales=[60]"}, RG_ERR_CONFIG, "power of two"},
        {{"validation.seconds=30"}, RG_ERR_MISMATCH, "valid song"},
        {{"filters=512", "dimension=4096", "lstm_layers=4", "residual_layers=4"},
         RG_ERR_NOMEM,
         "make it smaller"},
        {{"filters=32", "batch=4096", "crop_seconds=2.8"}, RG_ERR_NOMEM, "lower batch (now 4096)"},
    };
    setup();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rg_error err = {0};
        rg_train_result result = {0};
        size_t n = 0;
        while (n < 4 && rows[i].set[n]) n++;
        rg_status status = train("refused", false, rows[i].set, n, &result, &err);
        ck_assert_msg(status == rows[i].code && strstr(err.text, rows[i].word), "%zu: %d %s", i,
                      status, err.text);
        ck_assert_msg(!rg_fs_exists("runs"), "%zu left a folder", i);
    }
}
END_TEST

/* What was said before the run had a folder is in its log. */
START_TEST(the_log_begins_with_the_beginning)
{
    rg_error err = {0};
    rg_train_result result;
    char *text, path[RG_RUN_PATH + 32];
    size_t n;
    setup();
    RG_ASSERT_OK(train("runs", false, NULL, 0, &result, &err), &err);
    snprintf(path, sizeof path, "%s/train.log", result.run_folder);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &text, &n, &err), &err);
    const char *found = strstr(text, "songs, "), *model = strstr(text, "of which activations ");
    const char *begun = strstr(text, "kernels, ");
    ck_assert_msg(found && model && begun && found < model && model < begun, "%s", text);
    free(text);
}
END_TEST

START_TEST(resume_goes_on_with_more_steps)
{
    rg_error err = {0};
    rg_train_result result;
    const char *more[] = {"steps=30"};
    setup();
    RG_ASSERT_OK(train("runs", false, NULL, 0, &result, &err), &err);
    RG_ASSERT_OK(train("runs", true, more, 1, &result, &err), &err);
    ck_assert_int_eq(result.step, 30);
}
END_TEST

/* A run from before there was a discriminator goes on with one; not the other way round. */
START_TEST(a_discriminator_joins_a_resumed_run)
{
    rg_error err = {0};
    rg_train_result result;
    const char *more[GAN + 1] = {"steps=30"}, *without[] = {"steps=36", "accumulate=2"};
    memcpy(more + 1, gan, sizeof gan);
    setup();
    RG_ASSERT_OK(train("runs", false, NULL, 0, &result, &err), &err);
    RG_ASSERT_OK(train("runs", true, more, GAN + 1, &result, &err), &err);
    ck_assert_int_eq(result.step, 30);
    ck_assert_int_eq(train("runs", true, without, 2, &result, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "losses.adv") != NULL, "%s", err.text);
}
END_TEST

START_TEST(values_that_stay_nonfinite_stop_the_run)
{
    rg_error err = {0};
    rg_train_result result = {0};
    const char *more[] = {"schedule.lr=10", "nan_patience=2", "optimizer.weight_decay=10",
                          "steps=400"};
    setup();
    rg_status status = train("runs", false, more, 4, &result, &err);
    ck_assert_msg(status == RG_ERR_NUMERIC, "status %d: %s", status, err.text);
    ck_assert_msg(strstr(err.text, "not finite for 2 updates"), "%s", err.text);
    ck_assert(rg_fs_exists(in_folder("runs")));
    int64_t found;
    char path[RG_RUN_PATH];
    rg_error ignored = {0};
    RG_ASSERT_OK(rg_run_checkpoint(result.run_folder, -1, path, &found, &ignored), &ignored);
    ck_assert_int_ge(found, 1);
}
END_TEST

static volatile sig_atomic_t stop_now = SIGINT;

START_TEST(a_signal_leaves_a_checkpoint)
{
    rg_error err = {0};
    rg_train_result result;
    char store[1300];
    setup();
    snprintf(store, sizeof store, "store=%s", in_folder("store"));
    RG_ASSERT_OK(rg_fs_make_folders(in_folder("stopped"), &err), &err);
    ck_assert_int_eq(chdir(in_folder("stopped")), 0);
    const char *overrides[] = {store, "runs=runs"};
    rg_train_options options = {.config_path = in_folder("codec.yaml"),
                                .overrides = overrides,
                                .n_overrides = 2,
                                .resume_step = -1,
                                .stop = &stop_now};
    RG_ASSERT_OK(rg_train(&options, NULL, &result, &err), &err);
    ck_assert(result.stopped);
    RG_ASSERT_OK(train("stopped", true, NULL, 0, &result, &err), &err);
    ck_assert_int_eq(result.step, STEPS);
}
END_TEST

START_TEST(metrics_are_written_once_per_step)
{
    rg_error err = {0};
    rg_train_result result;
    char *data, path[RG_RUN_PATH + 32];
    size_t n, lines = 0;
    setup();
    RG_ASSERT_OK(train("runs", false, NULL, 0, &result, &err), &err);
    RG_ASSERT_OK(train("runs", true, NULL, 0, &result, &err), &err);
    snprintf(path, sizeof path, "%s/metrics.jsonl", result.run_folder);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 24, &data, &n, &err), &err);
    for (size_t i = 0; i < n; i++) lines += data[i] == '\n';
    ck_assert_uint_eq(lines, STEPS / 6 + STEPS / 12);
    free(data);
}
END_TEST

RG_TEST_MAIN("resume", 600, killed_runs_end_with_the_same_bits,
             killed_runs_with_a_discriminator_do_too, repeated_kills_still_get_there,
             threads_do_not_change_bits, a_changed_model_is_refused, refused_runs_leave_nothing,
             the_log_begins_with_the_beginning, resume_goes_on_with_more_steps,
             a_discriminator_joins_a_resumed_run, values_that_stay_nonfinite_stop_the_run,
             a_signal_leaves_a_checkpoint, metrics_are_written_once_per_step)
