/*
 * What is behind rg_comm: a table of calls for each back end, and for those of hosts a table of
 * messages (a wire) below one implementation of the calls.
 *
 * One idea: every call of a host is rounds. In a round each rank sends each other rank one range of
 * bytes and a signature of the call, then uses what came. A wire only moves such ranges. The back
 * end of GPUs (comm_gpu.c) fills the table of calls itself.
 */
#ifndef RG_DIST_COMM_PRIVATE_H
#define RG_DIST_COMM_PRIVATE_H

#include "dist/comm.h"
#include "kernels/gpu.h"

enum { RG_COMM_WORLD = 1024, RG_COMM_WHY = 256, RG_RANK_TEXT = 96 };

typedef enum rg_comm_kind {
    RG_COMM_BARRIER,
    RG_COMM_BROADCAST,
    RG_COMM_GATHER,
    RG_COMM_ALL_GATHER,
    RG_COMM_REDUCE_SCATTER
} rg_comm_kind;

/* One collective call. in (n), or (world,n) of a reduce_scatter; n in elements of `size` bytes. */
typedef struct rg_comm_call {
    rg_comm_kind kind;
    int32_t root, size;
    const void *in;
    void *out;
    int64_t n;
} rg_comm_call;

typedef struct rg_comm_backend {
    rg_status (*start)(rg_comm *comm, const rg_comm_call *call, rg_comm_request *request,
                       rg_error *err);
    rg_status (*wait)(rg_comm *comm, rg_comm_request *request, rg_error *err);
    rg_status (*progress)(rg_comm *comm, rg_error *err);
    void (*give_up)(rg_comm *comm, const char *why);
    void (*close)(rg_comm *comm);
} rg_comm_backend;

/* What a rank says of itself when ranks meet: one line of text. */
typedef struct rg_peer {
    int32_t pid, port, memory; /* TCP port it listens at; descriptor of its shared memory; or -1 */
    uint64_t start;            /* of the process, in clock ticks since boot */
    uint64_t cpus;             /* hash of the CPUs that it may use, and of the host */
    char host[64], boot[64];   /* name; one value for all processes that see each other's pids */
    char address[64];          /* at which others reach its port */
    char text[RG_RANK_TEXT];   /* for messages */
} rg_peer;

/* What all ranks must agree on in a round; compared bytewise. */
typedef struct rg_sign {
    uint64_t round;
    int64_t n;
    int32_t kind, root, size, part;
} rg_sign;

typedef struct rg_range {
    const void *data;
    size_t bytes;
} rg_range;

/* Moves ranges between ranks. Functions fail when a rank is gone. */
typedef struct rg_wire rg_wire;
struct rg_wire {
    const char *name;
    size_t most;    /* bytes that a round may bring to or take from one rank */
    int32_t rounds; /* that may be under way at once */
    rg_comm *comm;
    /* Sends to[r] to rank r (own rank: ignored). Valid until `done`. May wait. */
    rg_status (*send)(rg_wire *wire, const rg_sign *sign, const rg_range *to, const size_t *from,
                      rg_error *err);
    /* *all: what the others send in this round is here. Does not wait. */
    rg_status (*arrived)(rg_wire *wire, uint64_t round, bool *all, rg_error *err);
    const void *(*received)(rg_wire *wire, uint64_t round, int32_t from);
    rg_status (*done)(rg_wire *wire, uint64_t round, rg_error *err);
    /* Whether all others are there; called now and then while waiting. */
    rg_status (*check)(rg_wire *wire, rg_error *err);
    void (*give_up)(rg_wire *wire, const char *why);
    void (*close)(rg_wire *wire);
};

enum { RG_COMM_ROUNDS = 8 };

struct rg_comm {
    const rg_comm_backend *backend;
    const char *name;
    bool on_gpu;
    int32_t rank, world;
    rg_peer *peers; /* (world) */
    rg_wire *wire;
    uint64_t next, oldest; /* rounds: to be begun, under way from */
    rg_comm_traffic traffic;
    double timeout;   /* seconds that a rank may keep others waiting */
    rg_error failure; /* the first; every later call returns it */
    struct {
        rg_comm_call call; /* the part of this round */
        int64_t whole;     /* n of the whole call */
    } round[RG_COMM_ROUNDS];
    rg_range *to; /* (world) of the round being begun */
    size_t *from; /* (world) bytes that it brings */
    /* Asked too while this waits: whether the GPUs' calls go on; ask NULL: none. */
    rg_gpu_watch beside;
};

extern const rg_comm_backend rg_comm_host;

/* A comm of a wire; owns both, and `peers` (heap), also when it fails. */
rg_comm *rg_comm_over(rg_wire *wire, int32_t rank, int32_t world, rg_peer *peers, double timeout,
                      rg_error *err);
/* RG_ERR_MISMATCH naming both calls when a rank's signature is not the one of this rank. */
rg_status rg_comm_check_sign(const rg_comm *comm, const rg_sign *mine, const rg_sign *theirs,
                             int32_t from, rg_error *err);

/* Waiting without a signal: spins, yields, then sleeps; `seconds` since the first call. */
typedef struct rg_patience {
    int64_t turns;
    double began, checked;
} rg_patience;
double rg_patience_wait(rg_patience *p);
/* Waits once, and every 100 ms asks the wire whether all are there; fails after the timeout, saying
 * what was waited for. */
rg_status rg_comm_be_patient(rg_comm *comm, rg_patience *p, const char *what, rg_error *err);

/* Whether the process is there that a peer was; only of the own host. */
bool rg_peer_lives(const rg_peer *peer);
uint64_t rg_process_start(int32_t pid); /* 0: there is none */

/* Wires. `peers` are all that met. */
rg_wire *rg_wire_shm_open(int32_t rank, int32_t world, int32_t *memory, rg_error *err);
rg_status rg_wire_shm_join(rg_wire *wire, const rg_peer *peers, rg_error *err) RG_MUST_USE;
rg_wire *rg_wire_tcp_open(int32_t rank, int32_t world, int32_t *port, rg_error *err);
rg_status rg_wire_tcp_join(rg_wire *wire, const rg_peer *peers, rg_error *err) RG_MUST_USE;

#endif
