/*
 * Every planted defect stays detected, and clean kernels are not accused.
 *
 * One idea: a defect and a setting of the emulator make a process of their own (this program with
 * the defect's name), whose end is "report" (a diagnosis of the kind that is expected), "numeric"
 * (a wrong result: poison or order), "crash" (a caught fault) or "-" (nothing seen). The table says
 * which it must be. The same file is built in two flavours: the checking one sees more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/process.h"
#include "cuemu_control.h"
#include "defects.h"
#include "test.h"

enum { N = 1000 };

typedef struct defect {
    const char *name;
    const char *kind; /* of the report */
    const char *fast, *lazy, *protect, *check;
} defect;

/* What each setting says: plainly, with streams that lag, with host accesses caught, checked. */
static const defect defects[] = {
    {"clean_copy", "", "-", "-", "-", "-"},
    {"clean_sum", "", "-", "-", "-", "-"},
    {"no_barrier_before_read", "race", "numeric", "numeric", "numeric", "report"},
    {"no_barrier_before_write", "race", "numeric", "numeric", "numeric", "report"},
    {"no_syncwarp", "race", "numeric", "numeric", "numeric", "report"},
    {"read_past_end", "oob-global", "-", "-", "-", "report"},
    {"write_past_end", "oob-write", "report", "report", "report", "oob-global"},
    {"write_past_shared", "oob-shared", "-", "-", "-", "report"},
    {"unwritten_shared", "uninit", "numeric", "numeric", "numeric", "report"},
    {"barrier_in_branch", "divergent-barrier", "report", "report", "report", "report"},
    {"return_before_barrier", "divergent-barrier", "report", "report", "report", "report"},
    {"shuffle_in_branch", "divergent-warp-op", "report", "report", "report", "report"},
    {"shuffle_from_outside", "inactive-lane", "report", "report", "report", "report"},
    {"misaligned_load", "trap", "report", "report", "report", "report"},
    {"plain_sum", "race", "-", "-", "-", "report"},
    {"atomic_then_read", "race", "-", "-", "-", "report"},
    {"dynamic_shared", "shared-limit", "report", "report", "report", "report"},
    {"shared_beyond_device", "shared-limit", "report", "report", "report", "report"},
    {"block_too_large", "launch-config", "report", "report", "report", "report"},
    {"host_pointer", "host-pointer", "-", "-", "-", "report"},
    {"device_pointer_on_host", "", "-", "-", "crash", "-"},
    {"pinned_reused", "", "-", "numeric", "-", "-"},
    {"event_missing", "", "-", "numeric", "-", "-"},
    {"event_never_recorded", "event", "report", "report", "report", "report"},
    {"read_before_sync", "", "-", "numeric", "-", "-"},
    {"use_after_free", "oob-global", "crash", "crash", "crash", "report"},
    {"copy_past_end", "memcpy-range", "report", "report", "report", "report"},
    {"copy_of_wrong_kind", "memcpy-kind", "report", "report", "report", "report"},
    {"freed_twice", "invalid-free", "report", "report", "report", "report"},
};
enum { DEFECTS = sizeof defects / sizeof defects[0] };

/* ---- one defect, in a process of its own ---- */

typedef struct bench {
    float host[N], *pinned, *x, *out;
    cudaStream_t stream, other;
} bench;

static void begin(bench *b)
{
    for (int i = 0; i < N; i++) b->host[i] = (float)(i % 97) + 1;
    cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&b->other, cudaStreamNonBlocking);
    cudaMalloc((void **)&b->x, sizeof b->host);
    cudaMalloc((void **)&b->out, sizeof b->host);
    cudaMallocHost((void **)&b->pinned, sizeof b->host);
    cudaMemcpy(b->x, b->host, sizeof b->host, cudaMemcpyHostToDevice);
    cudaMemset(b->out, 0, sizeof b->host);
    memcpy(b->pinned, b->host, sizeof b->host);
}

/* True when out is not x + 1. */
static bool copy_is_wrong(bench *b)
{
    float got[N];
    cudaDeviceSynchronize();
    cudaMemcpy(got, b->out, sizeof got, cudaMemcpyDeviceToHost);
    for (int i = 0; i < N; i++)
        if (got[i] != b->host[i] + 1) return true;
    return false;
}

static bool pinned_reused(bench *b)
{
    cudaMemcpyAsync(b->x, b->pinned, sizeof b->host, cudaMemcpyHostToDevice, b->stream);
    memset(b->pinned, 0, sizeof b->host);
    cuemu_launch_defect("clean_copy", b->out, b->x, N, b->stream);
    return copy_is_wrong(b);
}

static bool event_missing(bench *b)
{
    cudaMemset(b->x, 0, sizeof b->host);
    cudaMemcpyAsync(b->x, b->pinned, sizeof b->host, cudaMemcpyHostToDevice, b->stream);
    cuemu_launch_defect("clean_copy", b->out, b->x, N, b->other);
    cudaStreamSynchronize(b->other);
    return copy_is_wrong(b);
}

static bool event_never_recorded(bench *b)
{
    cudaEvent_t event;
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cudaStreamWaitEvent(b->other, event, 0);
    return false;
}

static bool read_before_sync(bench *b)
{
    bool wrong = false;
    cuemu_launch_defect("clean_copy", b->out, b->x, N, b->stream);
    cudaMemcpyAsync(b->pinned, b->out, sizeof b->host, cudaMemcpyDeviceToHost, b->stream);
    for (int i = 0; i < N; i++) wrong |= b->pinned[i] != b->host[i] + 1;
    return wrong;
}

