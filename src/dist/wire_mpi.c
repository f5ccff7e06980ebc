/*
 * The wire over MPI, by way of its plug-in (mpi/plugin.h).
 *
 * One idea: a round is two messages between each two ranks, a signature and the bytes; MPI keeps
 * messages of one tag in order. Sums stay this program's own, since MPI's have no fixed order. A
 * process that dies takes the job with it: that is mpirun's and srun's doing.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "dist/meet.h"
#include "dist/mpi/plugin.h"

enum { MEMORY = 16 << 20, LEAST = 64 << 10, TIMEOUT = 1800 };
enum { SIGN_OUT, SIGN_IN, DATA_OUT, DATA_IN, MESSAGES };
enum { TAG_SIGN = 1, TAG_DATA };

typedef struct mpi {
    rg_wire wire;
    const rg_mpi_plugin *plugin;
    int32_t rank, world;
    bool failed;
    rg_sign signs[RG_COMM_ROUNDS];
    rg_sign *theirs; /* (RG_COMM_ROUNDS, world) */
    char *memory[RG_COMM_ROUNDS];
    size_t sizes[RG_COMM_ROUNDS];
    size_t *at; /* (RG_COMM_ROUNDS, world) into memory */
} mpi;

static int32_t request_of(const mpi *m, uint64_t round, int32_t rank, int32_t message)
{
    return ((int32_t)(round % RG_COMM_ROUNDS) * m->world + rank) * MESSAGES + message;
}

static rg_status failed(const char *why, rg_error *err)
{
    return rg_fail(err, RG_ERR_IO, "MPI: %s", why);
}

static rg_status make_room(mpi *m, size_t k, const size_t *from, rg_error *err)
{
    size_t need = 0;
    for (int32_t r = 0; r < m->world; r++) {
        m->at[k * (size_t)m->world + (size_t)r] = need;
        need += r == m->rank ? 0 : from[r];
    }
    if (!need || need <= m->sizes[k]) return RG_OK;
    free(m->memory[k]);
    m->memory[k] = malloc(need);
    m->sizes[k] = m->memory[k] ? need : 0;
    return m->memory[k] ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for messages");
}

static rg_status post(rg_wire *wire, const rg_sign *sign, const rg_range *to, const size_t *from,
                      rg_error *err)
{
    mpi *m = (mpi *)wire;
    const rg_mpi_plugin *p = m->plugin;
    size_t k = sign->round % RG_COMM_ROUNDS;
    char why[RG_MPI_TEXT];
    RG_TRY(make_room(m, k, from, err));
    m->signs[k] = *sign;
    for (int32_t r = 0; r < m->world; r++) {
        size_t i = k * (size_t)m->world + (size_t)r;
        int32_t q = request_of(m, sign->round, r, 0);
        if (r == m->rank) continue;
        if (!p->receive(q + SIGN_IN, r, TAG_SIGN, &m->theirs[i], sizeof(rg_sign), why) ||
            (from[r] &&
             !p->receive(q + DATA_IN, r, TAG_DATA, m->memory[k] + m->at[i], from[r], why)) ||
            !p->send(q + SIGN_OUT, r, TAG_SIGN, &m->signs[k], sizeof(rg_sign), why) ||
            (to[r].bytes && !p->send(q + DATA_OUT, r, TAG_DATA, to[r].data, to[r].bytes, why)))
            return failed(why, err);
    }
    return RG_OK;
}

/* One rank's messages of a round; the signature first, since the rest follows from it. */
static rg_status arrived_from(mpi *m, uint64_t round, int32_t r, bool *here, rg_error *err)
{
    size_t k = round % RG_COMM_ROUNDS;
    char why[RG_MPI_TEXT];
    int32_t q = request_of(m, round, r, 0);
    if (!m->plugin->test(q + SIGN_IN, here, why)) return failed(why, err);
    if (!*here) return RG_OK;
    RG_TRY(rg_comm_check_sign(m->wire.comm, &m->signs[k],
                              &m->theirs[k * (size_t)m->world + (size_t)r], r, err));
    static const int32_t rest[] = {DATA_IN, DATA_OUT, SIGN_OUT};
    for (size_t i = 0; *here && i < 3; i++)
        if (!m->plugin->test(q + rest[i], here, why)) return failed(why, err);
    return RG_OK;
}

static rg_status arrived(rg_wire *wire, uint64_t round, bool *all, rg_error *err)
{
    mpi *m = (mpi *)wire;
    *all = true;
    for (int32_t r = 0; *all && r < m->world; r++)
        if (r != m->rank) RG_TRY(arrived_from(m, round, r, all, err));
    return RG_OK;
}

static const void *received(rg_wire *wire, uint64_t round, int32_t from)
{
    const mpi *m = (const mpi *)wire;
    size_t k = round % RG_COMM_ROUNDS;
    return m->memory[k] + m->at[k * (size_t)m->world + (size_t)from];
}

static rg_status done(rg_wire *wire, uint64_t round, rg_error *err)
{
    (void)wire;
    (void)round;
    (void)err;
    return RG_OK;
}

