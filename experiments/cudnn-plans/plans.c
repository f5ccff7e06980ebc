/*
 * Which plans the real cuDNN has for the convolutions of training steps, on GPUs that are not here.
 *
 *     cudnn_plans LIBCUDNN CONFIG KEY=VALUE... [-- CONFIG KEY=VALUE...]...
 *
 * One idea: each step is rehearsed over kernels that only count, and every convolution of it goes
 * through the product's own code (conv.c, conv_dnn.c) up to the question for a plan, which is
 * written down; whatever would compute is cut off by the linker (--wrap). Then the product's own
 * dnn.c asks the real library for each plan, for each device of the table.
 * Prints a Markdown table; exit status 1 when a plan is missing where the product would use it.
 */
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/parts.h"
#include "kernels/idle.h"
#include "train/roofline.h"

/* What cuDNN wants to know of a GPU: limits of CUDA's tables, sizes and clocks of data sheets. */
typedef struct device {
    const char *name;
    int sm, processors, shared, reserved, threads, blocks, pci;
    long long memory;
    int clock, memory_clock, cache; /* kHz, bytes */
} device;
static const device devices[] = {
    {"T4", 75, 40, 65536, 0, 1024, 16, 0x1eb8, 16LL << 30, 1590000, 5001000, 4 << 20},
    {"A100", 80, 108, 166912, 1024, 2048, 32, 0x20b2, 80LL << 30, 1410000, 1593000, 40 << 20},
    {"RTX 3090", 86, 82, 101376, 1024, 1536, 16, 0x2204, 24LL << 30, 1695000, 9751000, 6 << 20},
    {"RTX 4090", 89, 128, 101376, 1024, 1536, 24, 0x2684, 24LL << 30, 2520000, 10501000, 72 << 20},
    {"H100", 90, 132, 232448, 1024, 2048, 32, 0x2330, 80LL << 30, 1980000, 2619000, 50 << 20},
    {"B200", 100, 148, 232448, 1024, 2048, 32, 0x2901, 180LL << 30, 1965000, 3996000, 126 << 20},
    {"RTX 5090", 120, 170, 101376, 1024, 1536, 24, 0x2b85, 32LL << 30, 2407000, 14001000, 96 << 20},
};
enum { DEVICES = sizeof devices / sizeof *devices, KEYS = 2048 };

static const char *library;
static rg_dnn_conv asked[KEYS]; /* each once, without its type */
static int n_asked;

/* ---- a step, written down ---- */

const rg_dnn_plan *__real_rg_dnn_find(rg_dnn *dnn, const rg_dnn_conv *c);
const rg_dnn_plan *__wrap_rg_dnn_find(rg_dnn *dnn, const rg_dnn_conv *c);
rg_kernels __real_rg_kernels_idle(const rg_kernels *like);
rg_kernels __wrap_rg_kernels_idle(const rg_kernels *like);
rg_status __wrap_rg_dl_cudnn(rg_cudnn *table, rg_error *err);

const rg_dnn_plan *__wrap_rg_dnn_find(rg_dnn *dnn, const rg_dnn_conv *c)
{
    (void)dnn;
    int i = 0;
    while (i < n_asked && memcmp(&asked[i], c, sizeof *c) != 0) i++;
    if (i == n_asked && n_asked < KEYS) asked[n_asked++] = *c;
    return (const rg_dnn_plan *)(const void *)asked; /* as if there were one */
}

static char nowhere[64];

/* What the product would compute round a plan; callers pass arguments, which nobody looks at. */
#define CUT(name, ...)                    \
    rg_status __wrap_##name(__VA_ARGS__); \
    rg_status __wrap_##name(__VA_ARGS__)  \
    {                                     \
        return RG_OK;                     \
    }
#define CUT_POINTER(name, ...)        \
    void *__wrap_##name(__VA_ARGS__); \
    void *__wrap_##name(__VA_ARGS__)  \
    {                                 \
        return nowhere;               \
    }
