/*
 * The self-test's log (selftest.h).
 */
#include "train/selftest.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "engine/machine.h"
#include "engine/op_check.h"

enum { UPDATES = 3 };

/*
 * What a device stores activations as, and how far results may be apart. Of an element's own size:
 * rounding of fp32 sums of some hundred terms; in 16 bits half of the last bit of the result, and
 * up to 8 times as much for what is rounded on the way. Parameters, of their root mean square.
 */
typedef struct storage {
    const char *name;
    rg_dtype type;
    double operators, parameters;
} storage;
static const storage storages[] = {{"fp32", RG_F32, 2e-5, 1e-3},
                                   {"fp16", RG_F16, 8 * 0x1p-11, 0x1p-8},
                                   {"bf16", RG_BF16, 8 * 0x1p-8, 0x1p-5}};
enum { STORAGES = sizeof storages / sizeof *storages };

typedef struct selftest {
    rg_text *out;
    const rg_log *log;
    const storage *storage;
    rg_machine machine;
    int32_t passed, failed;
} selftest;

static void say(selftest *t, bool ok, const char *what, const char *how, const char *reason)
{
    rg_text_printf(t->out, "%-7s %-24s %s\n", ok ? "ok" : "FAILED", what, how);
    if (!ok) rg_text_printf(t->out, "        %s\n", reason);
    rg_log_line(t->log, RG_LOG_PROGRESS, "%s", what);
    if (ok)
        t->passed++;
    else
        t->failed++;
}

static rg_status check_operators(selftest *t, rg_error *err)
{
    const storage *in = t->storage;
    rg_text_printf(t->out, "\noperators in %s, against the double reference\n", in->name);
    for (int k = 0; k < RG_OP_COUNT; k++) {
        rg_op_checked checked;
        rg_error why = {0};
        char how[96];
        const bool wide = rg_ops[k]->storage == RG_OP_WIDE; /* in fp32 whatever is stored */
        const rg_status status = rg_op_check(
            rg_ops[k], t->machine.ex, wide ? storages[0].operators : in->operators, &checked, &why);
        if (status != RG_OK && status != RG_ERR_NUMERIC)
            return rg_fail(err, status, "%s", why.text);
        rg_format(how, sizeof how, "%d cases, error at most %.2f of what is allowed",
                  (int)checked.cases, checked.worst);
        say(t, status == RG_OK, checked.name, how, why.text);
    }
    return RG_OK;
}

/* Root mean square of the difference over that of a. */
static double apart(const float *a, const float *b, int64_t n)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    return sqrt(difference / fmax(size, 1e-30));
}

static int64_t others(const int32_t *a, const int32_t *b, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += a[i] != b[i];
    return count;
}

static void compare_tracks(selftest *t, const rg_selftest_tracks *here,
                           const rg_selftest_tracks *there)
{
    char how[96];
    const double ratio = apart(here->values, there->values, here->n_values);
    const int64_t wrong = others(here->codes, there->codes, here->n_codes);
    rg_format(how, sizeof how, "%d updates, parameters %.1e apart, loss %.4f and %.4f bits",
              UPDATES, ratio, there->loss, here->loss);
    say(t, ratio <= t->storage->parameters, "tracks that learn", how, "they learn something else");
    rg_format(how, sizeof how, "%lld codes, %lld of them others", (long long)here->n_codes,
              (long long)wrong);
    if (t->storage->type == RG_F32)
        say(t, wrong == 0, "tracks that choose", how, "other codes are likeliest");
    else /* rounding decides where two are likeliest */
        rg_text_printf(t->out, "%-7s %-24s %s\n", "", "tracks that choose", how);
}

static rg_status check_models(selftest *t, rg_error *err)
{
    const rg_exec_options options = {.kernels = rg_kernels_reference(),
                                     .seed = t->machine.ex->seed};
    rg_selftest_tracks here = {0}, there = {0};
    rg_exec *reference = rg_exec_create(&options, err);
    if (!reference) return err->code;
    rg_text_printf(t->out, "\nmodels in %s, against the reference kernels\n", t->storage->name);
    rg_status status = rg_selftest_tracks_run(reference, UPDATES, &here, err);
    if (status == RG_OK) status = rg_selftest_tracks_run(t->machine.ex, UPDATES, &there, err);
    if (status == RG_OK) compare_tracks(t, &here, &there);
    rg_selftest_tracks_free(&here);
    rg_selftest_tracks_free(&there);
    rg_exec_destroy(reference);
    return status;
}

/* ---- what is tested ---- */

static rg_status describe_gpu(selftest *t, rg_error *err)
{
    rg_gpu_facts f;
    rg_gpu_library libraries[RG_GPU_LIBRARIES];
    RG_TRY(rg_gpu_describe(rg_gpu_index(t->machine.gpu), &f, err));
    rg_text_printf(t->out,
                   "device cuda:%d: %s, compute capability %d.%d, %d multiprocessors, %.1f GiB\n"
                   "driver for CUDA %d.%d, runtime %d.%d\n",
                   (int)rg_gpu_index(t->machine.gpu), f.name, (int)f.major, (int)f.minor,
                   (int)f.processors, (double)f.memory / 1073741824.0, (int)f.driver / 1000,
                   (int)f.driver % 1000 / 10, (int)f.runtime / 1000, (int)f.runtime % 1000 / 10);
    for (int i = 0, n = rg_gpu_libraries(libraries); i < n; i++)
        rg_text_printf(t->out, "%s %s\n", libraries[i].name,
                       libraries[i].version[0] ? libraries[i].version : "is not there");
    return RG_OK;
}

static rg_status describe(selftest *t, const rg_selftest_options *options, rg_error *err)
{
    char utc[32];
    const rg_machine *m = &t->machine;
    rg_text_printf(t->out, "ResonantGen %s, self-test, %s\ncpu: %s kernels, %d threads\n",
                   options->version ? options->version : "", rg_clock_utc(utc),
                   m->ex->host->kernels->name, (int)rg_pool_threads(m->pool));
    return m->gpu ? describe_gpu(t, err) : RG_OK;
}

/* 16 bits are a GPU's alone, bf16 not every GPU's. */
static bool has_storage(const rg_machine *m, const storage *as)
{
    rg_error ignored = {0};
    return as->type == RG_F32 || (m->gpu && rg_gpu_kernels(m->gpu, as->type, &ignored) != NULL);
}

static rg_status run_in(selftest *t, const rg_selftest_options *options, const storage *as,
                        bool *more, rg_error *err)
{
    const rg_machine_options on = {
        .device = options->device, .activations = as->name, .seed = 1, .records = true};
    t->storage = as;
    rg_status status = rg_machine_open(&t->machine, &on, t->log, err);
    if (status == RG_OK && as == storages) status = describe(t, options, err);
    if (status == RG_OK) status = check_operators(t, err);
    if (status == RG_OK) status = check_models(t, err);
    *more = status == RG_OK && as + 1 < storages + STORAGES && has_storage(&t->machine, as + 1);
    rg_machine_close(&t->machine);
    return status;
}

rg_status rg_selftest_run(const rg_selftest_options *options, rg_text *out, const rg_log *log,
                          rg_error *err)
{
    selftest t = {.out = out, .log = log};
    bool more = true;
    for (const storage *as = storages; more; as++) RG_TRY(run_in(&t, options, as, &more, err));
    rg_text_printf(out, "\n%d passed, %d failed\n", (int)t.passed, (int)t.failed);
    if (t.failed == 0) return RG_OK;
    return rg_fail(err, RG_ERR_NUMERIC, "%d of %d checks failed", (int)t.failed,
                   (int)(t.passed + t.failed));
}
