/*
 * The collective calls over a wire (comm_private.h).
 *
 * One idea: a call is cut into rounds that a wire can hold; rounds begin in the order of the calls
 * and end in the same order, whoever asks, so every rank counts them alike and no rank needs to be
 * told which call a message belongs to. A signature in each message says so all the same, to name
 * the rank that does something else.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dist/comm_private.h"

/* ---- waiting ---- */

double rg_patience_wait(rg_patience *p)
{
    enum { SPINS = 2000, YIELDS = 12000 };
    p->turns++;
    if (p->turns < SPINS) {
        __asm__ volatile("" ::: "memory");
        return 0;
    }
    double now = rg_clock_seconds();
    if (!(p->began > 0)) p->began = now;
    if (p->turns < YIELDS) {
        sched_yield();
    } else {
        struct timespec nap = {.tv_nsec = p->turns < 2 * YIELDS ? 50000 : 500000};
        nanosleep(&nap, NULL);
    }
    return now - p->began;
}

rg_status rg_comm_be_patient(rg_comm *comm, rg_patience *p, const char *what, rg_error *err)
{
    double waited = rg_patience_wait(p);
    if (!(waited - p->checked > 0.1)) return RG_OK;
    p->checked = waited;
    RG_TRY(comm->wire->check(comm->wire, err));
    if (comm->beside.ask) RG_TRY(comm->beside.ask(comm->beside.ctx, err));
    if (!(waited > comm->timeout)) return RG_OK;
    return rg_fail(err, RG_ERR_IO, "%s: nothing was heard of the other processes for %.0f s", what,
                   waited);
}

/* ---- what is sent and what comes ---- */

static const char *const kinds[] = {[RG_COMM_BARRIER] = "barrier",
                                    [RG_COMM_BROADCAST] = "broadcast",
                                    [RG_COMM_GATHER] = "gather",
                                    [RG_COMM_ALL_GATHER] = "all_gather",
                                    [RG_COMM_REDUCE_SCATTER] = "reduce_scatter"};

static void sign_text(const rg_sign *s, char out[96])
{
    bool known = s->kind >= 0 && s->kind <= RG_COMM_REDUCE_SCATTER;
    snprintf(out, 96, "%s of %lld x %d bytes", known ? kinds[s->kind] : "?", (long long)s->n,
             (int)s->size);
    if (s->kind != RG_COMM_BROADCAST && s->kind != RG_COMM_GATHER) return;
    size_t n = strlen(out);
    snprintf(out + n, 96 - n, ", rank %d", (int)s->root);
}

rg_status rg_comm_check_sign(const rg_comm *comm, const rg_sign *mine, const rg_sign *theirs,
                             int32_t from, rg_error *err)
{
    char a[96], b[96];
    if (!memcmp(mine, theirs, sizeof *mine)) return RG_OK;
    sign_text(mine, a);
    sign_text(theirs, b);
    return rg_fail(err, RG_ERR_MISMATCH,
                   "the processes do not do the same: %s calls %s, %s calls %s (round %llu)",
                   comm->peers[comm->rank].text, a, comm->peers[from].text, b,
                   (unsigned long long)mine->round);
}

static size_t bytes_of(const rg_comm_call *c)
{
    return (size_t)c->n * (size_t)c->size;
}

/* Ranges of a part of a call; the ranks' places in `in` are as far apart as in the whole. */
static void set_ranges(rg_comm *comm, const rg_comm_call *part, int64_t whole)
{
    size_t bytes = bytes_of(part), stride = (size_t)whole * (size_t)part->size;
    for (int32_t r = 0; r < comm->world; r++) {
        comm->to[r] = (rg_range){part->in, bytes};
        comm->from[r] = bytes;
        if (part->kind == RG_COMM_REDUCE_SCATTER)
            comm->to[r].data = (const char *)part->in + (size_t)r * stride;
        if (part->kind == RG_COMM_BROADCAST && part->root != comm->rank) comm->to[r].bytes = 0;
        if (part->kind == RG_COMM_BROADCAST && part->root != r) comm->from[r] = 0;
        if (part->kind == RG_COMM_GATHER && part->root != r) comm->to[r].bytes = 0;
        if (part->kind == RG_COMM_GATHER && part->root != comm->rank) comm->from[r] = 0;
    }
}

static void sum_up(rg_comm *comm, uint64_t round, const rg_comm_call *part, int64_t whole)
{
    const float *parts[RG_COMM_WORLD];
    for (int32_t r = 0; r < comm->world; r++)
        parts[r] = r == comm->rank ? (const float *)part->in + r * whole
                                   : comm->wire->received(comm->wire, round, r);
    rg_tree_add(parts, comm->world, part->out, part->n);
}

static void take(rg_comm *comm, uint64_t round)
{
    const rg_comm_call *part = &comm->round[round % RG_COMM_ROUNDS].call;
    int64_t whole = comm->round[round % RG_COMM_ROUNDS].whole;
    size_t bytes = bytes_of(part), stride = (size_t)whole * (size_t)part->size;
    if (part->kind == RG_COMM_REDUCE_SCATTER) sum_up(comm, round, part, whole);
    if (part->kind == RG_COMM_BROADCAST && part->root != comm->rank && bytes)
        memcpy(part->out, comm->wire->received(comm->wire, round, part->root), bytes);
    bool gathers = part->kind == RG_COMM_ALL_GATHER ||
                   (part->kind == RG_COMM_GATHER && part->root == comm->rank);
    if (!gathers || !bytes) return;
    for (int32_t r = 0; r < comm->world; r++) {
        char *to = (char *)part->out + (size_t)r * stride;
        const void *from = r == comm->rank ? part->in : comm->wire->received(comm->wire, round, r);
        if (from != to) memcpy(to, from, bytes);
    }
}

