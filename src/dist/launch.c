/*
 * Ranks from the command line and from launchers' variables (launch.h).
 */
#include "dist/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* Names of the variables of one launcher; NULL: it has none. */
typedef struct launcher {
    const char *name, *rank, *world, *local_world, *hosts, *job, *generation;
} launcher;

/* OpenMPI stands before Slurm, since mpirun inside a Slurm job leaves both; and Slurm's are those
 * of a step, since a batch script by itself is no rank. */
static const launcher launchers[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", NULL, "TORCHELASTIC_RUN_ID",
     "TORCHELASTIC_RESTART_COUNT"},
    {"openmpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", NULL,
     "PMIX_NAMESPACE", NULL},
    {"slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", NULL, "SLURM_STEP_NUM_NODES", "SLURM_JOB_ID",
     "SLURM_STEP_ID"},
    {"pmix", "PMIX_RANK", "PMIX_SIZE", NULL, NULL, "PMIX_NAMESPACE", NULL},
};
enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

typedef const char *(*lookup)(const char *name);

const char *rg_launch_variable(const char *name)
{
    return getenv(name);
}

static const char *text_of(lookup variable, const char *name)
{
    const char *text = name ? variable(name) : NULL;
    return text ? text : "";
}

static rg_status number_of(lookup variable, const char *name, int64_t fallback, int64_t *out,
                           rg_error *err)
{
    const char *text = text_of(variable, name);
    *out = fallback;
    if (!text[0] || (rg_parse_int(text, out) && *out >= 0 && *out < 1 << 20)) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "%s is '%s'; a number of processes is expected", name, text);
}

/* The first part of a list of hosts such as "node[03-07,9],gpu1" is node03. */
static void first_host(const char *list, char *out, size_t size)
{
    size_t n = strcspn(list, ",[");
    if (list[n] == '[') {
        size_t digits = strspn(list + n + 1, "0123456789");
        snprintf(out, size, "%.*s%.*s", (int)n, list, (int)digits, list + n + 1);
    } else {
        snprintf(out, size, "%.*s", (int)n, list);
    }
}

/* A port that jobs of one machine do not share, from the job's number. */
static int64_t port_of_job(const char *job)
{
    return 20000 + strtoll(job, NULL, 10) % 20000;
}

/* tcp:// of what the launcher says of rank 0's host; "" when it says nothing. */
static rg_status find_server(lookup variable, const launcher *l, char *out, rg_error *err)
{
    const char *address = text_of(variable, "MASTER_ADDR");
    const char *nodes = text_of(variable, "SLURM_STEP_NODELIST");
    char host[256];
    int64_t port;
    bool slurm = l && !strcmp(l->name, "slurm");
    RG_TRY(number_of(variable, "MASTER_PORT", 0, &port, err));
    rg_copy_text(host, sizeof host, address);
    if (!host[0] && slurm) first_host(nodes, host, sizeof host);
    if (!port && slurm) port = port_of_job(text_of(variable, l->job));
    /* torchrun keeps its own server at the port that it hands out. */
    if (port && !strcmp(text_of(variable, "TORCHELASTIC_USE_AGENT_STORE"), "True")) port++;
    out[0] = 0;
    if (host[0] && port) snprintf(out, RG_LAUNCH_TEXT, "tcp://%s:%lld", host, (long long)port);
    return RG_OK;
}

static void keep_plain(char *name)
{
    for (char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *c))
            *c = '_';
}

static void name_job(const rg_launch_flags *flags, lookup variable, const launcher *l,
                     rg_launch *out)
{
    const char *port = text_of(variable, "MASTER_PORT");
    if (flags->job)
        rg_copy_text(out->job, sizeof out->job, flags->job);
    else if (l)
        snprintf(out->job, sizeof out->job, "%s-%.80s-%.8s-%.8s", l->name,
                 text_of(variable, l->job), text_of(variable, l->generation), port);
    else
        rg_copy_text(out->job, sizeof out->job, "job");
    keep_plain(out->job);
}

