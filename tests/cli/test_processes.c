/*
 * `resonant train` as several processes: started by itself, by mpirun, stopped by a signal, and
 * with one of them killed.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/process.h"
#include "toy_store.h"
#include "train/run_dir.h"

static char folder[512], config[600], store[600], runs[600];

static void setup(const char *steps)
{
    static int n;
    static const char text[] = "task: codec\nname: toy\nrole: bass\nsample_rate: 4000\n"
                               "ratios: [5, 4, 4]\nfilters: 2\ndimension: 8\nlstm_layers: 0\n"
                               "codebooks: 1\nentries: 8\nbatch: 2\ncrop_seconds: 0.2\n"
                               "accumulate: 2\nlog_every: 1\npin: false\nthreads: 1\n"
                               "validate_every: 1000000\ncheckpoint_every: 1000000\n"
                               "schedule: {lr: 0.001}\n";
    char whole[1024];
    rg_error err = {0};
    rg_toy toy = {.roles = 2, .songs = 3, .rate = 8000, .seconds = 2};
    snprintf(folder, sizeof folder, "%s/%d", rg_test_folder(), n++);
    snprintf(config, sizeof config, "%s/c.yaml", folder);
    snprintf(store, sizeof store, "store=%s/store", folder);
    snprintf(runs, sizeof runs, "runs=%s/runs", folder);
    snprintf(whole, sizeof whole, "%ssteps: %s\n", text, steps);
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    RG_ASSERT_OK(rg_fs_write_atomic(config, whole, strlen(whole), &err), &err);
    rg_store_close(rg_toy_build(&toy, store + 6));
}

static const char *program(void)
{
    const char *name = getenv("RESONANT");
    ck_assert_msg(name && access(name, X_OK) == 0, "RESONANT does not name the program");
    return name;
}

/* Lines of the newest run's metrics, or -1. */
static int64_t lines_logged(char run[RG_RUN_PATH])
{
    rg_error err = {0};
    char path[RG_RUN_PATH + 32], *text = NULL;
    size_t n;
    if (rg_run_find(runs + 5, "toy", run, &err) != RG_OK) return -1;
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    if (rg_fs_read_all(path, 1 << 24, &text, &n, &err) != RG_OK) return -1;
    int64_t lines = 0;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    free(text);
    return lines;
}

static void expect_whole_run(void)
{
    rg_error err = {0};
    char run[RG_RUN_PATH], path[RG_RUN_PATH];
    int64_t found;
    ck_assert_int_eq(lines_logged(run), 4); /* three steps and a validation */
    RG_ASSERT_OK(rg_run_checkpoint(run, -1, path, &found, &err), &err);
    ck_assert_int_eq(found, 3);
}

START_TEST(train_starts_its_own_processes)
{
    rg_error err = {0};
    char output[RG_PROCESS_OUTPUT];
    setup("3");
    const char *const argv[] = {program(), "train", config, store, runs, "--processes", "2", NULL};
    rg_status status = rg_process_run(folder, argv, 60, output, &err);
    ck_assert_msg(status == RG_OK, "%s\n%s", err.text, output);
    ck_assert_msg(strstr(output, "2 processes over shm") && strstr(output, "exchange"), "%s",
                  output);
    expect_whole_run();
}
END_TEST

/* MPI's library does not give back all it takes. */
START_TEST(mpirun_starts_them)
{
    static const char *const backends[] = {"auto", "mpi"};
    for (size_t b = 0; b < 2; b++) {
        rg_error err = {0};
        char output[RG_PROCESS_OUTPUT];
        setup("3");
        const char *const argv[] = {"mpirun",
                                    "--allow-run-as-root",
                                    "--oversubscribe",
                                    "-np",
                                    "2",
                                    "env",
                                    "LSAN_OPTIONS=detect_leaks=0",
                                    program(),
                                    "train",
                                    config,
                                    store,
                                    runs,
                                    "--backend",
                                    backends[b],
                                    NULL};
        rg_status status = rg_process_run(folder, argv, 60, output, &err);
        if (status == RG_ERR_UNSUPPORTED) {
            printf("SKIP mpirun_starts_them: mpirun is not installed\n");
            return;
        }
        ck_assert_msg(status == RG_OK, "%s\n%s", err.text, output);
        ck_assert_msg(strstr(output, b ? "over mpi" : "over shm") != NULL, "%s", output);
        expect_whole_run();
    }
}
END_TEST

static pid_t start(const char *rank, const char *meet)
{
    pid_t child = fork();
    ck_assert(child >= 0);
    if (child) return child;
    char log[700];
    snprintf(log, sizeof log, "%s/log%s", folder, rank ? rank : "");
    (void)!freopen(log, "w", stdout);
    dup2(1, 2);
    if (rank)
        execl(program(), program(), "train", config, store, runs, "--world", "2", "--rank", rank,
              "--meet", meet, (char *)NULL);
    execl(program(), program(), "train", config, store, runs, "--processes=2", (char *)NULL);
    _exit(127);
}

static void wait_for_steps(void)
{
    char run[RG_RUN_PATH];
    for (int i = 0; i < 600; i++) {
        if (lines_logged(run) > 0) return;
        usleep(50000);
    }
    ck_abort_msg("the training does not start; see %s", folder);
}

START_TEST(a_signal_stops_all_after_a_checkpoint)
{
    rg_error err = {0};
    char run[RG_RUN_PATH], path[RG_RUN_PATH];
    int64_t found;
    int status;
    setup("1000000");
    pid_t child = start(NULL, NULL);
    wait_for_steps();
    kill(child, SIGTERM);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 143);
    int64_t logged = lines_logged(run);
    RG_ASSERT_OK(rg_run_checkpoint(run, -1, path, &found, &err), &err);
    ck_assert_int_eq(found, logged);
}
END_TEST

START_TEST(a_killed_rank_is_named)
{
    char meet[700], path[700], *text;
    int status;
    size_t n;
    rg_error err = {0};
    setup("1000000");
    snprintf(meet, sizeof meet, "%s/meet", folder);
    pid_t ranks[2] = {start("0", meet), start("1", meet)};
    wait_for_steps();
    double killed = rg_clock_seconds();
    kill(ranks[1], SIGKILL);
    waitpid(ranks[1], &status, 0);
    ck_assert_int_eq(waitpid(ranks[0], &status, 0), ranks[0]);
    ck_assert_msg(rg_clock_seconds() - killed < 10, "rank 0 ended after %.1f s",
                  rg_clock_seconds() - killed);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    snprintf(path, sizeof path, "%s/log0", folder);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 22, &text, &n, &err), &err);
    ck_assert_msg(strstr(text, "rank 1 (") && strstr(text, "is gone"), "%s", text);
    free(text);
}
END_TEST

RG_TEST_MAIN("processes", 120, train_starts_its_own_processes, mpirun_starts_them,
             a_signal_stops_all_after_a_checkpoint, a_killed_rank_is_named)
