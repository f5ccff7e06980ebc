/*
 * Which rank a process is, among how many, and how they find each other.
 *
 * One idea: a table of the variables that launchers set, asked in order: what the command line
 * says, torchrun (RANK, WORLD_SIZE ...), OpenMPI, Slurm (SLURM_PROCID ...), PMIx. Nothing set: one
 * process. The place to meet follows from the same table; on one host it is a folder that no user
 * has to name.
 */
#ifndef RG_DIST_LAUNCH_H
#define RG_DIST_LAUNCH_H

#include "dist/comm.h"

enum { RG_LAUNCH_TEXT = 512 };

/* What the command line says; rank < 0 or world 0: nothing. */
typedef struct rg_launch_flags {
    int32_t rank, world;
    const char *backend; /* auto, shm, tcp, mpi; NULL: auto */
    const char *meet;    /* tcp://HOST:PORT or a folder; NULL: found */
    const char *job;     /* name that tells runs apart; NULL: found */
    double timeout;      /* seconds to wait for a rank that lives; 0: 120 to meet, 1800 later */
} rg_launch_flags;

typedef struct rg_launch {
    int32_t rank, world;
    bool one_host;             /* the launcher says that all ranks are on one */
    char launcher[16];         /* "flags", "torchrun", "slurm", "openmpi", "pmix", "none" */
    char backend[8];           /* auto, shm, tcp, mpi */
    char meet[RG_LAUNCH_TEXT]; /* "tcp://HOST:PORT", a folder, or "" (mpi needs none) */
    char job[128];             /* job and generation of its start */
    double timeout;            /* 0: the usual ones */
} rg_launch;

/* `variable` is getenv, or a test's. RG_ERR_USAGE when what is said cannot be. */
rg_status rg_launch_find(const rg_launch_flags *flags, const char *(*variable)(const char *name),
                         rg_launch *out, rg_error *err) RG_MUST_USE;
const char *rg_launch_variable(const char *name); /* getenv */

/* Meets the others; *comm is NULL when there is one process. Collective. */
rg_status rg_comm_open(const rg_launch *launch, rg_comm **comm, rg_error *err) RG_MUST_USE;

#endif