static bool host_pointer(bench *b)
{
    cuemu_launch_defect("clean_copy", b->out, b->host, N, b->stream);
    return false;
}

static bool device_pointer_on_host(bench *b)
{
    return ((volatile float *)b->x)[0] != b->host[0];
}

static bool use_after_free(bench *b)
{
    float *gone;
    cudaMalloc((void **)&gone, sizeof b->host);
    cudaMemset(gone, 0, sizeof b->host);
    cudaFree(gone);
    cuemu_launch_defect("clean_copy", b->out, gone, N, b->stream);
    return false;
}

static bool copy_past_end(bench *b)
{
    static const float more[N + 24];
    cudaMemcpy(b->out, more, sizeof more, cudaMemcpyHostToDevice);
    return false;
}

static bool copy_of_wrong_kind(bench *b)
{
    cudaMemcpy(b->out, b->host, sizeof b->host, cudaMemcpyDeviceToHost);
    return false;
}

static bool freed_twice(bench *b)
{
    float *p = NULL;
    cudaMalloc((void **)&p, 64);
    cudaFree(p);
    cudaFree(p);
    (void)b;
    return false;
}

static const struct {
    const char *name;
    bool (*run)(bench *b); /* true: a wrong result */
} host_defects[] = {{"pinned_reused", pinned_reused},
                    {"event_missing", event_missing},
                    {"event_never_recorded", event_never_recorded},
                    {"read_before_sync", read_before_sync},
                    {"host_pointer", host_pointer},
                    {"device_pointer_on_host", device_pointer_on_host},
                    {"use_after_free", use_after_free},
                    {"copy_past_end", copy_past_end},
                    {"copy_of_wrong_kind", copy_of_wrong_kind},
                    {"freed_twice", freed_twice}};

/* What element i of a kernel's output should be; NAN: not looked at. */
static float wanted(const char *name, const float *x, int i)
{
    if (!strcmp(name, "clean_copy")) return x[i] + 1;
    if (i >= 256) return NAN;
    if (!strcmp(name, "no_barrier_before_read")) return x[255 - i];
    if (!strcmp(name, "no_barrier_before_write"))
        return x[(i + 33) % 256] + x[256 + (i + 33) % 256] + x[512 + (i + 33) % 256];
    if (!strcmp(name, "no_syncwarp")) return i < 32 ? x[i ^ 1] : NAN;
    if (!strcmp(name, "unwritten_shared")) return x[i % 64];
    return NAN;
}

static bool kernel_is_wrong(bench *b, const char *name)
{
    float got[N];
    cuemu_launch_defect(name, b->out, b->x, N, b->stream);
    cudaDeviceSynchronize();
    if (cudaMemcpy(got, b->out, sizeof got, cudaMemcpyDeviceToHost) != cudaSuccess) return false;
    for (int i = 0; i < N; i++) {
        const float want = wanted(name, b->host, i);
        if (want == want && got[i] != want) return true;
    }
    return false;
}

static int run_one(const char *name, const char *kind)
{
    bench *b = calloc(1, sizeof *b); /* not static: kernels may read what belongs to the program */
    if (!b) return 2;
    begin(b);
    bool wrong = false, found = false;
    for (size_t i = 0; i < sizeof host_defects / sizeof host_defects[0]; i++)
        if (!strcmp(host_defects[i].name, name)) found = true, wrong = host_defects[i].run(b);
    if (!found) wrong = kernel_is_wrong(b, name);
    cudaDeviceSynchronize();
    cudaFree(b->x);
    cudaFree(b->out);
    free(b);
    if (cuemu_count(kind) > 0)
        puts("=report");
    else if (cuemu_total() > 0)
        puts("=other report");
    else
        puts(wrong ? "=numeric" : "=-");
    return 0;
}

/* ---- the table ---- */

static char self[4096];

static void expect(const char *name, const char *kind, const char *setting, const char *want)
{
    rg_error err = {0};
    char output[RG_PROCESS_OUTPUT];
    const char *const argv[] = {"env", setting, self, name, kind, NULL};
    rg_status status = rg_process_run("/", argv, 60, output, &err);
    const char *mark = strrchr(output, '=');
    const char *got = status != RG_OK ? "crash" : mark ? mark + 1 : output;
    ck_assert_msg(!strcmp(got, want), "%s with %s: %s instead of %s\n%s", name, setting, got, want,
                  output);
}

START_TEST(stays_detected)
{
    const defect *d = &defects[_i];
#ifdef CUEMU_CHECK
    const bool kind_differs = strcmp(d->check, "-") != 0 && strcmp(d->check, "report") != 0;
    expect(d->name, kind_differs ? d->check : d->kind, "CUEMU_ORDER=fwd",
           kind_differs ? "report" : d->check);
    expect(d->name, kind_differs ? d->check : d->kind, "CUEMU_ORDER=rand:7",
           kind_differs ? "report" : d->check);
#else
    expect(d->name, d->kind, "CUEMU_ORDER=fwd", d->fast);
    expect(d->name, d->kind, "CUEMU_STREAMS=lazy", d->lazy);
    expect(d->name, d->kind, "CUEMU_PROTECT=1", d->protect);
#endif
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 3) return run_one(argv[1], argv[2]);
    if (!realpath(argv[0], self)) return 2;
    TCase *tc = tcase_create("defects");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, stays_detected, 0, DEFECTS);
    Suite *suite = suite_create("cuemu/defects");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
