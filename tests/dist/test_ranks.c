/*
 * Training by several processes: 2 and 4 processes make the checkpoint of one, byte for byte, of a
 * codec with a discriminator and of tracks, and measure what one measures; a run goes on with other
 * numbers of processes; a rank that is killed stops the others; what cannot be dealt is refused.
 */
#include <jansson.h>
#include <signal.h>

#include "base/hash.h"
#include "ranks.h"
#include "toy_bundle.h"
#include "toy_store.h"
#include "train/trainer.h"

#ifndef RG_TEST_DEVICE /* "cuda" for emulated GPUs, one of each process */
#define RG_TEST_DEVICE "cpu"
#define RG_TEST_SECONDS 120
#endif

static const char codec_text[] = "task: codec\n"
                                 "name: toy\n"
                                 "role: bass\n"
                                 "sample_rate: 4000\n"
                                 "ratios: [5, 4, 4]\n"
                                 "filters: 4\n"
                                 "dimension: 8\n"
                                 "lstm_layers: 1\n"
                                 "codebooks: 2\n"
                                 "entries: 8\n"
                                 "batch: 1\n"
                                 "accumulate: 4\n"
                                 "crop_seconds: 0.2\n"
                                 "steps: 6\n"
                                 "log_every: 2\n"
                                 "validate_every: 3\n"
                                 "checkpoint_every: 2\n"
                                 "keep_checkpoints: 9\n"
                                 "pin: false\n"
                                 "threads: 1\n"
                                 "bucket: 1\n"
                                 "mel: {scales: [64, 128], bands: 16}\n"
                                 "quantizer: {start: 0.3, dropout: 0.5}\n"
                                 "losses: {adv: [1, 1], feat: [1, 1]}\n"
                                 "discriminator: {start: 0.3, probability: 0.7, scales: [64],\n"
                                 "                filters: 2, clip_norm: 1}\n"
                                 "validation: {seconds: 0.2, per_song: 5}\n"
                                 "optimizer: {ema_decay: 0.9, clip_norm: 0.5}\n"
                                 "schedule: {lr: 0.001}\n";

static const char tracks_text[] = "task: tracks\n"
                                  "name: toy\n"
                                  "threads: 1\n"
                                  "pin: false\n"
                                  "roles:\n"
                                  "  drums: {codec: x}\n"
                                  "  bass: {codec: x}\n"
                                  "phase: 2\n"
                                  "steps: 6\n"
                                  "batch: 1\n"
                                  "accumulate: 4\n"
                                  "bucket: 1\n"
                                  "store: x\n"
                                  "model: {width: 32, heads: 2, encoder_layers: 1,\n"
                                  "        decoder_layers: 1, frames: 64, dropout: 0.1}\n"
                                  "optimizer: {ema_decay: 0.9, clip_norm: 1}\n"
                                  "schedule: {kind: constant, lr: 5.0e-3}\n"
                                  "validation: {windows: 1}\n"
                                  "log_every: 2\n"
                                  "validate_every: 3\n"
                                  "checkpoint_every: 2\n"
                                  "keep_checkpoints: 9\n";

enum { ROLES = 2, STEPS = 6 };

typedef struct job {
    char folder[512], config[600], set[8][700];
    const char *overrides[16];
    size_t n;
    bool resume;
    char run[RG_RUN_PATH];
} job;

static void add(job *j, const char *key, const char *value)
{
    char text[700];
    snprintf(text, sizeof text, "%s=%s", key, value);
    memcpy(j->set[j->n], text, sizeof text);
    j->overrides[j->n] = j->set[j->n];
    j->n++;
}

static void open_job(job *j, const char *text)
{
    rg_error err = {0};
    char path[600];
    rg_toy toy = {.roles = ROLES, .songs = 4, .rate = 8000, .seconds = 3};
    memset(j, 0, sizeof *j);
    snprintf(j->folder, sizeof j->folder, "%s", rg_test_folder());
    snprintf(j->config, sizeof j->config, "%s/toy.yaml", j->folder);
    RG_ASSERT_OK(rg_fs_write_atomic(j->config, text, strlen(text), &err), &err);
    snprintf(path, sizeof path, "%s/store", j->folder);
    if (text == tracks_text) {
        toy.rate = 16000;
        toy.seconds = 6;
    }
    rg_store_close(rg_toy_build(&toy, path));
    add(j, "store", path);
    if (text != tracks_text) return;
    rg_exec *ex = rg_toy_exec(NULL);
    for (int32_t r = 0; r < ROLES; r++) {
        char name[64];
        snprintf(path, sizeof path, "%s/codec-%s.safetensors", j->folder, rg_toy_role(r));
        rg_toy_codec(ex, path, rg_toy_role(r), 30 + (uint64_t)r);
        snprintf(name, sizeof name, "roles.%s.codec", rg_toy_role(r));
        add(j, name, path);
    }
    rg_exec_destroy(ex);
}

