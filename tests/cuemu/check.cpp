/*
 * The checking flavour: races, reads of what nobody wrote, accesses outside of allocations.
 *
 * One idea: clang's -fsanitize=thread plants a call before every load and store of a kernel; these
 * are our own functions of those names (libtsan is not linked). Every byte of memory has a record
 * of who wrote and read it last. Two accesses of different threads are in order only when they are
 * of one block with a __syncthreads between them, or of one warp with a __syncwarp; atomics
 * conflict with plain accesses alone. Not here: order through other blocks; kernels have none.
 */
#include <unordered_map>

#include <sys/mman.h>

#include "cuemu_private.h"

extern "C" const char __executable_start, _end;

using namespace cuemu;

namespace
{

struct place { /* of an access: a thread (0: none) and the barriers it had passed */
    uint64_t thread;
    uint32_t block_epoch, warp_epoch;
};

struct record { /* of a byte */
    place written, read;
    uint32_t launch; /* or block, in shared memory: older accesses are in order */
    bool atomic, read_by_many, read_by_warps, initialized;
};

struct access {
    uintptr_t at;
    unsigned bytes;
    bool write, atomic, shared;
};

constexpr size_t PAGE = 4096;
std::unordered_map<uintptr_t, record *> pages;
record *shared_records;
uint32_t launches, blocks;

record *map_records(size_t n)
{
    void *p = mmap(nullptr, n * sizeof(record), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) abort();
    return (record *)p;
}

record *record_of(uintptr_t at)
{
    const uintptr_t within = at - (uintptr_t)shared_base;
    if (shared_base && within < shared_capacity) return &shared_records[within];
    record *&page = pages[at / PAGE];
    if (!page) page = map_records(PAGE);
    return &page[at % PAGE];
}

uint64_t this_thread()
{
    const uint64_t number =
        blk.index.x +
        (uint64_t)blk.grid_dim.x * (blk.index.y + (uint64_t)blk.grid_dim.y * blk.index.z);
    return number * blk.threads + cur->linear + 1;
}

/* Whether an access at `p` came before this thread's, with a barrier between them. */
bool in_order(const place &p, bool by_warps)
{
    const uint64_t me = this_thread() - 1, other = p.thread - 1;
    if (other / blk.threads != me / blk.threads) return false;
    if (p.block_epoch < blk.epoch) return true;
    return !by_warps && other % blk.threads / 32 == cur->warp && p.block_epoch == blk.epoch &&
           p.warp_epoch < cur->warp_epoch;
}

void say_race(const char *what, const access &a, const place &other)
{
    const uint64_t thread = other.thread - 1;
    report(false, "race", "%s of %s memory %p; the other is thread %u of block %llu", what,
           a.shared ? "shared" : "global", (void *)a.at, (unsigned)(thread % blk.threads),
           (unsigned long long)(thread / blk.threads));
}

/* True when it was reported. */
bool races(const record &r, const access &a)
{
    const uint64_t me = this_thread();
    if (r.written.thread && r.written.thread != me && !in_order(r.written, false) &&
        !(a.atomic && r.atomic)) {
        say_race(a.write ? "write after write" : "read after write", a, r.written);
        return true;
    }
    if (!a.write || !r.read.thread) return false;
    if (r.read.thread == me && !r.read_by_many) return false;
    if (in_order(r.read, r.read_by_warps)) return false;
    say_race("write after read", a, r.read);
    return true;
}

void note(record &r, const access &a)
{
    const place here = {this_thread(), blk.epoch, cur->warp_epoch};
    if (a.write) {
        r.written = here;
        r.atomic = a.atomic;
        r.read = place{};
        r.read_by_many = r.read_by_warps = false;
        return;
    }
    if (r.read.thread && r.read.thread != here.thread) {
        const uint64_t other = r.read.thread - 1, me = here.thread - 1;
        const bool same_block = other / blk.threads == me / blk.threads;
        const bool fresh = same_block && r.read.block_epoch < blk.epoch;
        r.read_by_many = !fresh;
        r.read_by_warps =
            !fresh && (r.read_by_warps || !same_block || other % blk.threads / 32 != cur->warp);
    }
    r.read = here;
}

/* ---- where an access may go ---- */

bool is_shared(uintptr_t at)
{
    return shared_base && at - (uintptr_t)shared_base < shared_capacity;
}

bool inside_shared_variable(const access &a)
{
    for (const shared_entry &e : shared_entries) {
        const uintptr_t begin = (uintptr_t)shared_base + e.offset;
        if (a.at >= begin && a.at + a.bytes <= begin + e.bytes) return true;
    }
    return false;
}

bool inside_allocation(const access &a)
{
    static uintptr_t low, high; /* of the allocation that was found last */
    static uint32_t launch;
    if (launch == launches && a.at >= low && a.at + a.bytes <= high) return true;
    auto i = allocations.upper_bound(a.at);
    if (i == allocations.begin()) return false;
    --i;
    launch = launches, low = i->first, high = low + i->second;
    return a.at + a.bytes <= high;
}

/* False when there is nothing to look at: a stack, the program's constants, or a report. */
bool looks_at_memory(const access &a)
{
    const char *verb = a.write ? "write" : "read";
    if (a.shared) {
        if (inside_shared_variable(a)) return true;
        report(true, "oob-shared", "%u-byte %s outside of shared variables", a.bytes, verb);
    } else if (in_device((const void *)a.at)) {
        if (inside_allocation(a)) return true;
        report(true, "oob-global", "%u-byte %s at %p, outside of allocations", a.bytes, verb,
               (void *)a.at);
    } else if (!on_stack(a.at) &&
               (a.at < (uintptr_t)&__executable_start || a.at >= (uintptr_t)&_end)) {
        report(true, "host-pointer", "%u-byte %s at host address %p", a.bytes, verb, (void *)a.at);
    }
    return false;
}

void look(const void *p, unsigned bytes, bool write, bool atomic)
{
    if (!in_kernel || bytes == 0) return;
    const uintptr_t at = (uintptr_t)p;
    const access a = {at, bytes, write, atomic, is_shared(at)};
    if (!looks_at_memory(a)) return;
    const uint32_t era = a.shared ? blocks : launches;
    bool said_race = false, said_uninitialized = false;
    for (unsigned i = 0; i < bytes; i++) {
        record &r = *record_of(at + i);
        if (r.launch != era) {
            const bool kept = !a.shared && r.initialized;
            r = record{};
            r.launch = era;
            r.initialized = kept;
        }
        if (!said_race) said_race = races(r, a);
        note(r, a);
        if (write) {
            r.initialized = true;
        } else if (!r.initialized && !said_uninitialized) {
            said_uninitialized = true;
            report(false, "uninit", "%u-byte read of %s memory %p that nobody has written", bytes,
                   a.shared ? "shared" : "global", p);
        }
    }
}

/* A copy of a struct, in words. */
void look_at_range(const void *p, size_t n, bool write)
{
    for (size_t i = 0; i < n; i += 4)
        look((const char *)p + i, (unsigned)std::min((size_t)4, n - i), write, false);
}

} // namespace

