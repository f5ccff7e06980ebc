/*
 * Stands in for NCCL between processes of this host whose GPUs are emulated: the calls that nccl.c
 * makes, with every argument looked at as the library would.
 *
 * One idea: device memory is a file, so ranks read each other's through /proc, as GPUs of one host
 * do. All ranks post what they call next, compare it, read what is theirs, and write when all have
 * read. Real NCCL hangs when ranks do not call the same; here both calls are told, and then the
 * stream stands still for ever, as it does when a rank is gone, until the communicator is aborted.
 * Sends and receives: only in groups that all ranks of the communicator make alike.
 */
#include <fcntl.h>
#include <nccl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cuemu_control.h"

void cuemu_check_written(const void *p, size_t n, const void *source) __attribute__((weak));
void cuemu_check_read(const void *p, size_t n) __attribute__((weak));

enum { RANKS = 16, OPS = 2 * RANKS, MAGIC = 0x4e43434c, BLOCKING_UNSET = NCCL_CONFIG_UNDEF_INT };

typedef enum kind { SEND, RECV, BROADCAST, ALL_GATHER } kind;
static const char *const kinds[] = {"send", "recv", "broadcast", "all_gather"};

typedef struct op {
    kind kind;
    int32_t type, rank;    /* rank: root or the other one; -1: none */
    uint64_t n, bytes, in; /* in: where it lies in the device's file */
    void *out;
} op;

typedef struct seat {
    _Atomic int32_t taken_by; /* process; 0: nobody */
    int32_t file;
    _Atomic uint64_t posted, read; /* numbers of calls */
    int32_t n;
    op ops[OPS];
} seat;

typedef struct board {
    _Atomic int32_t world;
    seat seats[RANKS];
} board;

/* What an ncclUniqueId holds. */
typedef struct id {
    uint32_t magic;
    int32_t process, file;
} id;

struct ncclComm {
    uint32_t magic;
    int32_t rank, world, jobs;
    bool blocking, busy, aborted;
    ncclResult_t async;
    board *board;
    const char *memory[RANKS]; /* the ranks' device memory as this process sees it */
    uint64_t calls, done;
};

typedef struct job {
    ncclComm_t comm;
    uint64_t number;
    bool posted;
    char *result[OPS];
    int32_t n;
    op ops[OPS];
} job;

static struct {
    int depth;
    ncclComm_t comm;
    cudaStream_t stream;
    int32_t n;
    op ops[OPS];
    ncclResult_t failed;
} group;
static char last[256];

static ncclResult_t refuse(ncclResult_t code, const char *what)
{
    snprintf(last, sizeof last, "%s", what);
    fprintf(stderr, "NCCL stand-in: %s\n", what);
    if (group.depth) group.failed = code;
    return code;
}

