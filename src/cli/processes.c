/*
 * Starting a command as several processes of this host (processes.h).
 *
 * One idea: this process only starts the others and waits. It needs to watch none of them: each
 * watches the others by itself, and stops when one is gone.
 */
#include "cli/processes.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "dist/launch.h"

extern char **environ;

enum { RANKS = 256, EXTRA = 8 };

typedef struct launched {
    pid_t pids[RANKS];
    int32_t world, left;
    char meet[256];
} launched;

/* Arguments for one rank: those of this process, but for --processes; NULL: no memory. */
static char **arguments(char *const *argv, const char *rank, const char *world, const char *meet)
{
    size_t n = 0, m = 0;
    while (argv[n]) n++;
    char **out = calloc(n + EXTRA, sizeof *out);
    for (size_t i = 0; out && i < n; i++) {
        if (!strncmp(argv[i], "--processes=", 12)) continue;
        if (!strcmp(argv[i], "--processes"))
            i++;
        else
            out[m++] = argv[i];
    }
    const char *const more[] = {"--rank", rank, "--world", world, "--meet", meet};
    for (size_t i = 0; out && i < sizeof more / sizeof *more; i++)
        out[m++] = (char *)(uintptr_t)more[i]; /* posix_spawn does not write them */
    return out;
}

static rg_status start_rank(launched *l, const rg_cli *cli, int32_t rank, rg_error *err)
{
    char rank_text[16], world_text[16];
    snprintf(rank_text, sizeof rank_text, "%d", (int)rank);
    snprintf(world_text, sizeof world_text, "%d", (int)l->world);
    char **argv = arguments(cli->argv, rank_text, world_text, l->meet);
    if (!argv) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    int error = posix_spawn(&l->pids[rank], "/proc/self/exe", NULL, NULL, argv, environ);
    free(argv);
    if (error) return rg_fail(err, RG_ERR_IO, "cannot start rank %d: %s", rank, strerror(error));
    l->left++;
    return RG_OK;
}

static void tell_all(const launched *l, int signal_number)
{
    for (int32_t r = 0; r < l->world; r++)
        if (l->pids[r] > 0) kill(l->pids[r], signal_number);
}

/* Waits for all; the rank that failed first, or -1. */
static int32_t wait_for_all(launched *l, const rg_cli *cli)
{
    int32_t failed = -1;
    bool told = false;
    while (l->left > 0) {
        struct timespec nap = {.tv_nsec = 20000000};
        if (*cli->stop && !told) tell_all(l, *cli->stop);
        told |= *cli->stop != 0;
        for (int32_t r = 0; r < l->world; r++) {
            int status;
            if (l->pids[r] <= 0 || waitpid(l->pids[r], &status, WNOHANG) != l->pids[r]) continue;
            l->pids[r] = 0;
            l->left--;
            bool stopped = WIFEXITED(status) && WEXITSTATUS(status) > 128 && told;
            if (failed < 0 && status != 0 && !stopped) failed = r;
        }
        nanosleep(&nap, NULL);
    }
    return failed;
}

rg_status rg_launch_here(const rg_cli *cli, int32_t world, rg_error *err)
{
    launched l = {.world = world};
    rg_status status = RG_OK;
    const char *folder = getenv("TMPDIR");
    snprintf(l.meet, sizeof l.meet, "%.200s/resonant-%ld", folder ? folder : "/tmp",
             (long)getpid());
    for (int32_t r = 0; r < world && status == RG_OK; r++) status = start_rank(&l, cli, r, err);
    if (status != RG_OK) tell_all(&l, SIGTERM);
    int32_t failed = wait_for_all(&l, cli);
    (void)!rg_fs_remove_tree(l.meet, NULL);
    if (status != RG_OK) return status;
    if (failed >= 0)
        return rg_fail(err, RG_ERR_IO, "rank %d of %d has failed", (int)failed, (int)world);
    return *cli->stop ? RG_ERR_CANCELLED : RG_OK;
}

rg_status rg_join_processes(const rg_args *args, rg_comm **comm, rg_error *err)
{
    int64_t rank = -1, world = 0;
    double timeout = 0;
    rg_launch launch;
    if (rg_option_given(args, "rank")) RG_TRY(rg_option_int(args, "rank", 0, 1023, &rank, err));
    if (rg_option_given(args, "world")) RG_TRY(rg_option_int(args, "world", 1, 1024, &world, err));
    if (rg_option_given(args, "timeout"))
        RG_TRY(rg_option_real(args, "timeout", 1, 1e6, &timeout, err));
    rg_launch_flags flags = {.rank = (int32_t)rank,
                             .world = (int32_t)world,
                             .backend = rg_option_text(args, "backend", NULL),
                             .meet = rg_option_text(args, "meet", NULL),
                             .job = rg_option_text(args, "job", NULL),
                             .timeout = timeout};
    RG_TRY(rg_launch_find(&flags, rg_launch_variable, &launch, err));
    return rg_comm_open(&launch, comm, err);
}