static rg_status check(rg_wire *wire, rg_error *err)
{
    (void)wire;
    (void)err;
    return RG_OK;
}

static void give_up(rg_wire *wire, const char *why)
{
    (void)why;
    ((mpi *)wire)->failed = true;
}

static void leave(rg_wire *wire)
{
    mpi *m = (mpi *)wire;
    if (m->wire.comm && m->wire.comm->failure.code) m->failed = true;
    m->plugin->end(m->failed);
    for (int32_t k = 0; k < RG_COMM_ROUNDS; k++) free(m->memory[k]);
    free(m->theirs);
    free(m->at);
    free(m);
}

/* ---- opening ---- */

/* RG_MPI_PLUGIN, or beside the program. The library stays loaded: MPI begins once. */
static const rg_mpi_plugin *load_plugin(rg_error *err)
{
    char path[1024], *slash;
    const char *said = rg_launch_variable("RG_MPI_PLUGIN");
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
    path[n > 0 ? n : 0] = 0;
    slash = strrchr(path, '/');
    snprintf(slash ? slash : path, 32, "/librg_mpi.so");
    void *library = dlopen(said ? said : path, RTLD_NOW | RTLD_GLOBAL);
    const void *symbol = library ? dlsym(library, RG_MPI_PLUGIN_SYMBOL) : NULL;
    if (!symbol)
        rg_fail(err, RG_ERR_UNSUPPORTED,
                "MPI is asked for, and its plug-in cannot be loaded (%s); it is built where CMake "
                "finds MPI (Debian: libopenmpi-dev), or take --backend shm or tcp",
                dlerror());
    return symbol;
}

static rg_wire *make_wire(const rg_mpi_plugin *plugin, int32_t rank, int32_t world, rg_error *err)
{
    mpi *m = calloc(1, sizeof *m);
    rg_sign *theirs = calloc((size_t)world * RG_COMM_ROUNDS, sizeof *theirs);
    size_t *at = calloc((size_t)world * RG_COMM_ROUNDS, sizeof *at);
    if (!m || !theirs || !at) {
        free(m);
        free(theirs);
        free(at);
        rg_fail(err, RG_ERR_NOMEM, "out of memory");
        return NULL;
    }
    m->wire = (rg_wire){.name = "mpi",
                        .most = MEMORY / (size_t)world > LEAST ? MEMORY / (size_t)world : LEAST,
                        .rounds = RG_COMM_ROUNDS,
                        .send = post,
                        .arrived = arrived,
                        .received = received,
                        .done = done,
                        .check = check,
                        .give_up = give_up,
                        .close = leave};
    m->plugin = plugin;
    m->rank = rank;
    m->world = world;
    m->theirs = theirs;
    m->at = at;
    return &m->wire;
}

/* The ranks' lines, by the first call that they make. */
static rg_status exchange_lines(rg_comm *comm, rg_error *err)
{
    char own[RG_PEER_TEXT] = "";
    rg_peer peer;
    char *all = calloc((size_t)comm->world, RG_PEER_TEXT);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    rg_peer_of_this_process(&peer);
    rg_peer_to_text(&peer, own);
    rg_status status = rg_comm_all_gather(comm, own, all, RG_PEER_TEXT, err);
    for (int32_t r = 0; r < comm->world && status == RG_OK; r++)
        if (!rg_peer_from_text(all + (size_t)r * RG_PEER_TEXT, r, &comm->peers[r]))
            status = rg_fail(err, RG_ERR_FORMAT, "MPI: rank %d does not say who it is", (int)r);
    free(all);
    return status;
}

static void name_ranks(rg_peer *peers, int32_t world)
{
    for (int32_t r = 0; r < world; r++)
        snprintf(peers[r].text, sizeof peers[r].text, "rank %d", (int)r);
}

rg_status rg_comm_open_mpi(const rg_launch *launch, rg_comm **comm, rg_error *err)
{
    char why[RG_MPI_TEXT];
    int32_t rank, world;
    const rg_mpi_plugin *plugin = load_plugin(err);
    if (!plugin) return err->code;
    if (!plugin->begin(RG_COMM_ROUNDS * MESSAGES, &rank, &world, why)) return failed(why, err);
    if (rank != launch->rank || world != launch->world)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "MPI says rank %d of %d, the launcher (%s) rank %d of %d: start the program "
                       "with the mpirun of the library that the plug-in is built with, %s",
                       (int)rank, (int)world, launch->launcher, (int)launch->rank,
                       (int)launch->world, plugin->library);
    rg_peer *peers = calloc((size_t)world, sizeof *peers);
    rg_wire *wire = peers ? make_wire(plugin, rank, world, err) : NULL;
    if (!wire) {
        free(peers);
        return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    }
    name_ranks(peers, world);
    *comm = rg_comm_over(wire, rank, world, peers, launch->timeout > 0 ? launch->timeout : TIMEOUT,
                         err);
    if (!*comm) return err->code;
    rg_status status = exchange_lines(*comm, err);
    if (status != RG_OK) rg_comm_close(*comm);
    return status;
}