static rg_status train(rg_comm *comm, const job *j, rg_train_result *result, rg_error *err)
{
    rg_train_options options = {.config_path = j->config,
                                .overrides = j->overrides,
                                .n_overrides = j->n,
                                .resume = j->resume,
                                .resume_step = -1,
                                .device = RG_TEST_DEVICE,
                                .comm = comm};
    return rg_train(&options, NULL, result, err);
}

static int train_as_rank(rg_comm *comm, void *ctx)
{
    rg_error err = {0};
    rg_train_result result = {0};
    rg_status status = train(comm, ctx, &result, &err);
    RG_RANK_EXPECT(comm, status == RG_OK, "%s", err.text);
    RG_RANK_EXPECT(comm, result.run_folder[0], "no run folder");
    return 0;
}

/* Trains in <folder>/<where>, where the same configuration makes runs of its own. */
static void train_in(job *j, const char *where, int32_t world, const char *backend)
{
    rg_error err = {0};
    char folder[600];
    snprintf(folder, sizeof folder, "%s/%s", j->folder, where);
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    ck_assert_int_eq(chdir(folder), 0);
    rg_ranks_all_good(world, backend, train_as_rank, j);
}

static void hash_of_step(job *j, const char *where, int64_t step, char hex[65])
{
    rg_error err = {0};
    char runs[600], path[RG_RUN_PATH];
    int64_t found;
    snprintf(runs, sizeof runs, "%s/%s/runs", j->folder, where);
    RG_ASSERT_OK(rg_run_find(runs, "toy", j->run, &err), &err);
    RG_ASSERT_OK(rg_run_checkpoint(j->run, step, path, &found, &err), &err);
    ck_assert_int_eq(found, step);
    RG_ASSERT_OK(rg_sha256_file(path, hex, &err), &err);
}

static void same_bits(job *j, const char *a, const char *b)
{
    for (int64_t step = 2; step <= STEPS; step += 2) {
        char x[65], y[65];
        hash_of_step(j, a, step, x);
        hash_of_step(j, b, step, y);
        ck_assert_msg(!strcmp(x, y), "step %lld of %s and of %s differ", (long long)step, a, b);
    }
}

/* The rows of all validations, without what clocks say. */
static char *measured(job *j, const char *where)
{
    rg_error err = {0};
    char path[RG_RUN_PATH + 32], *data, *rest, *line;
    size_t n;
    json_t *rows = json_array(), *row;
    snprintf(path, sizeof path, "%s/%s/runs", j->folder, where);
    RG_ASSERT_OK(rg_run_find(path, "toy", j->run, &err), &err);
    snprintf(path, sizeof path, "%s/metrics.jsonl", j->run);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &data, &n, &err), &err);
    for (line = strtok_r(data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        row = json_loads(line, 0, NULL);
        json_object_del(row, "time");
        json_object_del(json_object_get(row, "metrics"), "validation_seconds");
        if (!strcmp(json_string_value(json_object_get(row, "kind")), "valid"))
            json_array_append(rows, row);
        json_decref(row);
    }
    ck_assert_uint_eq(json_array_size(rows), STEPS / 3);
    char *text = json_dumps(rows, JSON_COMPACT);
    json_decref(rows);
    free(data);
    return text;
}

static void same_numbers(job *j, const char *a, const char *b)
{
    char *x = measured(j, a), *y = measured(j, b);
    ck_assert_str_eq(x, y);
    free(x);
    free(y);
}

static void any_number_makes_the_same(const char *text)
{
    job j;
    open_job(&j, text);
    add(&j, "shards", "4");
    train_in(&j, "one", 1, "shm");
    train_in(&j, "two", 2, "shm");
    same_bits(&j, "one", "two");
    same_numbers(&j, "one", "two");
    train_in(&j, "four", 4, "tcp");
    same_bits(&j, "one", "four");
    same_numbers(&j, "one", "four");
}

START_TEST(a_codec_is_the_same_on_1_2_and_4)
{
    any_number_makes_the_same(codec_text);
}
END_TEST

START_TEST(tracks_are_the_same_on_1_2_and_4)
{
    any_number_makes_the_same(tracks_text);
}
END_TEST

