/*
 * Options and reports of the emulator (cuemu_private.h, cuemu_control.h).
 *
 * One idea: a diagnosis has a kind, which tests count, and a sentence with kernel, block and
 * thread, which people read.
 */
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cuemu_private.h"

namespace cuemu
{

namespace
{

const limits all_limits[] = {
    {75, 64, 64, 1024, 16, 68},    {80, 163, 164, 2048, 32, 108}, {86, 99, 100, 1536, 16, 82},
    {89, 99, 100, 1536, 24, 128},  {90, 227, 228, 2048, 32, 132}, {100, 227, 228, 2048, 32, 148},
    {120, 99, 100, 1536, 24, 170},
};

constexpr int PRINTED = 3; /* of each kind */
std::map<std::string, int> counts;
bool quiet;
constexpr uint64_t SEED = 88172645463325252ull;
uint64_t random_state = SEED;

bool set_order(const char *value)
{
    static const char *const names[] = {"fwd", "rev"};
    for (int i = 0; i < 2; i++)
        if (!strcmp(value, names[i])) return opt.order = i, true;
    if (strncmp(value, "rand", 4) || (value[4] && value[4] != ':')) return false;
    opt.order = ORDER_RANDOM;
    const uint64_t seed = value[4] ? strtoull(value + 5, nullptr, 10) : 0;
    random_state = SEED ^ (seed * 0x9E3779B97F4A7C15ull);
    return true;
}

bool set_streams(const char *value)
{
    static const char *const names[] = {"eager", "lazy", "rand"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(value, names[i])) return opt.streams = i, true;
    return false;
}

bool set_sm(const char *value)
{
    for (const limits &l : all_limits)
        if (l.sm == atoi(value)) return opt.limit = &l, true;
    return false;
}

bool set_memory(const char *value)
{
    opt.memory = (size_t)atoi(value) << 20;
    return opt.memory > 0;
}

bool set_devices(const char *value)
{
    opt.devices = atoi(value);
    return opt.devices > 0;
}

bool set_protect(const char *value)
{
    opt.protect = *value == '1';
    return !strcmp(value, "0") || !strcmp(value, "1");
}

const struct {
    const char *name, *variable;
    bool (*set)(const char *value);
} settings[] = {{"order", "CUEMU_ORDER", set_order},
                {"streams", "CUEMU_STREAMS", set_streams},
                {"sm", "CUEMU_SM", set_sm},
                {"memory", "CUEMU_MEMORY", set_memory},
                {"devices", "CUEMU_DEVICES", set_devices},
                {"protect", "CUEMU_PROTECT", set_protect}};

/* Before main: what the environment says. */
__attribute__((constructor)) void read_environment()
{
    for (const auto &s : settings) {
        const char *value = getenv(s.variable);
        if (!value || s.set(value)) continue;
        fprintf(stderr, "cuemu: %s=%s is not understood\n", s.variable, value);
        exit(2);
    }
}

} // namespace

options opt = {ORDER_FORWARD, STREAMS_EAGER, false, &all_limits[2], (size_t)2 << 30, 0};
cudaError_t sticky = cudaSuccess;

uint32_t draw() /* xorshift */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

void report(bool fatal, const char *kind, const char *fmt, ...)
{
    char text[800];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (++counts[kind] <= PRINTED && !quiet) {
        fprintf(stderr, "cuemu: %s: %s", kind, text);
        if (in_kernel && cur)
            fprintf(stderr, " [kernel %s block (%u,%u,%u) thread (%u,%u,%u)]", kernel_name,
                    blk.index.x, blk.index.y, blk.index.z, cur->index.x, cur->index.y,
                    cur->index.z);
        fprintf(stderr, "\n");
    }
    if (!fatal) return;
    sticky = cudaErrorLaunchFailure;
    if (in_kernel) abandon_block();
}

[[noreturn]] void trap()
{
    report(true, "trap", "__trap()");
    abort(); /* not reached: the report has left the kernel */
}

} // namespace cuemu

using namespace cuemu;

extern "C" bool cuemu_set(const char *option, const char *value)
{
    for (const auto &s : settings)
        if (!strcmp(s.name, option)) return s.set(value);
    return false;
}

extern "C" int cuemu_count(const char *kind)
{
    const auto found = counts.find(kind);
    return found == counts.end() ? 0 : found->second;
}

extern "C" int cuemu_total(void)
{
    int n = 0;
    for (const auto &kind : counts) n += kind.second;
    return n;
}

extern "C" void cuemu_reset(void)
{
    counts.clear();
    sticky = cudaSuccess;
    failed(cudaSuccess);
}

extern "C" void cuemu_quiet(bool on)
{
    quiet = on;
}
