/*
 * Shared memory of the one block that runs, and asynchronous copies into it.
 *
 * One idea: what a kernel gets is filled with NaNs and stands between red zones; an asynchronous
 * copy happens only when it is waited for, so a wait that is too weak reads NaNs.
 */
#include <deque>

#include <sys/mman.h>

#include "cuemu_private.h"

namespace cuemu
{

unsigned char *shared_base;
std::vector<shared_entry> shared_entries;

namespace
{

constexpr size_t RED_ZONE = 64, STATIC_LIMIT = 48 * 1024, DYNAMIC_ALIGN = 256;
size_t used, used_static;

struct copy {
    void *to;
    const void *from;
    unsigned group;
};
struct copies { /* of a thread */
    std::deque<copy> pending;
    unsigned group;
};
std::map<unsigned, copies> copies_of; /* by thread of the block */

} // namespace

void shared_begin(size_t dynamic)
{
    if (!shared_base) {
        void *p = mmap(nullptr, shared_capacity, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) abort();
        shared_base = (unsigned char *)p;
    }
    shared_entries.clear();
    used = DYNAMIC_ALIGN + dynamic;
    used_static = 0;
    blk.dyn = shared_base + DYNAMIC_ALIGN;
    blk.dyn_bytes = dynamic;
    if (dynamic == 0) return;
    memset(blk.dyn, 0xff, dynamic);
    shared_entries.push_back({nullptr, DYNAMIC_ALIGN, dynamic, "dynamic"});
}

void *shared_var(void *key, size_t bytes, size_t align, const char *name)
{
    for (const shared_entry &e : shared_entries)
        if (e.key == key) return shared_base + e.offset;
    const size_t a = std::max(align, (size_t)16);
    const size_t offset = (used + RED_ZONE + a - 1) / a * a;
    used_static += bytes;
    if (used_static > STATIC_LIMIT)
        report(true, "shared-limit", "static shared memory of %zu bytes exceeds 48 KB at %s",
               used_static, name);
    if (offset + bytes + RED_ZONE > shared_capacity)
        report(true, "shared-limit", "no room for %s", name);
    memset(shared_base + offset, 0xff, bytes);
    used = offset + bytes;
    shared_entries.push_back({key, offset, bytes, name});
    return shared_base + offset;
}

/* ---- cp.async ---- */

void async_begin()
{
    for (const auto &c : copies_of)
        if (!c.second.pending.empty())
            report(false, "async-copy", "thread %u ended with %zu copies that nobody waited for",
                   c.first, c.second.pending.size());
    copies_of.clear();
}

void async_copy(void *to, const void *from)
{
    if ((uintptr_t)to % 16 || (uintptr_t)from % 16)
        report(true, "misaligned", "an asynchronous copy of 16 bytes from %p to %p", from, to);
    copies &mine = copies_of[cur->linear];
    mine.pending.push_back({to, from, mine.group});
}

void async_commit()
{
    copies_of[cur->linear].group++;
}

void async_wait(unsigned groups_left)
{
    copies &mine = copies_of[cur->linear];
    while (!mine.pending.empty() && mine.pending.front().group + groups_left < mine.group) {
        const copy c = mine.pending.front();
        if (cuemu_check_read) cuemu_check_read(c.from, 16);
        memcpy(c.to, c.from, 16);
        if (cuemu_check_written) cuemu_check_written(c.to, 16, nullptr);
        mine.pending.pop_front();
    }
}

void atomic_access(void *p, unsigned bytes)
{
    if (cuemu_check_atomic) cuemu_check_atomic(p, bytes);
}

} // namespace cuemu
