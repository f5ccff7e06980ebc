/*
 * The threads of a block as fibers on one OS thread, and where they meet: barriers and warp
 * operations.
 *
 * One idea: a fiber runs until it must wait, then the next one that can run is entered directly; a
 * thread that never waits costs a function call. When nobody can run, the block hangs on a GPU:
 * here it is reported and dropped. Its fibers are not unwound.
 */
#include <cstdio>
#include <deque>

#include <sys/mman.h>

#include "cuemu_private.h"

namespace cuemu
{

struct fiber {
    void *sp;
    unsigned char *stack;
    fiber *next;
    void *fake; /* AddressSanitizer's stack */
};

thread *cur;
block blk;
bool in_kernel;
const char *kernel_name = "";

namespace
{

constexpr unsigned MAX_THREADS = 1024, MAX_WARPS = 32, MAX_OPEN = 32;
constexpr size_t STACK = CUEMU_ASAN ? 256 * 1024 : 64 * 1024, PAGE = 4096;
enum { NEW, READY, BLOCKED, DONE };

struct warp {
    unsigned exist, exited, epoch; /* masks of lanes; barriers passed */
    Coll *open[MAX_OPEN];
    unsigned n_open;
};

uintptr_t stacks, stacks_end;
fiber fibers[MAX_THREADS], outside, *current, *idle;
unsigned n_fibers; /* ever entered */
thread threads[MAX_THREADS];
warp warps[MAX_WARPS];
unsigned order_of[MAX_THREADS], n_started, alive;
std::deque<thread *> ready;
struct {
    unsigned arrived;
    int line, count; /* of true predicates */
    const char *file;
} barrier;
int barrier_result;
void (*body)(const void *);
const void *body_args;
bool dropped; /* the last block was abandoned: its fibers lie in mid-air */
/* Static: kernels read it, and the checker lets them read the program's own memory. */
Coll meetings[MAX_WARPS * MAX_OPEN], *free_meetings;
unsigned n_meetings;

/* ---- switching ---- */

extern "C" void cuemu_switch(void **save, void *to);
/* x86-64, System V: the callee-saved registers, then the stack. */
asm(".text\n.globl cuemu_switch\n.type cuemu_switch,@function\ncuemu_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
    ".size cuemu_switch,.-cuemu_switch\n");

#if CUEMU_ASAN
const void *outside_bottom;
size_t outside_size;
#endif

void switch_to(fiber *to)
{
    fiber *from = current;
    current = to;
#if CUEMU_ASAN
    if (to == &outside)
        __sanitizer_start_switch_fiber(&from->fake, outside_bottom, outside_size);
    else
        __sanitizer_start_switch_fiber(&from->fake, to->stack, STACK);
#endif
    cuemu_switch(&from->sp, to->sp);
#if CUEMU_ASAN
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(from->fake, &bottom, &size);
#endif
}

void fiber_main();

/* A stack as cuemu_switch leaves one: six registers below the address that is returned to. */
void make_fiber(fiber *f)
{
    void **top = (void **)(((uintptr_t)f->stack + STACK) & ~(uintptr_t)15);
    *--top = nullptr;
    *--top = (void *)fiber_main;
    for (int i = 0; i < 6; i++) *--top = nullptr;
    f->sp = top;
    f->fake = nullptr;
}

void make_stacks()
{
    if (stacks) return;
    const size_t total = (STACK + PAGE) * MAX_THREADS;
    void *p = mmap(nullptr, total, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) abort();
    stacks = (uintptr_t)p;
    stacks_end = stacks + total;
    for (unsigned i = 0; i < MAX_THREADS; i++) {
        unsigned char *guard = (unsigned char *)p + (STACK + PAGE) * i;
        mprotect(guard, PAGE, PROT_NONE);
        fibers[i].stack = guard + PAGE;
    }
}

fiber *take_fiber()
{
    fiber *f = idle;
    if (f) {
        idle = f->next;
        return f;
    }
    f = &fibers[n_fibers++];
    make_fiber(f);
    return f;
}

void put_fiber(fiber *f)
{
    f->next = idle;
    idle = f;
}

/* ---- who runs next ---- */

thread *start(unsigned place)
{
    std::swap(order_of[n_started], order_of[place]);
    return &threads[order_of[n_started++]];
}

/* One that may run: in random order any of them, else those that waited first; NULL: none. */
thread *pick()
{
    const size_t unstarted = blk.threads - n_started, n = ready.size() + unstarted;
    if (n == 0) return nullptr;
    if (opt.order == ORDER_RANDOM) {
        const size_t k = draw() % n;
        if (k >= ready.size()) return start(n_started + (unsigned)(k - ready.size()));
        std::swap(ready[k], ready.back());
        thread *t = ready.back();
        ready.pop_back();
        return t;
    }
    if (ready.empty()) return start(n_started);
    thread *t = ready.front();
    ready.pop_front();
    return t;
}

void make_ready(thread *t, bool first)
{
    t->state = READY;
    if (first)
        ready.push_front(t);
    else
        ready.push_back(t);
}

/* Nobody can go on. */
void dead_lock()
{
    char text[600];
    int n = 0, shown = 0;
    const char *kind = "divergent-barrier";
    text[0] = 0;
    for (unsigned i = 0; i < blk.threads; i++) {
        const thread &t = threads[i];
        if (t.state != BLOCKED) continue;
        if (strcmp(t.what, "__syncthreads")) kind = "divergent-warp-op";
        if (shown++ < 3)
            n += snprintf(text + n, sizeof text - (size_t)n, " thread %u waits in %s at %s:%d;", i,
                          t.what, t.file, t.line);
    }
    report(true, kind, "no thread can go on:%s %u of %u have exited", text, blk.threads - alive,
           blk.threads);
}

void enter(thread *t)
{
    cur = t;
    t->state = READY;
    switch_to(t->fiber);
}

/* The current thread waits in `what` until somebody makes it ready. */
void block_self(const char *what, const char *file, int line)
{
    thread *self = cur;
    self->state = BLOCKED;
    self->what = what;
    self->file = file;
    self->line = line;
    thread *t = pick();
    if (!t) dead_lock();
    if (!t->fiber) t->fiber = take_fiber();
    if (t != self) enter(t);
    cur = self;
}

/* ---- the end of a thread ---- */

void finish_meeting(warp &w, Coll *c);

void leave_warp(thread *t)
{
    warp &w = warps[t->warp];
    w.exited |= 1u << t->lane;
    for (unsigned i = 0; i < w.n_open; i++) {
        const Coll *c = w.open[i];
        if (c->mask >> t->lane & 1)
            report(true, "divergent-warp-op",
                   "lane %u exits while lanes 0x%08x wait for it at %s:%d", t->lane, c->arrived,
                   c->file, c->line);
    }
}

void end_thread()
{
    thread *t = cur;
    t->state = DONE;
    alive--;
    leave_warp(t);
    if (barrier.arrived > 0 && barrier.arrived == alive)
        report(true, "divergent-barrier",
               "a thread exited while the %u others wait at __syncthreads %s:%d", alive,
               barrier.file, barrier.line);
}

void fiber_main()
{
#if CUEMU_ASAN
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
    if (!outside_bottom) outside_bottom = bottom, outside_size = size;
#endif
    for (;;) {
        body(body_args);
        end_thread();
        fiber *me = current;
        thread *t = pick();
        if (!t && alive) dead_lock();
        if (t && !t->fiber) { /* the next thread begins on this fiber */
            t->fiber = me;
            t->state = READY;
            cur = t;
            continue;
        }
        put_fiber(me);
        if (t)
            enter(t);
        else
            switch_to(&outside);
    }
}

/* ---- a block ---- */

void clear_warps()
{
    for (unsigned i = 0; i < blk.warps; i++) {
        warp &w = warps[i];
        while (w.n_open > 0) { /* of a block that was abandoned */
            Coll *c = w.open[--w.n_open];
            c->next = free_meetings;
            free_meetings = c;
        }
        const unsigned lanes = std::min(32u, blk.threads - i * 32);
        w.exist = lanes == 32 ? CUEMU_FULL : (1u << lanes) - 1;
        w.exited = w.epoch = 0;
    }
}

void clear_threads()
{
    uint3 at = {0, 0, 0};
    for (unsigned i = 0; i < blk.threads; i++) {
        threads[i] = thread{};
        threads[i].index = at;
        threads[i].linear = i;
        threads[i].warp = i / 32;
        threads[i].lane = i % 32;
        order_of[i] = opt.order == ORDER_REVERSE ? blk.threads - 1 - i : i;
        if (++at.x < blk.threads_dim.x) continue;
        at.x = 0;
        if (++at.y == blk.threads_dim.y) at.y = 0, at.z++;
    }
}

void drop_fibers()
{
    idle = nullptr;
    n_fibers = 0;
    dropped = false;
#if CUEMU_ASAN
    for (fiber &f : fibers) __asan_unpoison_memory_region(f.stack, STACK);
#endif
}

} // namespace

bool on_stack(uintptr_t address)
{
    return address >= stacks && address < stacks_end;
}

void run_block(void (*call)(const void *), const void *args)
{
    make_stacks();
    if (dropped) drop_fibers();
    body = call;
    body_args = args;
    n_started = 0;
    alive = blk.threads;
    barrier.arrived = 0;
    blk.epoch = 0;
    ready.clear();
    clear_warps();
    clear_threads();
    if (cuemu_check_block) cuemu_check_block();
    current = &outside;
    in_kernel = true;
    thread *t = pick();
    t->fiber = take_fiber();
    enter(t);
    in_kernel = false;
    cur = nullptr;
}

void abandon_block()
{
    dropped = true;
    switch_to(&outside);
    abort(); /* nobody comes back to a dropped fiber */
}

/* ---- __syncthreads ---- */

namespace
{

void release_barrier()
{
    barrier_result = barrier.count;
    barrier.arrived = 0;
    blk.epoch++;
    for (unsigned i = 0; i < blk.threads; i++) {
        thread &t = threads[opt.order == ORDER_REVERSE ? blk.threads - 1 - i : i];
        if (&t != cur && t.state == BLOCKED) make_ready(&t, false);
        t.warp_epoch = 0;
    }
    for (unsigned i = 0; i < blk.warps; i++) warps[i].epoch = 0;
}

void arrive_at_barrier(bool predicate, const char *file, int line)
{
    if (barrier.arrived == 0) {
        barrier.file = file;
        barrier.line = line;
        barrier.count = 0;
    } else if (barrier.line != line || strcmp(barrier.file, file)) {
        report(true, "divergent-barrier", "threads wait at two barriers: %s:%d and %s:%d",
               barrier.file, barrier.line, file, line);
    }
    barrier.count += predicate;
    if (++barrier.arrived < alive) {
        block_self("__syncthreads", file, line);
        return;
    }
    if (alive != blk.threads)
        report(true, "divergent-barrier", "%u threads had exited before __syncthreads %s:%d",
               blk.threads - alive, file, line);
    release_barrier();
}

} // namespace

void syncthreads(const char *file, int line)
{
    arrive_at_barrier(false, file, line);
}

int syncthreads_count(int predicate, const char *file, int line)
{
    arrive_at_barrier(predicate != 0, file, line);
    return barrier_result;
}

/* ---- warp operations ---- */

namespace
{

Coll *new_meeting()
{
    Coll *c = free_meetings;
    if (c)
        free_meetings = c->next;
    else
        c = &meetings[n_meetings++];
    c->arrived = 0;
    return c;
}

/* All lanes are there: they may read, and go on. */
void finish_meeting(warp &w, Coll *c)
{
    for (unsigned i = 0; i < w.n_open; i++)
        if (w.open[i] == c) w.open[i] = w.open[--w.n_open];
    c->unread = (unsigned)__builtin_popcount(c->arrived);
    if (c->op == OP_SYNC) w.epoch++;
    thread *first = &threads[(unsigned)(&w - warps) * 32];
    for (int i = 31; i >= 0; i--) {
        const int lane = opt.order == ORDER_REVERSE ? 31 - i : i;
        if (!(c->arrived >> lane & 1)) continue;
        if (c->op == OP_SYNC) first[lane].warp_epoch = w.epoch;
        if (&first[lane] != cur) make_ready(&first[lane], true);
    }
}

/* The open meeting that this lane belongs to, or NULL; what cannot be is reported. */
Coll *find_meeting(const warp &w, unsigned bit, int op, unsigned mask, const char *file, int line)
{
    for (unsigned i = 0; i < w.n_open; i++) {
        Coll *c = w.open[i];
        if (c->mask == mask && !(c->arrived & bit)) {
            if (c->op != op || c->line != line)
                report(true, "divergent-warp-op",
                       "lanes of a warp meet in two operations: %s:%d and %s:%d", c->file, c->line,
                       file, line);
            return c;
        }
        if (c->mask & mask)
            report(true, "divergent-warp-op",
                   "%s:%d: mask 0x%08x overlaps 0x%08x of an operation that waits at %s:%d", file,
                   line, mask, c->mask, c->file, c->line);
    }
    if (mask & w.exist & w.exited)
        report(true, "divergent-warp-op", "%s:%d: mask 0x%08x names lanes 0x%08x that have exited",
               file, line, mask, mask & w.exist & w.exited);
    return nullptr;
}

} // namespace

Coll *coll_arrive(int op, unsigned mask, const void *value, size_t bytes, const char *file,
                  int line, void *const *ptrs, void (*last)(Coll *))
{
    static const char *const names[OP_COUNT] = {"a shuffle", "a ballot",      "__syncwarp",
                                                "mma_sync",  "a warp reduce", "ldmatrix"};
    warp &w = warps[cur->warp];
    const unsigned lane = cur->lane, bit = 1u << lane;
    if (!(mask & bit))
        report(true, "inactive-lane", "%s:%d: lane %u is not in the mask 0x%08x", file, line, lane,
               mask);
    Coll *c = find_meeting(w, bit, op, mask, file, line);
    if (!c) {
        c = new_meeting();
        c->mask = mask;
        c->op = op;
        c->file = file;
        c->line = line;
        w.open[w.n_open++] = c; /* masks are disjoint: 32 at most */
    }
    c->arrived |= bit;
    if (bytes) memcpy(c->val[lane], value, bytes);
    if (ptrs) memcpy(c->ptr[lane], ptrs, sizeof c->ptr[lane]);
    if (c->arrived == (mask & w.exist)) {
        if (last) last(c);
        finish_meeting(w, c);
    } else {
        block_self(names[op], file, line);
    }
    return c;
}

void coll_leave(Coll *c)
{
    if (--c->unread > 0) return;
    c->next = free_meetings;
    free_meetings = c;
}

void coll_bad_source(unsigned lane, const Coll *c)
{
    report(false, "inactive-lane", "%s:%d reads lane %u, which takes no part (mask 0x%08x)",
           c->file, c->line, lane, c->mask);
}

} // namespace cuemu
