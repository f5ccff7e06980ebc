/*
 * Ctrl-C during training: the first asks for a checkpoint (exit 130), the second ends at once; and
 * what a process writes while another one writes the same run.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toy_store.h"
#include "train/run_dir.h"

static char folder[512], config[600], store[600], runs[600];

static void setup(void)
{
    static int n;
    static const char text[] = "task: codec\nname: toy\nrole: bass\nsample_rate: 4000\n"
                               "ratios: [5, 4, 4]\nfilters: 2\ndimension: 8\nlstm_layers: 0\n"
                               "codebooks: 1\nentries: 8\nbatch: 2\ncrop_seconds: 0.2\n"
                               "steps: 1000000\nlog_every: 1\npin: false\nthreads: 1\n"
                               "validate_every: 1000000\ncheckpoint_every: 1000000\n"
                               "schedule: {lr: 0.001}\n";
    rg_error err = {0};
    rg_toy toy = {.roles = 2, .songs = 3, .rate = 8000, .seconds = 2};
    snprintf(folder, sizeof folder, "%s/%d", rg_test_folder(), n++);
    snprintf(config, sizeof config, "%s/c.yaml", folder);
    snprintf(store, sizeof store, "store=%s/store", folder);
    snprintf(runs, sizeof runs, "runs=%s/runs", folder);
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    RG_ASSERT_OK(rg_fs_write_atomic(config, text, sizeof text - 1, &err), &err);
    rg_store_close(rg_toy_build(&toy, store + 6));
}

/* Starts `resonant train` and waits until it has logged steps. */
static pid_t start_training(void)
{
    const char *program = getenv("RESONANT");
    char log[600], found[RG_RUN_PATH], path[RG_RUN_PATH + 32];
    ck_assert_msg(program && access(program, X_OK) == 0, "RESONANT does not name the program");
    snprintf(log, sizeof log, "%s/log", folder);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(program, program, "train", config, store, runs, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 600; i++) {
        rg_error err = {0};
        usleep(100000);
        if (rg_run_find(runs + 5, "toy", found, &err) != RG_OK) continue;
        snprintf(path, sizeof path, "%s/metrics.jsonl", found);
        if (rg_fs_size(path) > 0) return child;
    }
    ck_abort_msg("the training does not start; see %s", log);
    return -1;
}

START_TEST(first_signal_leaves_a_checkpoint)
{
    static const struct {
        int signal, code;
    } cases[] = {{SIGINT, 130}, {SIGTERM, 143}};
    for (size_t i = 0; i < 2; i++) {
        int how;
        char found[RG_RUN_PATH], checkpoint[RG_RUN_PATH];
        int64_t step;
        rg_error err = {0};
        setup();
        pid_t child = start_training();
        kill(child, cases[i].signal);
        waitpid(child, &how, 0);
        ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == cases[i].code, "status %d", how);
        RG_ASSERT_OK(rg_run_find(runs + 5, "toy", found, &err), &err);
        RG_ASSERT_OK(rg_run_checkpoint(found, -1, checkpoint, &step, &err), &err);
        ck_assert_int_ge(step, 1);
    }
}
END_TEST

START_TEST(second_signal_ends_at_once)
{
    int how;
    setup();
    pid_t child = start_training();
    kill(child, SIGSTOP); /* both signals are pending when it wakes */
    kill(child, SIGINT);
    kill(child, SIGCONT);
    for (int i = 0; i < 20; i++) kill(child, SIGINT);
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg((WIFSIGNALED(how) && WTERMSIG(how) == SIGINT) ||
                      (WIFEXITED(how) && WEXITSTATUS(how) == 130),
                  "status %d", how);
}
END_TEST

START_TEST(a_run_has_one_writer)
{
    int how;
    char found[RG_RUN_PATH];
    rg_run_dir run;
    rg_error err = {0};
    setup();
    pid_t child = start_training();
    RG_ASSERT_OK(rg_run_find(runs + 5, "toy", found, &err), &err);
    ck_assert_int_ne(rg_run_open(&run, found, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "another process writes this run"), "%s", err.text);
    kill(child, SIGKILL);
    waitpid(child, &how, 0);
    err = (rg_error){0};
    RG_ASSERT_OK(rg_run_open(&run, found, &err), &err);
    rg_run_close(&run);
}
END_TEST

RG_TEST_MAIN("signals", 120, first_signal_leaves_a_checkpoint, second_signal_ends_at_once,
             a_run_has_one_writer)