static void meet_in_folder(lookup variable, rg_launch *out)
{
    const char *folder = text_of(variable, "TMPDIR");
    snprintf(out->meet, sizeof out->meet, "%.300s/resonant-%lu-%s", folder[0] ? folder : "/tmp",
             (unsigned long)getuid(), out->job);
}

static rg_status check_launch(const rg_launch *l, rg_error *err)
{
    static const char *const names[] = {"auto", "shm", "tcp", "mpi"};
    bool known = false;
    for (size_t i = 0; i < 4; i++) known |= !strcmp(l->backend, names[i]);
    if (!known)
        return rg_fail(err, RG_ERR_USAGE, "--backend: '%s' is not one of auto, shm, tcp, mpi",
                       l->backend);
    if (l->world < 1 || l->world > 1024 || l->rank < 0 || l->rank >= l->world)
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: rank %d of %d processes cannot be: ranks count from 0, "
                       "and there are at most 1024",
                       l->launcher, (int)l->rank, (int)l->world);
    return RG_OK;
}

static rg_status find_place(const rg_launch_flags *flags, lookup variable, const launcher *l,
                            rg_launch *out, rg_error *err)
{
    name_job(flags, variable, l, out);
    if (flags->meet) {
        if (rg_copy_text(out->meet, sizeof out->meet, flags->meet)) return RG_OK;
        return rg_fail(err, RG_ERR_USAGE, "--meet: text is too long");
    }
    if (!out->one_host) RG_TRY(find_server(variable, l, out->meet, err));
    bool needs_none = !strcmp(out->launcher, "openmpi") && strcmp(out->backend, "shm") != 0 &&
                      strcmp(out->backend, "tcp") != 0;
    if (out->meet[0] || (needs_none && !out->one_host)) return RG_OK;
    if (!out->one_host)
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: the processes are on several hosts, as far as is known; say where they "
                       "meet: MASTER_ADDR and MASTER_PORT, or --meet tcp://HOST:PORT or a folder "
                       "that all of them see",
                       out->launcher);
    meet_in_folder(variable, out);
    return RG_OK;
}

/* Ranks as `l` says; *found false when it did not start this process. */
static rg_status ask(lookup variable, const launcher *l, rg_launch *out, bool *found, rg_error *err)
{
    int64_t rank, world, local, hosts;
    *found = text_of(variable, l->rank)[0] && text_of(variable, l->world)[0];
    if (!*found) return RG_OK;
    RG_TRY(number_of(variable, l->rank, 0, &rank, err));
    RG_TRY(number_of(variable, l->world, 1, &world, err));
    RG_TRY(number_of(variable, l->local_world, 0, &local, err));
    RG_TRY(number_of(variable, l->hosts, 0, &hosts, err));
    out->rank = (int32_t)rank;
    out->world = (int32_t)world;
    out->one_host = local == world || hosts == 1;
    rg_copy_text(out->launcher, sizeof out->launcher, l->name);
    return RG_OK;
}

rg_status rg_launch_find(const rg_launch_flags *flags, const char *(*variable)(const char *name),
                         rg_launch *out, rg_error *err)
{
    const launcher *by = NULL;
    bool found = flags->rank >= 0 || flags->world > 0;
    *out = (rg_launch){.rank = flags->rank,
                       .world = flags->world,
                       .one_host = true,
                       .launcher = "flags",
                       .timeout = flags->timeout};
    if (!rg_copy_text(out->backend, sizeof out->backend, flags->backend ? flags->backend : "auto"))
        return rg_fail(err, RG_ERR_USAGE, "--backend: '%s' is not one of auto, shm, tcp, mpi",
                       flags->backend);
    if (found && (flags->rank < 0 || flags->world < 1))
        return rg_fail(err, RG_ERR_USAGE, "--rank and --world go together: give both");
    for (int i = 0; i < LAUNCHERS && !found; i++) {
        RG_TRY(ask(variable, &launchers[i], out, &found, err));
        if (found) by = &launchers[i];
    }
    if (!found) {
        out->rank = 0;
        out->world = 1;
        rg_copy_text(out->launcher, sizeof out->launcher, "none");
    }
    RG_TRY(check_launch(out, err));
    return out->world == 1 ? RG_OK : find_place(flags, variable, by, out, err);
}
