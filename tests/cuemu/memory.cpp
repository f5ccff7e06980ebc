/*
 * Device memory, pinned memory, and what is said when somebody touches them wrongly.
 *
 * One idea: an allocation ends at an inaccessible page, is filled with NaNs, is never reused, and
 * its margins are looked at when it is freed. In protect mode device memory is inaccessible unless
 * a kernel or a copy runs, so host code that reads a device pointer is caught.
 */
#include <csignal>
#include <cstdio>

#include <sys/mman.h>
#include <unistd.h>

#include "cuemu_private.h"

namespace cuemu
{

std::map<uintptr_t, size_t> allocations;

namespace
{

constexpr uintptr_t BASE = 0x200000000000;
constexpr size_t RANGE = (size_t)64 << 30, PAGE = 4096, ALIGN = 256;
bool reserved;
int file; /* what device memory is of, so that other processes can look into it */
size_t top, live;
int open_depth;
std::map<uintptr_t, size_t> pinned;

struct pages {
    uintptr_t low, high;
};

/* The accessible pages of an allocation. */
pages pages_of(uintptr_t at, size_t bytes)
{
    return {at & ~(PAGE - 1), (at + bytes + PAGE - 1) & ~(PAGE - 1)};
}

void protect_all(int access)
{
    for (const auto &a : allocations) {
        const pages p = pages_of(a.first, a.second);
        mprotect((void *)p.low, p.high - p.low, access);
    }
}

/* The entry of `map` that covers [p, p + n), or end. */
std::map<uintptr_t, size_t>::const_iterator covering(const std::map<uintptr_t, size_t> &map,
                                                     const void *p, size_t n)
{
    auto i = map.upper_bound((uintptr_t)p);
    if (i == map.begin()) return map.end();
    --i;
    return (uintptr_t)p + n <= i->first + i->second ? i : map.end();
}

void say_device_address(char *text, size_t size, uintptr_t at)
{
    auto i = allocations.upper_bound(at);
    if (i != allocations.begin()) {
        --i;
        const uintptr_t end = i->first + i->second;
        const bool past = at >= end;
        snprintf(text, size, ": device memory, %zu bytes %s %zu-byte allocation%s",
                 (size_t)(past ? at - end : at - i->first), past ? "past the end of a" : "into a",
                 i->second, in_kernel ? "" : "; touched by HOST code");
    }
}

void on_fault(int signal, siginfo_t *info, void *)
{
    const uintptr_t at = (uintptr_t)info->si_addr;
    char what[160] = "", line[400];
    if (in_device(info->si_addr))
        say_device_address(what, sizeof what, at);
    else if (on_stack(at))
        snprintf(what, sizeof what, ": overflow of a thread's stack");
    const int n = snprintf(line, sizeof line, "cuemu: signal %d at %p%s%s%s\n", signal,
                           info->si_addr, what, in_kernel ? ", kernel " : "", kernel_name);
    (void)!write(2, line, (size_t)n);
    _exit(99);
}

void catch_faults()
{
    if (CUEMU_ASAN) return; /* which has its own report */
    static unsigned char stack[65536];
    stack_t alternate = {};
    alternate.ss_sp = stack;
    alternate.ss_size = sizeof stack;
    sigaltstack(&alternate, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}

} // namespace

void memory_setup()
{
    if (reserved) return;
    reserved = true;
    file = memfd_create("cuemu", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)RANGE) != 0 ||
        mmap((void *)BASE, RANGE, PROT_NONE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, file,
             0) == MAP_FAILED)
        abort();
    catch_faults();
}

bool in_device(const void *p)
{
    return (uintptr_t)p - BASE < RANGE;
}

bool is_allocated(const void *p, size_t bytes)
{
    return covering(allocations, p, bytes) != allocations.end();
}

bool is_pinned(const void *p)
{
    return covering(pinned, p, 1) != pinned.end();
}

device_open::device_open()
{
    if (opt.protect && open_depth++ == 0) protect_all(PROT_READ | PROT_WRITE);
}

