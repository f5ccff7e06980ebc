/*
 * The emulator as tests and the library stand-ins drive it (C).
 *
 * One idea: environment variables of the same names set what a program starts with: CUEMU_ORDER
 * (fwd, rev, rand:SEED), CUEMU_STREAMS (eager, lazy, rand), CUEMU_PROTECT (1), CUEMU_SM (75..120),
 * CUEMU_MEMORY (MiB of the device, 2048: programs take and touch most of it), CUEMU_DEVICES (of the
 * host; otherwise every process has one of its own).
 */
#ifndef CUEMU_CONTROL_H
#define CUEMU_CONTROL_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "order" ("fwd", "rev", "rand:SEED"), "streams" ("eager", "lazy", "rand"), "protect" ("0", "1"),
 * "sm" ("86"), "memory" ("1024", MiB), "devices" ("2"); false when it is none of these. */
bool cuemu_set(const char *option, const char *value);
int cuemu_count(const char *kind); /* reports of a kind: "race", "oob-global", ... */
int cuemu_total(void);
void cuemu_reset(void);       /* forgets reports and errors */
void cuemu_quiet(bool quiet); /* reports are counted, not printed */
/* How often the host has waited for a whole stream or device, or for a copy into memory that is not
 * pinned; and for an event. */
int cuemu_waits(void);
int cuemu_event_waits(void);
int cuemu_graph_launches(void);
/* Runs fn(arg) in its turn on the stream, with device memory open: for stand-ins of libraries. */
void cuemu_enqueue(cudaStream_t stream, void (*fn)(void *), void *arg);
/* The same for work that waits for others: it has its turn when ready(arg) holds, which is asked
 * again and again, and until then the stream stands still. */
void cuemu_enqueue_when(cudaStream_t stream, bool (*ready)(void *), void (*fn)(void *), void *arg);
void cuemu_go_on(void); /* time passes: streams do what they can */
bool cuemu_is_stream(
    cudaStream_t stream); /* one that runs, not the null stream or a captured one */
/* Whether bytes of device memory lie in one allocation; and the file that all device memory is
 * mapped from, for other processes. */
bool cuemu_is_device(const void *p, size_t bytes);
void cuemu_device_file(int *file, const void **begin, size_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
