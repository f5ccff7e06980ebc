/*
 * The wire between processes of one host: shared memory (comm_private.h).
 *
 * One idea: every rank owns a block of memory without a name (memfd), which the others map through
 * /proc/PID/fd; so nothing is left behind however a process ends. A rank writes only its own block:
 * what it sends, in slots used in turn, and up to which round it has taken what others sent.
 * Whether a process still lives is asked of /proc, so one that was killed cannot be waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "dist/comm_private.h"

enum { RANKS = 256, SLOT = 4 << 20 };
enum { RUNNING, LEFT, ABORTED };

typedef struct slot {
    _Atomic uint64_t posted; /* round + 1 */
    rg_sign sign;
    struct {
        uint32_t at, bytes;
    } to[RANKS];
} slot;

typedef struct block {
    _Atomic uint64_t taken; /* rounds that the owner is done with */
    _Atomic int32_t state;
    char why[RG_COMM_WHY];
    slot slots[RG_COMM_ROUNDS];
} block;

typedef struct shm {
    rg_wire wire;
    int32_t rank, world, memory;
    const rg_peer *peers;
    block *blocks[RANKS];
} shm;

static const size_t block_bytes =
    (sizeof(block) + 4095) / 4096 * 4096 + (size_t)RG_COMM_ROUNDS * SLOT;

static char *slot_data(block *b, uint64_t round)
{
    return (char *)b + block_bytes - (size_t)RG_COMM_ROUNDS * SLOT +
           (round % RG_COMM_ROUNDS) * SLOT;
}

static rg_status check(rg_wire *wire, rg_error *err)
{
    shm *s = (shm *)wire;
    for (int32_t r = 0; r < s->world; r++) {
        block *b = s->blocks[r];
        if (r == s->rank) continue;
        int32_t state = atomic_load(&b->state);
        if (state == ABORTED)
            return rg_fail(err, RG_ERR_CANCELLED, "%s gave up: %.*s", s->peers[r].text,
                           RG_COMM_WHY - 1, b->why);
        uint64_t oldest = s->wire.comm->oldest;
        if (state == LEFT && atomic_load(&b->slots[oldest % RG_COMM_ROUNDS].posted) > oldest)
            continue;
        if (state == LEFT) return rg_fail(err, RG_ERR_IO, "%s has left", s->peers[r].text);
        if (!rg_peer_lives(&s->peers[r]))
            return rg_fail(err, RG_ERR_IO, "%s is gone: it was killed or has crashed",
                           s->peers[r].text);
    }
    return RG_OK;
}

/* The slot is free once every other rank has taken what was in it. */
static rg_status wait_for_slot(shm *s, uint64_t round, rg_error *err)
{
    rg_patience patience = {0};
    for (int32_t r = 0; r < s->world && round >= RG_COMM_ROUNDS; r++) {
        while (atomic_load_explicit(&s->blocks[r]->taken, memory_order_acquire) + RG_COMM_ROUNDS <=
               round) {
            if (r == s->rank) break;
            RG_TRY(rg_comm_be_patient(s->wire.comm, &patience, "shared memory", err));
        }
    }
    return RG_OK;
}

static rg_status post(rg_wire *wire, const rg_sign *sign, const rg_range *to, const size_t *from,
                      rg_error *err)
{
    shm *s = (shm *)wire;
    block *own = s->blocks[s->rank];
    slot *out = &own->slots[sign->round % RG_COMM_ROUNDS];
    char *data = slot_data(own, sign->round);
    const void *last = NULL;
    uint32_t at = 0, used = 0;
    (void)from;
    RG_TRY(wait_for_slot(s, sign->round, err));
    for (int32_t r = 0; r < s->world; r++) {
        if (r == s->rank || !to[r].bytes) continue;
        if (to[r].data != last) { /* what goes to all is written once */
            at = used;
            memcpy(data + at, to[r].data, to[r].bytes);
            used += (uint32_t)to[r].bytes;
        }
        last = to[r].data;
        out->to[r].at = at;
        out->to[r].bytes = (uint32_t)to[r].bytes;
    }
    out->sign = *sign;
    atomic_store_explicit(&out->posted, sign->round + 1, memory_order_release);
    return RG_OK;
}

