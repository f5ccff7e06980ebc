/*
 * From a launch to a comm (launch.h): where to meet, whom, and over which wire to talk.
 *
 * One idea: shared memory where all ranks turn out to be on one host, else TCP; MPI where it is
 * asked for, or where only MPI knows the way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dist/meet.h"
#include "dist/socket.h"

enum { TIMEOUT = 1800 };

/* The board, and the address at which others reach this process: rank 0's is the one that all were
 * given. */
static rg_board *open_board(const rg_launch *l, rg_peer *own, rg_error *err)
{
    char host[64];
    const char *address = l->meet, *colon;
    int64_t port = 0;
    if (strncmp(address, "tcp://", 6) != 0) return rg_board_folder(address, l->rank == 0, err);
    address += 6;
    colon = strrchr(address, ':');
    if (!colon || !rg_parse_int(colon + 1, &port) || port < 1 || port > 65535 ||
        (size_t)(colon - address) >= sizeof host) {
        rg_fail(err, RG_ERR_USAGE, "%s: tcp://HOST:PORT is expected", l->meet);
        return NULL;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (l->rank == 0)
        rg_copy_text(own->address, sizeof own->address, host);
    else
        rg_own_address(host, (int32_t)port, own->address);
    return rg_board_tcp(host, (int32_t)port, l->rank == 0, l->job, err);
}

static bool same_host(const rg_peer *peers, int32_t world)
{
    for (int32_t r = 1; r < world; r++)
        if (strcmp(peers[r].boot, peers[0].boot) != 0) return false;
    return true;
}

/* Both wires are ready until it is known who is where. */
typedef struct wires {
    rg_wire *shm, *tcp;
} wires;

static rg_status open_wires(const rg_launch *l, wires *w, rg_peer *own, rg_error *err)
{
    bool any = !strcmp(l->backend, "auto");
    if (any || !strcmp(l->backend, "shm")) {
        w->shm = rg_wire_shm_open(l->rank, l->world, &own->memory, err);
        if (!w->shm && !any) return err->code;
    }
    rg_error_clear(err);
    if (any || !strcmp(l->backend, "tcp")) {
        w->tcp = rg_wire_tcp_open(l->rank, l->world, &own->port, err);
        if (!w->tcp) return err->code;
    }
    return RG_OK;
}

static void close_wire(rg_wire **wire)
{
    if (*wire) (*wire)->close(*wire);
    *wire = NULL;
}

/* The wire that all ranks choose alike, since all have the same list. */
static rg_status choose(const rg_launch *l, wires *w, rg_peer *peers, rg_error *err)
{
    bool near = same_host(peers, l->world);
    if (!strcmp(l->backend, "shm") && !near)
        return rg_fail(err, RG_ERR_USAGE,
                       "--backend shm: %s and others are on different hosts; take tcp or mpi",
                       peers[0].text);
    for (int32_t r = 0; r < l->world; r++) near &= peers[r].memory >= 0;
    close_wire(near ? &w->tcp : &w->shm);
    return near ? rg_wire_shm_join(w->shm, peers, err) : rg_wire_tcp_join(w->tcp, peers, err);
}

static rg_status open_by_board(const rg_launch *l, rg_comm **comm, rg_error *err)
{
    wires w = {0};
    rg_peer own, *peers = NULL;
    rg_peer_of_this_process(&own);
    rg_board *board = open_board(l, &own, err);
    if (!board) return err->code;
    rg_status status = open_wires(l, &w, &own, err);
    if (status == RG_OK) {
        peers = rg_meet(board, l, &own, err);
        status = peers ? choose(l, &w, peers, err) : err->code;
    }
    if (status == RG_OK) {
        double timeout = l->timeout > 0 ? l->timeout : TIMEOUT;
        *comm = rg_comm_over(w.shm ? w.shm : w.tcp, l->rank, l->world, peers, timeout, err);
        status = *comm ? rg_comm_barrier(*comm, err) : err->code;
        if (status != RG_OK) rg_comm_close(*comm);
    } else {
        close_wire(&w.shm);
        close_wire(&w.tcp);
        free(peers);
    }
    board->close(board, status == RG_OK);
    return status;
}

rg_status rg_comm_open(const rg_launch *launch, rg_comm **comm, rg_error *err)
{
    *comm = NULL;
    if (launch->world == 1) return RG_OK;
    bool by_mpi =
        !strcmp(launch->backend, "mpi") || (!strcmp(launch->backend, "auto") && !launch->meet[0]);
    rg_status status =
        by_mpi ? rg_comm_open_mpi(launch, comm, err) : open_by_board(launch, comm, err);
    if (status != RG_OK) *comm = NULL;
    return status;
}