/* Gradients go on their way while they come: one shard each. */
START_TEST(overlap_changes_nothing)
{
    job j;
    open_job(&j, tracks_text);
    add(&j, "shards", "2");
    train_in(&j, "one", 1, "shm");
    train_in(&j, "two", 2, "shm");
    same_bits(&j, "one", "two");
}
END_TEST

/* Removes the checkpoints after `last`, as if the run had been killed there. */
static void keep_steps(const job *j, int64_t last)
{
    char folder[RG_RUN_PATH + 32], name[RG_RUN_PATH + 96];
    snprintf(folder, sizeof folder, "%s/checkpoints", j->run);
    for (int64_t step = last + 2; step <= STEPS; step += 2) {
        snprintf(name, sizeof name, "%s/step_%07lld.safetensors", folder, (long long)step);
        ck_assert_int_eq(rg_fs_posix()->unlink(name), 0);
    }
}

/* 2 processes to step 2, one to step 4, 4 to the end: what one makes from beginning to end. */
START_TEST(a_run_goes_on_with_other_numbers)
{
    char hex[65];
    job j;
    open_job(&j, tracks_text);
    add(&j, "shards", "4");
    train_in(&j, "one", 1, "shm");
    train_in(&j, "many", 2, "shm");
    hash_of_step(&j, "many", 2, hex);
    keep_steps(&j, 2);
    j.resume = true;
    train_in(&j, "many", 1, "shm");
    hash_of_step(&j, "many", 4, hex);
    keep_steps(&j, 4);
    train_in(&j, "many", 4, "shm");
    same_bits(&j, "one", "many");
}
END_TEST

/* ---- what goes wrong ---- */

static int one_is_killed(rg_comm *comm, void *ctx)
{
    rg_error err = {0};
    rg_train_result result = {0};
    double began = rg_clock_seconds();
    if (rg_comm_rank(comm) == 1) {
        if (fork() == 0) { /* kills its maker in the middle of the run */
            usleep(400000);
            kill(getppid(), SIGKILL);
            _exit(0);
        }
    }
    rg_status status = train(comm, ctx, &result, &err);
    RG_RANK_EXPECT(comm, status != RG_OK, "training went on without rank 1");
    RG_RANK_EXPECT(comm, strstr(err.text, "rank 1"), "%s", err.text);
    RG_RANK_EXPECT(comm, rg_clock_seconds() - began < 60, "too late");
    return 0;
}

START_TEST(a_killed_rank_stops_training)
{
    int results[RG_RANKS_MOST];
    job j;
    open_job(&j, codec_text);
    add(&j, "steps", "100000");
    ck_assert_int_eq(chdir(j.folder), 0);
    rg_ranks_run(2, "shm", one_is_killed, &j, results);
    ck_assert_int_eq(results[0], 0);
    ck_assert_int_eq(results[1], RG_RANKS_KILLED + SIGKILL);
}
END_TEST

static const char *expected;

static int is_refused(rg_comm *comm, void *ctx)
{
    rg_error err = {0};
    rg_train_result result = {0};
    job *j = ctx;
    char seed[32];
    snprintf(seed, sizeof seed, "seed=%d", 1 + rg_comm_rank(comm));
    if (!expected[0]) { /* ranks that were configured otherwise */
        j->overrides[j->n++] = seed;
        expected = "configuration";
    }
    rg_status status = train(comm, ctx, &result, &err);
    RG_RANK_EXPECT(comm, status != RG_OK && strstr(err.text, expected), "%s", err.text);
    return 0;
}

START_TEST(what_cannot_be_dealt_is_refused)
{
    static const struct {
        const char *key, *value, *says;
    } cases[] = {{"accumulate", "3", "accumulate is 3"},
                 {"shards", "3", "shards is 3"},
                 {"shards", "1", "shards is 1"},
                 {"runs", "runs", ""}};
    job whole;
    open_job(&whole, codec_text);
    ck_assert_int_eq(chdir(whole.folder), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        job j = whole;
        for (size_t k = 0; k < j.n; k++) j.overrides[k] = j.set[k];
        add(&j, cases[i].key, cases[i].value);
        expected = cases[i].says;
        rg_ranks_all_good(2, "shm", is_refused, &j);
        ck_assert(!rg_fs_exists("runs"));
    }
}
END_TEST

RG_TEST_MAIN("train by several processes", RG_TEST_SECONDS, a_codec_is_the_same_on_1_2_and_4,
             tracks_are_the_same_on_1_2_and_4, overlap_changes_nothing,
             a_run_goes_on_with_other_numbers, a_killed_rank_stops_training,
             what_cannot_be_dealt_is_refused)
