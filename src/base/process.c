/*
 * Running another program (process.h) with posix_spawn.
 *
 * One idea: its output is read until it closes it or its time is over; then it is waited for within
 * what is left of the time, and killed after that, so that nothing here can hang.
 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

extern char **environ;

enum { NOT_RUN = 127 }; /* the status of a program that could not be started */

static rg_status start(const char *folder, const char *const *argv, int out, pid_t *child,
                       rg_error *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    int failed = posix_spawnp(child, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (!failed) return RG_OK;
    return rg_fail(err, RG_ERR_UNSUPPORTED, "cannot run %s: %s", argv[0], strerror(failed));
}

/* Milliseconds until `end` on the clock, as poll takes them; -1 for ever when end is 0. */
static int left_until(double end)
{
    if (!(end > 0)) return -1;
    double left = end - rg_clock_seconds();
    return left > 0 ? (int)(1000 * (left < 1e6 ? left : 1e6)) + 1 : 0;
}

/* Everything the program prints, its end where it is long. */
static void collect(int fd, double end, char out[RG_PROCESS_OUTPUT])
{
    enum { KEPT = RG_PROCESS_OUTPUT / 4 };
    size_t n = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (;;) {
        if (n > RG_PROCESS_OUTPUT / 2) {
            memmove(out, out + n - KEPT, KEPT);
            n = KEPT;
        }
        int seen = poll(&ready, 1, left_until(end));
        if (seen < 0 && errno == EINTR) continue;
        if (seen <= 0) break;
        ssize_t got = read(fd, out + n, RG_PROCESS_OUTPUT - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
    }
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == ' ')) n--;
    out[n] = 0;
}

/* False when it had to be killed. */
static bool wait_for(pid_t child, double end, int *result)
{
    const struct timespec nap = {.tv_nsec = 2000000};
    for (;;) {
        pid_t got = waitpid(child, result, end > 0 ? WNOHANG : 0);
        if (got == child) return true;
        if (got < 0 && errno != EINTR) return true;
        if (got == 0 && left_until(end) == 0) break;
        if (got == 0) nanosleep(&nap, NULL);
    }
    kill(child, SIGKILL);
    while (waitpid(child, result, 0) < 0 && errno == EINTR) continue;
    return false;
}

rg_status rg_process_run(const char *folder, const char *const *argv, double seconds,
                         char output[RG_PROCESS_OUTPUT], rg_error *err)
{
    int ends[2], result = -1;
    pid_t child;
    double end = seconds > 0 ? rg_clock_seconds() + seconds : 0;
    output[0] = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return rg_fail(err, RG_ERR_IO, "cannot make a pipe: %s", strerror(errno));
    rg_status status = start(folder, argv, ends[1], &child, err);
    close(ends[1]);
    if (status == RG_OK) collect(ends[0], end, output);
    close(ends[0]);
    RG_TRY(status);
    if (!wait_for(child, end, &result))
        return rg_fail(err, RG_ERR_IO, "%s took longer than %g s and was stopped", argv[0],
                       seconds);
    if (WIFEXITED(result) && WEXITSTATUS(result) == 0) return RG_OK;
    /* where the child has memory of its own (under valgrind) posix_spawn learns of no failure */
    if (WIFEXITED(result) && WEXITSTATUS(result) == NOT_RUN && !output[0])
        return rg_fail(err, RG_ERR_UNSUPPORTED, "cannot run %s in %s", argv[0], folder);
    const char *last = strrchr(output, '\n');
    return rg_fail(err, RG_ERR_IO, "%s %s failed: %.200s", argv[0], argv[1] ? argv[1] : "",
                   last ? last + 1 : output);
}
