/*
 * Meeting (meet.h): all ranks' lines, by way of a board.
 */
#include "dist/meet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

typedef struct meeting {
    rg_board *board;
    const rg_launch *launch;
    rg_patience patience;
} meeting;

static void line_key(int32_t rank, char out[32])
{
    snprintf(out, 32, "rank-%d", (int)rank);
}

/* Waits a little; fails after the timeout, saying for whom. */
static rg_status wait_for(meeting *m, int32_t rank, rg_error *err)
{
    double most = m->launch->timeout > 0 ? m->launch->timeout : 120;
    m->patience.turns += 20000; /* a board is files or connections: no spinning */
    if (rg_patience_wait(&m->patience) < most) return RG_OK;
    return rg_fail(err, RG_ERR_IO,
                   "rank %d of %d waits for rank %d, which has not come for %.0f s to %s; has it "
                   "been started with the same job and place to meet?",
                   (int)m->launch->rank, (int)m->launch->world, (int)rank, most, m->launch->meet);
}

/* What an earlier start of the same name left is of a process that is no more. */
static bool stale(const char *line, const rg_peer *own, int32_t rank)
{
    rg_peer p;
    if (!rg_peer_from_text(line, rank, &p)) return true;
    return !strcmp(p.boot, own->boot) && !rg_peer_lives(&p);
}

/* Rank 0: everybody's line, and the list of them. */
static rg_status gather(meeting *m, const rg_peer *own, rg_text *list, rg_error *err)
{
    char own_line[RG_PEER_TEXT];
    rg_peer_to_text(own, own_line);
    rg_text_printf(list, "%s\n", own_line);
    for (int32_t r = 1; r < m->launch->world; r++) {
        char key[32], *line = NULL;
        line_key(r, key);
        RG_TRY(m->board->get(m->board, key, &line, err));
        while (!line || stale(line, own, r)) {
            free(line);
            line = NULL;
            RG_TRY(wait_for(m, r, err));
            RG_TRY(m->board->get(m->board, key, &line, err));
        }
        rg_text_printf(list, "%s\n", line);
        free(line);
    }
    RG_TRY(rg_text_status(list, err));
    return m->board->put(m->board, "all", list->data, err);
}

/* Another rank: its line, and the list once that line is in it. */
static rg_status announce(meeting *m, const rg_peer *own, rg_text *list, rg_error *err)
{
    char key[32], line[RG_PEER_TEXT], *all = NULL;
    rg_peer_to_text(own, line);
    line_key(m->launch->rank, key);
    RG_TRY(m->board->put(m->board, key, line, err));
    RG_TRY(m->board->get(m->board, "all", &all, err));
    while (!all || !strstr(all, line)) {
        free(all);
        all = NULL;
        RG_TRY(wait_for(m, 0, err));
        RG_TRY(m->board->get(m->board, "all", &all, err));
    }
    rg_text_add(list, all);
    free(all);
    return rg_text_status(list, err);
}

static rg_peer *read_list(const rg_launch *launch, char *list, rg_error *err)
{
    rg_peer *peers = calloc((size_t)launch->world, sizeof *peers);
    if (!peers) {
        rg_fail(err, RG_ERR_NOMEM, "out of memory");
        return NULL;
    }
    char *rest = list;
    for (int32_t r = 0; r < launch->world; r++) {
        const char *line = strsep(&rest, "\n");
        if (line && rg_peer_from_text(line, r, &peers[r])) continue;
        rg_fail(err, RG_ERR_FORMAT, "%s: the list of processes has no line of rank %d",
                launch->meet, (int)r);
        free(peers);
        return NULL;
    }
    return peers;
}

rg_peer *rg_meet(rg_board *board, const rg_launch *launch, const rg_peer *own, rg_error *err)
{
    meeting m = {.board = board, .launch = launch};
    rg_text list;
    rg_text_init(&list, RG_BOARD_TEXT);
    rg_status status =
        launch->rank == 0 ? gather(&m, own, &list, err) : announce(&m, own, &list, err);
    rg_peer *peers = status == RG_OK ? read_list(launch, list.data, err) : NULL;
    rg_text_free(&list);
    return peers;
}
