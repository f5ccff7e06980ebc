/*
 * The wire between hosts: a connection between every two processes (comm_private.h).
 *
 * One idea: a connection is a stream of rounds in their order, each a signature and its bytes, so
 * both ends know from their own count what comes next. Nothing waits for one connection: all are
 * moved on whenever somebody asks. The kernel tells when the other end is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "dist/comm_private.h"
#include "dist/socket.h"

enum { MEMORY = 16 << 20, LEAST = 64 << 10, MEET_SECONDS = 60 };
enum { GAVE_UP = -1 }; /* kind of a signature that is followed by `why` */

typedef struct hello {
    char magic[8];
    int32_t rank, pid;
    uint64_t start;
} hello;

/* A direction of a connection: bytes done of a round's signature and data. */
typedef struct flow {
    uint64_t round;
    size_t done;
} flow;

typedef struct peer_link {
    int fd;
    flow out, in;
    rg_sign sign; /* coming in */
    bool closed;
    rg_range to[RG_COMM_ROUNDS];
    size_t from[RG_COMM_ROUNDS];
    char *data[RG_COMM_ROUNDS]; /* what came */
} peer_link;

typedef struct tcp {
    rg_wire wire;
    int32_t rank, world;
    int listener;
    uint64_t posted; /* rounds that were sent so far, as far as the caller is concerned */
    rg_sign signs[RG_COMM_ROUNDS];
    char *memory[RG_COMM_ROUNDS];
    size_t sizes[RG_COMM_ROUNDS];
    peer_link *links; /* (world) */
    const rg_peer *peers;
} tcp;

/* ---- moving bytes ---- */

static rg_status lost(tcp *t, int32_t r, int reason, rg_error *err)
{
    return rg_fail(err, RG_ERR_IO, "%s is gone: it has left or was killed (%s)", t->peers[r].text,
                   reason ? strerror(reason) : "connection closed");
}