CUT(rg_dnn_run, void)
CUT(rg_cuda_gemm, void)
CUT(rg_cuda_enter, void)
CUT(rg_cuda_enter_grad, void)
CUT(rg_cuda_leave_grad, void)
CUT(rg_cuda_bias_act, void)
CUT(rg_cuda_column_sums, void)
CUT(rg_cuda_swap, void)
CUT(rg_cuda_repeat, void)
CUT(rg_cuda_thin_forward, void)
CUT(rg_cuda_thin_dx, void)
CUT(rg_cuda_thin_dw, void)
CUT_POINTER(rg_cuda_scratch, void)
CUT_POINTER(rg_cuda_weight, void)

static rg_kernels idle;

/* Counted as ever, and then as on a GPU. */
#define SLOT(name)                                                                         \
    static rg_status name##_asked(rg_kernel_ctx *ctx, const rg_##name##_args *a)           \
    {                                                                                      \
        rg_gpu gpu = {0};                                                                  \
        rg_kernel_ctx there = *ctx;                                                        \
        there.gpu = &gpu;                                                                  \
        RG_TRY(idle.name.forward(ctx, a));                                                 \
        return rg_cuda_##name##_f16(&there, a);                                            \
    }                                                                                      \
    static rg_status name##_grad_asked(rg_kernel_ctx *ctx, const rg_##name##_grad_args *a) \
    {                                                                                      \
        rg_gpu gpu = {0};                                                                  \
        rg_kernel_ctx there = *ctx;                                                        \
        there.gpu = &gpu;                                                                  \
        RG_TRY(idle.name.grad(ctx, a));                                                    \
        return rg_cuda_##name##_f16_grad(&there, a);                                       \
    }
SLOT(conv1d)
SLOT(conv2d)
SLOT(conv_tr1d)

rg_kernels __wrap_rg_kernels_idle(const rg_kernels *like)
{
    rg_kernels table = idle = __real_rg_kernels_idle(like);
    table.conv1d.forward = conv1d_asked, table.conv1d.grad = conv1d_grad_asked;
    table.conv2d.forward = conv2d_asked, table.conv2d.grad = conv2d_grad_asked;
    table.conv_tr1d.forward = conv_tr1d_asked, table.conv_tr1d.grad = conv_tr1d_grad_asked;
    return table;
}

/* ---- the real library ---- */

rg_status __wrap_rg_dl_cudnn(rg_cudnn *table, rg_error *err)
{
    void *opened = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!opened) return rg_fail(err, RG_ERR_DEVICE, "cannot open %s (%s)", library, dlerror());
#define F(name) #name,
    static const char *const names[] = {RG_CUDNN_CALLS(F)};
#undef F
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *function = dlsym(opened, names[i]);
        if (!function) return rg_fail(err, RG_ERR_DEVICE, "%s has no %s", library, names[i]);
        memcpy((char *)table + i * sizeof function, &function, sizeof function);
    }
    return RG_OK;
}

static rg_dnn *open_device(const device *d, rg_error *err)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
             "\"regsPerBlock\":65536,\"multiProcessorCount\":%d,\"warpSize\":32,"
             "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":%d,"
             "\"reservedSharedMemoryPerBlock\":%d,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":%d,"
             "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":%d,\"pciDeviceId\":%d,"
             "\"isTccDriver\":0,\"supportCoopLaunch\":1,\"totalGlobalMem\":%lld,"
             "\"smClockRateKHz\":%d,\"memClockRateKHz\":%d,\"l2CacheSize\":%d,\"cudaDeviceId\":0,"
             "\"deviceVer\":%d,\"driverVer\":13000,\"deviceName\":\"NVIDIA %s\"}",
             d->processors, d->shared, d->reserved, d->blocks, d->threads, d->pci, d->memory,
             d->clock, d->memory_clock, d->cache, d->sm * 10, d->name);
    return rg_dnn_open_described(json, err);
}