/* ---- rounds ---- */

static rg_status fail_all(rg_comm *comm, rg_status status, rg_error *err)
{
    if (status == RG_OK) return RG_OK;
    if (!comm->failure.code) comm->failure = *err;
    return status;
}

static rg_status end_oldest(rg_comm *comm, bool wait, bool *ended, rg_error *err)
{
    rg_wire *wire = comm->wire;
    uint64_t round = comm->oldest;
    rg_patience patience = {0};
    *ended = false;
    RG_TRY(wire->arrived(wire, round, ended, err));
    while (!*ended && wait) {
        RG_TRY(rg_comm_be_patient(comm, &patience,
                                  kinds[comm->round[round % RG_COMM_ROUNDS].call.kind], err));
        RG_TRY(wire->arrived(wire, round, ended, err));
    }
    if (!*ended) return RG_OK;
    take(comm, round);
    comm->oldest++;
    return wire->done(wire, round, err);
}

static rg_status begin_round(rg_comm *comm, const rg_comm_call *part, int64_t whole, int32_t number,
                             rg_error *err)
{
    bool ended;
    rg_sign sign = {.round = comm->next,
                    .n = whole,
                    .kind = (int32_t)part->kind,
                    .root = part->root,
                    .size = part->size,
                    .part = number};
    while (comm->next - comm->oldest >= (uint64_t)comm->wire->rounds)
        RG_TRY(end_oldest(comm, true, &ended, err));
    set_ranges(comm, part, whole);
    comm->round[comm->next % RG_COMM_ROUNDS].call = *part;
    comm->round[comm->next % RG_COMM_ROUNDS].whole = whole;
    RG_TRY(comm->wire->send(comm->wire, &sign, comm->to, comm->from, err));
    for (int32_t r = 0; r < comm->world; r++)
        if (r != comm->rank) comm->traffic.bytes += comm->to[r].bytes;
    comm->next++;
    return RG_OK;
}

static rg_status begin(rg_comm *comm, const rg_comm_call *call, rg_error *err)
{
    bool scatter = call->kind == RG_COMM_REDUCE_SCATTER;
    int64_t most = (int64_t)comm->wire->most / call->size / (scatter ? comm->world : 1);
    int64_t done = 0;
    int32_t number = 0;
    do {
        rg_comm_call part = *call;
        part.n = call->n - done < most ? call->n - done : most;
        if (part.n) {
            part.in = (const char *)call->in + done * call->size;
            part.out = (char *)call->out + done * call->size;
        }
        RG_TRY(begin_round(comm, &part, call->n, number++, err));
        done += part.n;
    } while (done < call->n);
    return RG_OK;
}

static rg_status start(rg_comm *comm, const rg_comm_call *call, rg_comm_request *request,
                       rg_error *err)
{
    if (comm->failure.code) return rg_fail(err, comm->failure.code, "%s", comm->failure.text);
    rg_error own = {0};
    double began = rg_clock_seconds();
    rg_status status = begin(comm, call, &own);
    request->end = comm->next;
    comm->traffic.seconds += rg_clock_seconds() - began;
    if (fail_all(comm, status, &own) == RG_OK) return RG_OK;
    return rg_fail(err, status, "%s", own.text);
}

/* Ends rounds up to `end`; without waiting as many as can be. */
static rg_status go_on(rg_comm *comm, uint64_t end, bool wait, rg_error *err)
{
    if (comm->failure.code) return rg_fail(err, comm->failure.code, "%s", comm->failure.text);
    rg_error own = {0};
    rg_status status = RG_OK;
    bool ended = true;
    double began = rg_clock_seconds();
    while (status == RG_OK && ended && comm->oldest < end)
        status = end_oldest(comm, wait, &ended, &own);
    comm->traffic.seconds += rg_clock_seconds() - began;
    if (fail_all(comm, status, &own) == RG_OK) return RG_OK;
    return rg_fail(err, status, "%s", own.text);
}

static rg_status wait(rg_comm *comm, rg_comm_request *request, rg_error *err)
{
    return go_on(comm, request->end, true, err);
}

static rg_status progress(rg_comm *comm, rg_error *err)
{
    return go_on(comm, comm->next, false, err);
}

static void give_up(rg_comm *comm, const char *why)
{
    comm->wire->give_up(comm->wire, why);
    rg_fail(&comm->failure, RG_ERR_CANCELLED, "%s", why);
}

static void leave(rg_comm *comm)
{
    comm->wire->close(comm->wire);
    free(comm->peers);
    free(comm->to);
    free(comm->from);
    free(comm);
}

const rg_comm_backend rg_comm_host = {
    .start = start, .wait = wait, .progress = progress, .give_up = give_up, .close = leave};

rg_comm *rg_comm_over(rg_wire *wire, int32_t rank, int32_t world, rg_peer *peers, double timeout,
                      rg_error *err)
{
    rg_comm *comm = calloc(1, sizeof *comm);
    rg_range *to = calloc((size_t)world, sizeof *to);
    size_t *from = calloc((size_t)world, sizeof *from);
    if (!comm || !to || !from) {
        rg_fail(err, RG_ERR_NOMEM, "out of memory");
        wire->close(wire);
        free(peers);
        free(comm);
        free(to);
        free(from);
        return NULL;
    }
    *comm = (rg_comm){.backend = &rg_comm_host,
                      .name = wire->name,
                      .rank = rank,
                      .world = world,
                      .peers = peers,
                      .wire = wire,
                      .timeout = timeout,
                      .to = to,
                      .from = from};
    wire->comm = comm;
    return comm;
}