device_open::~device_open()
{
    if (opt.protect && --open_depth == 0) protect_all(PROT_NONE);
}

} // namespace cuemu

using namespace cuemu;

namespace
{

/* False when a byte between two addresses is no longer what allocation wrote. */
bool untouched(uintptr_t from, uintptr_t to)
{
    for (uintptr_t p = from; p < to; p++)
        if (*(const unsigned char *)p != 0xff) return false;
    return true;
}

} // namespace

extern "C" {

bool cuemu_is_device(const void *p, size_t bytes)
{
    return is_allocated(p, bytes);
}

void cuemu_device_file(int *out_file, const void **begin, size_t *bytes)
{
    memory_setup();
    *out_file = file;
    *begin = (const void *)BASE;
    *bytes = RANGE;
}

cudaError_t cudaMalloc(void **out, size_t n)
{
    memory_setup();
    *out = nullptr;
    if (n == 0) return cudaSuccess;
    const size_t span = (n + ALIGN - 1 + PAGE - 1) / PAGE * PAGE;
    if (n > opt.memory || live + n > opt.memory || top + span + 2 * PAGE > RANGE)
        return failed(cudaErrorMemoryAllocation);
    const uintptr_t base = BASE + top + PAGE, at = (base + span - n) & ~(uintptr_t)(ALIGN - 1);
    top += span + 2 * PAGE;
    live += n;
    mprotect((void *)base, span, PROT_READ | PROT_WRITE);
    memset((void *)base, 0xff, span);
#if CUEMU_ASAN
    __asan_poison_memory_region((void *)base, span);
    __asan_unpoison_memory_region((void *)at, n);
#endif
    allocations[at] = n;
    if (opt.protect && open_depth == 0) mprotect((void *)base, span, PROT_NONE);
    *out = (void *)at;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    if (!p) return cudaSuccess;
    drain_all();
    const auto i = allocations.find((uintptr_t)p);
    if (i == allocations.end()) {
        report(false, "invalid-free", "cudaFree(%p): no allocation begins there", p);
        return failed(cudaErrorInvalidValue);
    }
    const pages all = pages_of(i->first, i->second);
    mprotect((void *)all.low, all.high - all.low, PROT_READ);
#if CUEMU_ASAN
    __asan_unpoison_memory_region((void *)all.low, all.high - all.low);
#endif
    if (!untouched(all.low, i->first) || !untouched(i->first + i->second, all.high))
        report(false, "oob-write", "bytes beside a %zu-byte allocation were overwritten",
               i->second);
    live -= i->second;
    madvise((void *)all.low, all.high - all.low, MADV_REMOVE);
    mprotect((void *)all.low, all.high - all.low, PROT_NONE);
    allocations.erase(i);
    return sticky ? failed(sticky) : cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    *total = opt.memory;
    *free_bytes = opt.memory - live;
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **out, size_t n, unsigned)
{
    *out = aligned_alloc(PAGE, (n + PAGE - 1) & ~(PAGE - 1));
    if (!*out) return failed(cudaErrorMemoryAllocation);
    memset(*out, 0xff, n);
    pinned[(uintptr_t)*out] = n;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **out, size_t n)
{
    return cudaHostAlloc(out, n, 0);
}

cudaError_t cudaFreeHost(void *p)
{
    drain_all();
    if (p && !pinned.erase((uintptr_t)p)) {
        report(false, "invalid-free", "cudaFreeHost(%p): no allocation begins there", p);
        return failed(cudaErrorInvalidValue);
    }
    free(p);
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *out, const void *p)
{
    *out = {};
    out->type = in_device(p)   ? cudaMemoryTypeDevice
                : is_pinned(p) ? cudaMemoryTypeHost
                               : cudaMemoryTypeUnregistered;
    out->device = 0;
    out->devicePointer = in_device(p) ? (void *)p : nullptr;
    out->hostPointer = is_pinned(p) ? (void *)p : nullptr;
    return cudaSuccess;
}
}