/* ---- the table ---- */

static void tell_missing(const device *d, const rg_dnn_conv *k)
{
    fprintf(
        stderr,
        "%s (sm_%d) has no plan: way %lld add %lld type %lld batch %lld c %lld k %lld x %lldx%lld"
        " y %lldx%lld taps %lldx%lld stride %lldx%lld dilation %lldx%lld before %lldx%lld after "
        "%lldx%lld\n",
        d->name, d->sm, (long long)k->way, (long long)k->add, (long long)k->type,
        (long long)k->batch, (long long)k->c, (long long)k->k, (long long)k->x[0],
        (long long)k->x[1], (long long)k->y[0], (long long)k->y[1], (long long)k->taps[0],
        (long long)k->taps[1], (long long)k->stride[0], (long long)k->stride[1],
        (long long)k->dilation[0], (long long)k->dilation[1], (long long)k->before[0],
        (long long)k->before[1], (long long)k->after[0], (long long)k->after[1]);
}

/* One cell: how many plans, and the largest workspace. Returns how many are missing. */
static int print_cell(rg_dnn *dnn, const device *d, rg_dtype type)
{
    int found = 0;
    int64_t most = 0;
    for (int i = 0; i < n_asked; i++) {
        rg_dnn_conv key = asked[i];
        key.type = type;
        const rg_dnn_plan *plan = __real_rg_dnn_find(dnn, &key);
        if (!plan) {
            tell_missing(d, &key);
            continue;
        }
        found++;
        if (rg_dnn_plan_workspace(plan) > most) most = rg_dnn_plan_workspace(plan);
    }
    printf(" %d, %.1f MiB |", found, (double)most / (1 << 20));
    return n_asked - found;
}

/* All that is missing counts for a device that cuDNN cannot describe. */
static int print_row(const char *config, rg_dtype type)
{
    int missing = 0;
    printf("| `%s` | %s | %d |", config, type == RG_F16 ? "fp16" : "bf16", n_asked);
    for (int d = 0; d < DEVICES; d++) {
        rg_error err = {0};
        if (type == RG_BF16 && devices[d].sm < 80) {
            printf(" - |"); /* refused by the program: no products of bf16 */
            continue;
        }
        rg_dnn *dnn = open_device(&devices[d], &err);
        if (!dnn) fprintf(stderr, "cudnn_plans: %s: %s\n", devices[d].name, err.text);
        missing += print_cell(dnn, &devices[d], type);
        rg_dnn_close(dnn);
    }
    printf("\n");
    return missing;
}

static int print_config(const char *config, const char *const *overrides, size_t n)
{
    rg_error err = {0};
    rg_text text;
    rg_text_init(&text, (size_t)64 << 20);
    n_asked = 0;
    const rg_status status = rg_roofline_run(config, overrides, n, false, true, &text, NULL, &err);
    rg_text_free(&text);
    if (status != RG_OK) {
        fprintf(stderr, "cudnn_plans: %s: %s\n", config, err.text);
        return 1;
    }
    return print_row(config, RG_F16) + print_row(config, RG_BF16);
}

int main(int argc, char **argv)
{
    int missing = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: cudnn_plans LIBCUDNN CONFIG KEY=VALUE... [-- CONFIG ...]\n");
        return 2;
    }
    library = argv[1];
    printf("| configuration | type | plans wanted |");
    for (int d = 0; d < DEVICES; d++) printf(" %s, sm_%d |", devices[d].name, devices[d].sm);
    printf("\n|---|---|--:|");
    for (int d = 0; d < DEVICES; d++) printf("--:|");
    printf("\n");
    for (int i = 2, end; i < argc; i = end + 1) {
        for (end = i; end < argc && strcmp(argv[end], "--") != 0;) end++;
        missing += print_config(argv[i], (const char *const *)argv + i + 1, (size_t)(end - i - 1));
        fflush(stdout);
    }
    return missing > 0;
}