static bool would_wait(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static rg_status move_out(tcp *t, int32_t r, rg_error *err)
{
    peer_link *l = &t->links[r];
    while (l->out.round < t->posted) {
        size_t k = l->out.round % RG_COMM_ROUNDS, head = sizeof(rg_sign), bytes = l->to[k].bytes;
        if (l->out.done == head + bytes) {
            l->out = (flow){.round = l->out.round + 1};
            continue;
        }
        bool in_head = l->out.done < head;
        const char *from = in_head ? (const char *)&t->signs[k] + l->out.done
                                   : (const char *)l->to[k].data + (l->out.done - head);
        size_t n = in_head ? head - l->out.done : head + bytes - l->out.done;
        ssize_t sent = send(l->fd, from, n, MSG_NOSIGNAL | (in_head && bytes ? MSG_MORE : 0));
        if (sent < 0 && would_wait()) return RG_OK;
        if (sent < 0) return lost(t, r, errno, err);
        l->out.done += (size_t)sent;
    }
    return RG_OK;
}

/* A whole signature is here. */
static rg_status read_sign(tcp *t, int32_t r, rg_error *err)
{
    peer_link *l = &t->links[r];
    char why[RG_COMM_WHY];
    if (l->sign.kind != GAVE_UP)
        return rg_comm_check_sign(t->wire.comm, &t->signs[l->in.round % RG_COMM_ROUNDS], &l->sign,
                                  r, err);
    ssize_t n = recv(l->fd, why, sizeof why - 1, 0);
    why[n > 0 ? n : 0] = 0;
    return rg_fail(err, RG_ERR_CANCELLED, "%s gave up: %s", t->peers[r].text, why);
}

static rg_status move_in(tcp *t, int32_t r, rg_error *err)
{
    peer_link *l = &t->links[r];
    while (l->in.round < t->posted && !l->closed) {
        size_t k = l->in.round % RG_COMM_ROUNDS, head = sizeof(rg_sign), bytes = l->from[k];
        if (l->in.done == head + bytes) {
            l->in = (flow){.round = l->in.round + 1};
            continue;
        }
        bool in_head = l->in.done < head;
        char *to = in_head ? (char *)&l->sign + l->in.done : l->data[k] + (l->in.done - head);
        ssize_t got = recv(l->fd, to, (in_head ? head : head + bytes) - l->in.done, 0);
        if (got < 0 && would_wait()) return RG_OK;
        if (got < 0) return lost(t, r, errno, err);
        if (got == 0) l->closed = true;
        l->in.done += (size_t)got;
        if (in_head && got && l->in.done == head) RG_TRY(read_sign(t, r, err));
    }
    return RG_OK;
}

/* Out first: a rank whose call does not match is to learn it too. */
static rg_status move_all(tcp *t, rg_error *err)
{
    for (int32_t r = 0; r < t->world; r++)
        if (r != t->rank) RG_TRY(move_out(t, r, err));
    for (int32_t r = 0; r < t->world; r++)
        if (r != t->rank) RG_TRY(move_in(t, r, err));
    return RG_OK;
}

/* ---- the wire's table ---- */

/* Room for what a round brings; after the first steps there is enough. */
static rg_status make_room(tcp *t, size_t k, const size_t *from, rg_error *err)
{
    size_t need = 0;
    for (int32_t r = 0; r < t->world; r++) need += r == t->rank ? 0 : from[r];
    if (need && need > t->sizes[k]) {
        free(t->memory[k]);
        t->memory[k] = malloc(need);
        t->sizes[k] = t->memory[k] ? need : 0;
        if (!t->memory[k]) return rg_fail(err, RG_ERR_NOMEM, "no memory for messages");
    }
    size_t at = 0;
    for (int32_t r = 0; r < t->world; r++) {
        t->links[r].data[k] = t->memory[k] ? t->memory[k] + at : NULL;
        at += r == t->rank ? 0 : from[r];
    }
    return RG_OK;
}

static rg_status post(rg_wire *wire, const rg_sign *sign, const rg_range *to, const size_t *from,
                      rg_error *err)
{
    tcp *t = (tcp *)wire;
    size_t k = sign->round % RG_COMM_ROUNDS;
    RG_TRY(make_room(t, k, from, err));
    t->signs[k] = *sign;
    for (int32_t r = 0; r < t->world; r++) {
        t->links[r].to[k] = to[r];
        t->links[r].from[k] = from[r];
    }
    t->posted = sign->round + 1;
    return move_all(t, err);
}

static bool over(const flow *f, size_t bytes, uint64_t round)
{
    return f->round > round || (f->round == round && f->done == sizeof(rg_sign) + bytes);
}

static rg_status arrived(rg_wire *wire, uint64_t round, bool *all, rg_error *err)
{
    tcp *t = (tcp *)wire;
    size_t k = round % RG_COMM_ROUNDS;
    *all = false;
    RG_TRY(move_all(t, err));
    for (int32_t r = 0; r < t->world; r++) {
        const peer_link *l = &t->links[r];
        if (r == t->rank) continue;
        bool here = over(&l->in, l->from[k], round);
        if (!here && l->closed) return lost(t, r, 0, err);
        if (!here || !over(&l->out, l->to[k].bytes, round)) return RG_OK;
    }
    *all = true;
    return RG_OK;
}

static const void *received(rg_wire *wire, uint64_t round, int32_t from)
{
    return ((tcp *)wire)->links[from].data[round % RG_COMM_ROUNDS];
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
    return move_all((tcp *)wire, err);
}

/* Between two messages the others are told why; within one they see that this end is closed. */
static void give_up(rg_wire *wire, const char *why)
{
    tcp *t = (tcp *)wire;
    rg_sign sign = {.kind = GAVE_UP};
    for (int32_t r = 0; r < t->world; r++) {
        const peer_link *l = &t->links[r];
        size_t k = l->out.round % RG_COMM_ROUNDS;
        if (l->fd < 0 || (l->out.done && !over(&l->out, l->to[k].bytes, l->out.round))) continue;
        (void)send(l->fd, &sign, sizeof sign, MSG_NOSIGNAL | MSG_MORE);
        (void)send(l->fd, why, strnlen(why, RG_COMM_WHY - 1), MSG_NOSIGNAL);
    }
}

/* What the other end still sends is read: closing before would take back what was sent to it. */
static void drain(const tcp *t)
{
    char rest[4096];
    double began = rg_clock_seconds();
    for (int32_t r = 0; r < t->world; r++) {
        struct pollfd wait = {.fd = t->links[r].fd, .events = POLLIN};
        if (wait.fd < 0) continue;
        shutdown(wait.fd, SHUT_WR);
        while (rg_clock_seconds() - began < 2 && poll(&wait, 1, 100) >= 0)
            if (wait.revents && recv(wait.fd, rest, sizeof rest, 0) <= 0) break;
    }
}

static void leave(rg_wire *wire)
{
    tcp *t = (tcp *)wire;
    if (t->wire.comm && t->wire.comm->failure.code) drain(t);
    for (int32_t r = 0; t->links && r < t->world; r++)
        if (t->links[r].fd >= 0) close(t->links[r].fd);
    for (int32_t k = 0; k < RG_COMM_ROUNDS; k++) free(t->memory[k]);
    if (t->listener >= 0) close(t->listener);
    free(t->links);
    free(t);
}

/* ---- connecting ---- */

rg_wire *rg_wire_tcp_open(int32_t rank, int32_t world, int32_t *port, rg_error *err)
{
    tcp *t = calloc(1, sizeof *t);
    peer_link *links = calloc((size_t)world, sizeof *links);
    if (!t || !links) {
        free(t);
        free(links);
        rg_fail(err, RG_ERR_NOMEM, "out of memory");
        return NULL;
    }
    t->wire = (rg_wire){.name = "tcp",
                        .most = MEMORY / (size_t)world > LEAST ? MEMORY / (size_t)world : LEAST,
                        .rounds = RG_COMM_ROUNDS,
                        .send = post,
                        .arrived = arrived,
                        .received = received,
                        .done = done,
                        .check = check,
                        .give_up = give_up,
                        .close = leave};
    t->rank = rank;
    t->world = world;
    t->links = links;
    for (int32_t r = 0; r < world; r++) links[r].fd = -1;
    *port = 0;
    t->listener = rg_listen(port, err);
    if (t->listener >= 0) return &t->wire;
    leave(&t->wire);
    return NULL;
}

static void keep_link(tcp *t, int32_t r, int fd)
{
    rg_socket_watch(fd);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    t->links[r].fd = fd;
}

static rg_status call(tcp *t, int32_t r, rg_error *err)
{
    const rg_peer *own = &t->peers[t->rank], *peer = &t->peers[r];
    hello h = {.magic = "rgwire1", .rank = t->rank, .pid = own->pid, .start = own->start};
    int fd = rg_connect(peer->address, peer->port);
    if (fd < 0 || send(fd, &h, sizeof h, MSG_NOSIGNAL) != (ssize_t)sizeof h) {
        if (fd >= 0) close(fd);
        return rg_fail(err, RG_ERR_IO, "%s cannot be reached at %s, port %d", peer->text,
                       peer->address, (int)peer->port);
    }
    keep_link(t, r, fd);
    return RG_OK;
}

/* One connection from a higher rank; strangers are hung up on. */
static rg_status answer(tcp *t, int32_t *left, rg_error *err)
{
    struct pollfd wait = {.fd = t->listener, .events = POLLIN};
    hello h;
    if (poll(&wait, 1, MEET_SECONDS * 1000) <= 0)
        return rg_fail(err, RG_ERR_IO, "%d processes of higher rank have not connected within %d s",
                       (int)*left, MEET_SECONDS);
    int fd = accept(t->listener, NULL, NULL);
    if (fd < 0) return RG_OK;
    struct pollfd come = {.fd = fd, .events = POLLIN};
    bool known = poll(&come, 1, 5000) > 0 &&
                 recv(fd, &h, sizeof h, MSG_WAITALL) == (ssize_t)sizeof h &&
                 !memcmp(h.magic, "rgwire1", 8) && h.rank > t->rank && h.rank < t->world &&
                 t->links[h.rank].fd < 0 && h.pid == t->peers[h.rank].pid &&
                 h.start == t->peers[h.rank].start;
    if (!known) {
        close(fd);
        return RG_OK;
    }
    keep_link(t, h.rank, fd);
    --*left;
    return RG_OK;
}

rg_status rg_wire_tcp_join(rg_wire *wire, const rg_peer *peers, rg_error *err)
{
    tcp *t = (tcp *)wire;
    int32_t left = t->world - 1 - t->rank;
    t->peers = peers;
    for (int32_t r = 0; r < t->rank; r++) RG_TRY(call(t, r, err));
    while (left > 0) RG_TRY(answer(t, &left, err));
    close(t->listener);
    t->listener = -1;
    return RG_OK;
}
