/*
 * Where processes meet before they can talk: a few texts by name, kept in a folder or by rank 0.
 *
 * One idea: every rank leaves a line about itself; rank 0 waits for all of them and leaves the
 * list; a rank goes on when the list holds its own line, so what an earlier run left behind is
 * never taken for this one's.
 */
#ifndef RG_DIST_MEET_H
#define RG_DIST_MEET_H

#include "dist/comm_private.h"
#include "dist/launch.h"

enum { RG_PEER_TEXT = 384, RG_BOARD_TEXT = 1 << 19 };

/* A board of texts: of a folder ("dir:PATH" or a path) or of a server ("tcp://HOST:PORT"). */
typedef struct rg_board rg_board;
struct rg_board {
    rg_status (*put)(rg_board *board, const char *key, const char *text, rg_error *err);
    /* *text (heap) or NULL when there is none yet. */
    rg_status (*get)(rg_board *board, const char *key, char **text, rg_error *err);
    void (*close)(rg_board *board, bool finished);
};
/* `serve`: this process keeps the texts (rank 0). `name` of job and start: boards of another name
 * are strangers. */
rg_board *rg_board_folder(const char *path, bool serve, rg_error *err);
rg_board *rg_board_tcp(const char *host, int32_t port, bool serve, const char *name, rg_error *err);

void rg_peer_of_this_process(rg_peer *peer);
void rg_peer_to_text(const rg_peer *peer, char out[RG_PEER_TEXT]);
bool rg_peer_from_text(const char *text, int32_t rank, rg_peer *peer);

/* All ranks' lines (heap, world), own among them; fails after launch->timeout, naming who is
 * missing. */
rg_peer *rg_meet(rg_board *board, const rg_launch *launch, const rg_peer *own, rg_error *err);

/* Over MPI, which knows its ranks: no board. RG_ERR_UNSUPPORTED without the plug-in. */
rg_status rg_comm_open_mpi(const rg_launch *launch, rg_comm **comm, rg_error *err) RG_MUST_USE;

#endif