static rg_status arrived(rg_wire *wire, uint64_t round, bool *all, rg_error *err)
{
    shm *s = (shm *)wire;
    const rg_sign *mine = &s->blocks[s->rank]->slots[round % RG_COMM_ROUNDS].sign;
    *all = false;
    for (int32_t r = 0; r < s->world; r++) {
        slot *in = &s->blocks[r]->slots[round % RG_COMM_ROUNDS];
        if (r == s->rank) continue;
        if (atomic_load_explicit(&in->posted, memory_order_acquire) != round + 1) return RG_OK;
        RG_TRY(rg_comm_check_sign(s->wire.comm, mine, &in->sign, r, err));
    }
    *all = true;
    return RG_OK;
}

static const void *received(rg_wire *wire, uint64_t round, int32_t from)
{
    shm *s = (shm *)wire;
    block *b = s->blocks[from];
    return slot_data(b, round) + b->slots[round % RG_COMM_ROUNDS].to[s->rank].at;
}

static rg_status done(rg_wire *wire, uint64_t round, rg_error *err)
{
    shm *s = (shm *)wire;
    (void)err;
    atomic_store_explicit(&s->blocks[s->rank]->taken, round + 1, memory_order_release);
    return RG_OK;
}

static void give_up(rg_wire *wire, const char *why)
{
    shm *s = (shm *)wire;
    block *own = s->blocks[s->rank];
    if (atomic_load(&own->state) == ABORTED) return;
    rg_copy_text(own->why, sizeof own->why, why);
    atomic_store(&own->state, ABORTED);
}

static void leave(rg_wire *wire)
{
    shm *s = (shm *)wire;
    int32_t running = RUNNING;
    block *own = s->blocks[s->rank];
    if (own) atomic_compare_exchange_strong(&own->state, &running, LEFT);
    for (int32_t r = 0; r < s->world; r++)
        if (s->blocks[r]) munmap(s->blocks[r], block_bytes);
    if (s->memory >= 0) close(s->memory);
    free(s);
}

static block *map(int fd)
{
    void *p = mmap(NULL, block_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

rg_wire *rg_wire_shm_open(int32_t rank, int32_t world, int32_t *memory, rg_error *err)
{
    if (world > RANKS) {
        rg_fail(err, RG_ERR_UNSUPPORTED, "shared memory serves at most %d processes", RANKS);
        return NULL;
    }
    shm *s = calloc(1, sizeof *s);
    if (!s) {
        rg_fail(err, RG_ERR_NOMEM, "out of memory");
        return NULL;
    }
    s->wire = (rg_wire){.name = "shm",
                        .most = SLOT,
                        .rounds = RG_COMM_ROUNDS,
                        .send = post,
                        .arrived = arrived,
                        .received = received,
                        .done = done,
                        .check = check,
                        .give_up = give_up,
                        .close = leave};
    s->rank = rank;
    s->world = world;
    s->memory = memfd_create("resonant", MFD_CLOEXEC);
    if (s->memory >= 0 && ftruncate(s->memory, (off_t)block_bytes) == 0)
        s->blocks[rank] = map(s->memory);
    *memory = s->memory;
    if (s->blocks[rank]) return &s->wire;
    rg_fail(err, RG_ERR_NOMEM, "shared memory of %zu MiB: %s", block_bytes >> 20, strerror(errno));
    leave(&s->wire);
    return NULL;
}

rg_status rg_wire_shm_join(rg_wire *wire, const rg_peer *peers, rg_error *err)
{
    shm *s = (shm *)wire;
    s->peers = peers;
    for (int32_t r = 0; r < s->world; r++) {
        char path[64];
        if (r == s->rank) continue;
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)peers[r].pid, (int)peers[r].memory);
        int fd = rg_fs_posix()->open(path, O_RDWR | O_CLOEXEC, 0);
        s->blocks[r] = fd < 0 ? NULL : map(fd);
        int reason = errno;
        if (fd >= 0) close(fd);
        if (!s->blocks[r])
            return rg_fail(err, RG_ERR_IO, "the memory of %s cannot be shared: %s", peers[r].text,
                           strerror(reason));
    }
    return RG_OK;
}