/* ---- the ears of cuemu_private.h ---- */

extern "C" {

void cuemu_check_kernel(void)
{
    launches++;
    if (!shared_records) shared_records = map_records(shared_capacity);
}

void cuemu_check_block(void)
{
    blocks++;
}

void cuemu_check_written(const void *p, size_t n, const void *source)
{
    for (size_t i = 0; i < n; i++)
        record_of((uintptr_t)p + i)->initialized =
            !source || record_of((uintptr_t)source + i)->initialized;
}

void cuemu_check_read(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (record_of((uintptr_t)p + i)->initialized) continue;
        report(false, "uninit", "a copy reads byte %zu of device memory that nobody has written",
               i);
        return;
    }
}

void cuemu_check_atomic(void *p, unsigned n)
{
    look(p, n, true, true);
}

/* ---- what the compiler plants ---- */

void __tsan_init(void) {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}

#define LOOK(n)                             \
    void __tsan_read##n(void *p)            \
    {                                       \
        look(p, n, false, false);           \
    }                                       \
    void __tsan_write##n(void *p)           \
    {                                       \
        look(p, n, true, false);            \
    }                                       \
    void __tsan_unaligned_read##n(void *p)  \
    {                                       \
        look(p, n, false, false);           \
    }                                       \
    void __tsan_unaligned_write##n(void *p) \
    {                                       \
        look(p, n, true, false);            \
    }
LOOK(1)
LOOK(2)
LOOK(4)
LOOK(8)
LOOK(16)

/* The kernels' objects call these instead of the library's (objcopy --redefine-sym). */
void *cuemu_memcpy(void *to, const void *from, size_t n)
{
    look_at_range(from, n, false);
    look_at_range(to, n, true);
    return memcpy(to, from, n);
}

void *cuemu_memmove(void *to, const void *from, size_t n)
{
    look_at_range(from, n, false);
    look_at_range(to, n, true);
    return memmove(to, from, n);
}

void *cuemu_memset(void *to, int value, size_t n)
{
    look_at_range(to, n, true);
    return memset(to, value, n);
}
}