#define REFUSE_IF(cond)                                         \
    do {                                                        \
        if (cond) return refuse(ncclInvalidArgument, "" #cond); \
    } while (0)

static bool live(const struct ncclComm *c)
{
    return c && c->magic == MAGIC && !c->aborted;
}

/* ---- meeting ---- */

static board *map_board(int file)
{
    void *p = mmap(NULL, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int open_file_of(int32_t process, int32_t file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, (int)file);
    return open(path, O_RDWR | O_CLOEXEC);
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *out)
{
    REFUSE_IF(!out);
    const id made = {MAGIC, (int32_t)getpid(), memfd_create("nccl", MFD_CLOEXEC)};
    if (made.file < 0 || ftruncate(made.file, sizeof(board)) != 0) return ncclSystemError;
    memset(out, 0, sizeof *out);
    memcpy(out, &made, sizeof made);
    return ncclSuccess;
}

static ncclResult_t sit_down(ncclComm_t c)
{
    int32_t free_seat = 0, any = 0;
    const void *begin;
    size_t bytes;
    seat *own = &c->board->seats[c->rank];
    if (!atomic_compare_exchange_strong(&c->board->world, &any, c->world) && any != c->world)
        return refuse(ncclInvalidArgument, "ranks join with different nranks");
    cuemu_device_file(&own->file, &begin, &bytes);
    if (!atomic_compare_exchange_strong(&own->taken_by, &free_seat, (int32_t)getpid()))
        return refuse(ncclInvalidUsage, "two processes join as one rank");
    return ncclSuccess;
}

static ncclResult_t look_at(ncclComm_t c, int32_t rank)
{
    const void *begin;
    size_t bytes;
    int own_file;
    const seat *s = &c->board->seats[rank];
    const int32_t process = atomic_load(&s->taken_by);
    if (!process) return ncclInProgress;
    if (c->memory[rank]) return ncclSuccess;
    cuemu_device_file(&own_file, &begin, &bytes);
    const int file = open_file_of(process, s->file);
    void *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (file >= 0) close(file);
    if (p == MAP_FAILED) return ncclRemoteError;
    c->memory[rank] = p;
    return ncclSuccess;
}

static ncclResult_t meet(ncclComm_t c)
{
    for (int32_t r = 0; r < c->world; r++) {
        const ncclResult_t code = look_at(c, r);
        if (code != ncclSuccess) return code;
    }
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int world, ncclUniqueId text, int rank,
                                    ncclConfig_t *config)
{
    const ncclConfig_t expected = NCCL_CONFIG_INITIALIZER;
    id from;
    memcpy(&from, &text, sizeof from);
    REFUSE_IF(!out || !config || group.depth);
    REFUSE_IF(config->size != expected.size || config->magic != expected.magic);
    REFUSE_IF(world < 1 || world > RANKS || rank < 0 || rank >= world);
    REFUSE_IF(from.magic != MAGIC);
    REFUSE_IF(config->blocking != 0 && config->blocking != 1 && config->blocking != BLOCKING_UNSET);
    const int file = open_file_of(from.process, from.file);
    ncclComm_t c = calloc(1, sizeof *c);
    board *b = file < 0 ? NULL : map_board(file);
    if (file >= 0) close(file);
    if (!c || !b) {
        free(c);
        return ncclSystemError;
    }
    *c = (struct ncclComm){.magic = MAGIC,
                           .rank = rank,
                           .world = world,
                           .blocking = config->blocking != 0,
                           .async = ncclInProgress,
                           .board = b};
    *out = c;
    const ncclResult_t code = sit_down(c);
    if (code != ncclSuccess) return c->async = code;
    while (c->blocking && c->async == ncclInProgress) c->async = meet(c);
    return c->async;
}

/* ---- the communicator ---- */

static void set_free(ncclComm_t c)
{
    const void *begin;
    size_t bytes;
    int file;
    cuemu_device_file(&file, &begin, &bytes);
    for (int32_t r = 0; r < c->world; r++)
        if (c->memory[r]) munmap((void *)(uintptr_t)c->memory[r], bytes);
    munmap(c->board, sizeof(board));
    c->magic = 0;
    free(c);
}

ncclResult_t ncclCommDestroy(ncclComm_t c)
{
    REFUSE_IF(!live(c) || group.depth);
    if (c->jobs) return refuse(ncclInvalidUsage, "destroyed with calls under way");
    if (c->async != ncclSuccess) return refuse(ncclInvalidUsage, "destroyed in a state of error");
    set_free(c);
    return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t c)
{
    REFUSE_IF(!live(c));
    c->aborted = true;
    if (!c->jobs) set_free(c);
    return ncclSuccess;
}

/* The GPU goes on while it is asked about. */
ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *state)
{
    REFUSE_IF(!live(c) || !state);
    if (c->async == ncclInProgress) c->async = meet(c);
    cuemu_go_on();
    c->busy = false;
    *state = c->async;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t code)
{
    return code == ncclSuccess           ? "no error"
           : code == ncclInvalidArgument ? "invalid argument"
           : code == ncclInvalidUsage    ? "invalid usage"
                                         : "an error of the stand-in";
}

const char *ncclGetLastError(ncclComm_t c)
{
    (void)c;
    return last;
}

/* ---- calls, when the stream has come to them ---- */

static void say(char out[96], const op *o, int32_t rank)
{
    if (o)
        snprintf(out, 96, "rank %d calls %s of %llu of type %d (rank %d)", (int)rank,
                 kinds[o->kind], (unsigned long long)o->n, (int)o->type, (int)o->rank);
    else
        snprintf(out, 96, "rank %d calls nothing of the kind", (int)rank);
}

static bool differ(const op *a, int32_t rank_a, const op *b, int32_t rank_b)
{
    char x[96], y[96], text[256];
    const bool paired = a && b && a->n == b->n && a->type == b->type &&
                        (a->kind <= RECV || (a->kind == b->kind && a->rank == b->rank));
    if ((!a && !b) || paired) return false;
    say(x, a, rank_a);
    say(y, b, rank_b);
    snprintf(text, sizeof text, "%s, %s", x, y);
    (void)refuse(ncclInvalidUsage, text);
    return true;
}

/* The i-th op of a kind, of those between two ranks where it is between two; NULL: there is none.
 */
static const op *find(const op *ops, int32_t n, kind k, int32_t other, int32_t i)
{
    for (int32_t j = 0; j < n; j++) {
        const bool fits = ops[j].kind == k && ops[j].rank == other;
        if (fits && i-- == 0) return &ops[j];
    }
    return NULL;
}

/* A call of all ranks is a job of its own. */
static const op *collective(const op *ops, int32_t n)
{
    return n == 1 && ops[0].kind > RECV ? &ops[0] : NULL;
}

static bool fits(const job *w, int32_t r)
{
    const ncclComm_t c = w->comm;
    const seat *s = &c->board->seats[r];
    if (differ(collective(w->ops, w->n), c->rank, collective(s->ops, s->n), r)) return false;
    for (int32_t i = 0; i < OPS; i++) {
        const op *sent = find(w->ops, w->n, SEND, r, i), *took = find(w->ops, w->n, RECV, r, i);
        if (differ(sent, c->rank, find(s->ops, s->n, RECV, c->rank, i), r) ||
            differ(took, c->rank, find(s->ops, s->n, SEND, c->rank, i), r))
            return false;
    }
    return true;
}

/* How many ops before this one are between the same two. */
static int32_t before(const job *w, const op *o)
{
    int32_t n = 0;
    for (const op *p = w->ops; p < o; p++) n += p->kind == o->kind && p->rank == o->rank;
    return n;
}

static const char *at(const struct ncclComm *c, int32_t rank, const op *o)
{
    return c->memory[rank] + o->in;
}

/* What op k brings, into memory of its own. */
static void read_others(job *w, int32_t k)
{
    const ncclComm_t c = w->comm;
    const op *o = &w->ops[k];
    const size_t n = o->bytes, all = o->kind == ALL_GATHER ? n * (size_t)c->world : n;
    if (cuemu_check_read && o->kind != RECV && (o->kind != BROADCAST || o->rank == c->rank)) {
        const void *begin;
        size_t bytes;
        int file;
        cuemu_device_file(&file, &begin, &bytes);
        cuemu_check_read((const char *)begin + o->in, n);
    }
    if (o->kind == SEND) return;
    w->result[k] = malloc(all + 1);
    if (!w->result[k]) abort();
    for (int32_t r = 0; r < c->world; r++) {
        const seat *s = &c->board->seats[r];
        const op *theirs =
            o->kind == RECV ? find(s->ops, s->n, SEND, c->rank, before(w, o)) : &s->ops[k];
        if (o->kind == ALL_GATHER)
            memcpy(w->result[k] + (size_t)r * n, at(c, r, theirs), n);
        else if (o->rank == r)
            memcpy(w->result[k], at(c, r, theirs), n);
    }
}

static bool all_have(const struct ncclComm *c, uint64_t number, bool read)
{
    for (int32_t r = 0; r < c->world; r++) {
        seat *s = &c->board->seats[r];
        if (atomic_load(read ? &s->read : &s->posted) < number) return false;
    }
    return true;
}

static bool ready(void *arg)
{
    job *w = arg;
    const ncclComm_t c = w->comm;
    seat *own = &c->board->seats[c->rank];
    if (c->aborted) return true;
    if (c->async != ncclSuccess || c->done + 1 != w->number) return false;
    if (!w->posted) {
        memcpy(own->ops, w->ops, sizeof own->ops);
        own->n = w->n;
        atomic_store(&own->posted, w->number);
        w->posted = true;
    }
    if (!all_have(c, w->number, false)) return false;
    if (atomic_load(&own->read) < w->number) {
        for (int32_t r = 0; r < c->world; r++)
            if (!fits(w, r)) c->async = ncclInvalidUsage;
        if (c->async != ncclSuccess) return false;
        for (int32_t k = 0; k < w->n; k++) read_others(w, k);
        atomic_store(&own->read, w->number);
    }
    return all_have(c, w->number, true);
}

static void run(void *arg)
{
    job *w = arg;
    const ncclComm_t c = w->comm;
    for (int32_t k = 0; k < w->n; k++) {
        const op *o = &w->ops[k];
        const size_t n = o->kind == ALL_GATHER ? o->bytes * (size_t)c->world : o->bytes;
        if (w->result[k] && !c->aborted) {
            memcpy(o->out, w->result[k], n);
            if (cuemu_check_written) cuemu_check_written(o->out, n, NULL);
        }
        free(w->result[k]);
    }
    c->done = w->number;
    if (--c->jobs == 0 && c->aborted) set_free(c);
    free(w);
}

/* ---- calls, when they are made ---- */

static size_t size_of(ncclDataType_t type)
{
    static const size_t sizes[] = {
        [ncclInt8] = 1,    [ncclUint8] = 1,   [ncclInt32] = 4,   [ncclUint32] = 4,
        [ncclInt64] = 8,   [ncclUint64] = 8,  [ncclFloat16] = 2, [ncclFloat32] = 4,
        [ncclFloat64] = 8, [ncclBfloat16] = 2};
    return (size_t)type < sizeof sizes / sizeof *sizes ? sizes[type] : 0;
}

static ncclResult_t launch(ncclComm_t c, cudaStream_t stream, const op *ops, int32_t n)
{
    job *w = calloc(1, sizeof *w);
    if (!w) return ncclSystemError;
    w->comm = c;
    w->number = ++c->calls;
    w->n = n;
    memcpy(w->ops, ops, (size_t)n * sizeof *ops);
    c->jobs++;
    cuemu_enqueue_when(stream, ready, run, w);
    c->busy = !c->blocking;
    return c->busy ? ncclInProgress : ncclSuccess;
}

static ncclResult_t call(ncclComm_t c, cudaStream_t stream, op o, const void *in, size_t reads,
                         size_t writes)
{
    const void *begin;
    size_t bytes;
    int file;
    REFUSE_IF(!live(c));
    if (c->busy || c->async != ncclSuccess)
        return refuse(ncclInvalidUsage, "a call before the last one is settled");
    if (!cuemu_is_stream(stream)) return refuse(ncclInvalidArgument, "not a stream that runs");
    REFUSE_IF(!size_of((ncclDataType_t)o.type) || !o.n);
    REFUSE_IF(o.kind != ALL_GATHER && (o.rank < 0 || o.rank >= c->world));
    if ((reads && !cuemu_is_device(in, reads)) || (writes && !cuemu_is_device(o.out, writes)))
        return refuse(ncclInvalidArgument, "not memory of the device, or too little of it");
    REFUSE_IF((uintptr_t)in % size_of((ncclDataType_t)o.type));
    REFUSE_IF((uintptr_t)o.out % size_of((ncclDataType_t)o.type));
    cuemu_device_file(&file, &begin, &bytes);
    o.in = reads ? (uint64_t)((const char *)in - (const char *)begin) : 0;
    if (!group.depth && o.kind <= RECV)
        return refuse(ncclInvalidUsage, "a send or a receive outside a group");
    if (!group.depth) return launch(c, stream, &o, 1);
    if ((group.comm && group.comm != c) || (group.stream && group.stream != stream))
        return refuse(ncclInvalidUsage, "a group of several communicators or streams");
    if (o.kind > RECV) return refuse(ncclInvalidUsage, "only sends and receives are grouped here");
    if (group.n == OPS) return refuse(ncclInvalidUsage, "a group of too many calls");
    group.comm = c;
    group.stream = stream;
    group.ops[group.n++] = o;
    return ncclSuccess;
}

ncclResult_t ncclGroupStart(void)
{
    if (group.depth++ == 0) {
        group.comm = NULL;
        group.stream = NULL;
        group.n = 0;
        group.failed = ncclSuccess;
    }
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void)
{
    if (group.depth == 0) return refuse(ncclInvalidUsage, "the end of a group that was not begun");
    if (--group.depth) return ncclSuccess;
    if (group.failed != ncclSuccess || !group.n) return group.failed;
    return launch(group.comm, group.stream, group.ops, group.n);
}

static op make(kind k, size_t n, ncclDataType_t type, int rank, void *out)
{
    return (op){
        .kind = k, .type = type, .rank = rank, .n = n, .bytes = n * size_of(type), .out = out};
}

ncclResult_t ncclSend(const void *in, size_t n, ncclDataType_t type, int to, ncclComm_t c,
                      cudaStream_t stream)
{
    const op o = make(SEND, n, type, to, NULL);
    return call(c, stream, o, in, o.bytes, 0);
}

ncclResult_t ncclRecv(void *out, size_t n, ncclDataType_t type, int from, ncclComm_t c,
                      cudaStream_t stream)
{
    const op o = make(RECV, n, type, from, out);
    return call(c, stream, o, NULL, 0, o.bytes);
}

ncclResult_t ncclBroadcast(const void *in, void *out, size_t n, ncclDataType_t type, int root,
                           ncclComm_t c, cudaStream_t stream)
{
    const op o = make(BROADCAST, n, type, root, out);
    return call(c, stream, o, in, live(c) && c->rank == root ? o.bytes : 0, o.bytes);
}

/* In place is in its own place; any other overlap is not. */
ncclResult_t ncclAllGather(const void *in, void *out, size_t n, ncclDataType_t type, ncclComm_t c,
                           cudaStream_t stream)
{
    const op o = make(ALL_GATHER, n, type, -1, out);
    REFUSE_IF(!live(c));
    const char *from = in, *to = out, *own = to + (size_t)c->rank * o.bytes;
    REFUSE_IF(from != own && from < to + o.bytes * (size_t)c->world && to < from + o.bytes);
    return call(c, stream, o, in, o.bytes, o.bytes * (size_t)c->world);
}
