/*
 * What the emulator's parts share: options, reports, fibers' room, device memory, streams.
 *
 * One idea: one OS thread, no locks; everything is deterministic for a seed. From C, tests use
 * cuemu_control.h. Not for kernels.
 */
#ifndef CUEMU_PRIVATE_H
#define CUEMU_PRIVATE_H

#include <functional>
#include <map>
#include <vector>

#include "cuemu.h"
#include "cuemu_control.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define CUEMU_ASAN 1
#else
#define CUEMU_ASAN 0
#endif

namespace cuemu
{

enum order { ORDER_FORWARD, ORDER_REVERSE, ORDER_RANDOM };
enum streams { STREAMS_EAGER, STREAMS_LAZY, STREAMS_RANDOM };

/* What a compute capability allows. */
struct limits {
    int sm, shared_optin_kb, shared_sm_kb, threads_sm, blocks_sm, sms;
};

struct options {
    int order, streams;
    bool protect;
    const limits *limit;
    size_t memory; /* of the device, bytes */
    int devices;   /* of the host; 0: one of the process's own */
};
extern options opt;
uint32_t draw(); /* of the seeded stream of random numbers */

/* A diagnosis: counted by kind, the first few printed. A fatal one ends the kernel, and every later
 * call fails as on hardware. */
void report(bool fatal, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
extern cudaError_t sticky; /* after a fatal report */

/* ---- fibers.cpp ---- */
extern bool in_kernel;
extern const char *kernel_name;
bool on_stack(uintptr_t address); /* of a fiber */
/* Runs the threads of blk, unless and until a fatal report ends it. */
void run_block(void (*body)(const void *), const void *args);
void abandon_block(); /* back to run_block; not from outside a kernel */

/* ---- shared.cpp ---- */
struct shared_entry {
    void *key;
    size_t offset, bytes;
    const char *name;
};
extern unsigned char *shared_base;
extern std::vector<shared_entry> shared_entries;
constexpr size_t shared_capacity = 512 * 1024;
void shared_begin(size_t dynamic); /* of a block */
void async_begin();                /* of a block: whatever was pending is reported */

/* ---- memory.cpp ---- */
extern std::map<uintptr_t, size_t> allocations; /* of device memory: address, bytes */
bool in_device(const void *p);
bool is_allocated(const void *p, size_t bytes);
bool is_pinned(const void *p);
void memory_setup();
/* Device memory is accessible inside its scope; in protect mode nowhere else. */
struct device_open {
    device_open();
    ~device_open();
    device_open(const device_open &) = delete;
    device_open &operator=(const device_open &) = delete;
};

/* ---- stream.cpp ---- */
void enqueue(cudaStream_t stream, std::function<void()> work, const void *form = nullptr);
void drain_all();
cudaError_t failed(cudaError_t error); /* remembers it for cudaGetLastError */

/* ---- the checker's ears: weak, there when check.cpp is linked ---- */
extern "C" {
void cuemu_check_kernel(void) __attribute__((weak));
void cuemu_check_block(void) __attribute__((weak));
/* bytes that a copy wrote; `source` is the device memory they came from, or NULL */
void cuemu_check_written(const void *p, size_t n, const void *source) __attribute__((weak));
void cuemu_check_read(const void *p, size_t n) __attribute__((weak));
void cuemu_check_atomic(void *p, unsigned n) __attribute__((weak));
}

} // namespace cuemu

#endif
