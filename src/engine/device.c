/*
 * The device that a user names (device.h).
 */
#include "engine/device.h"

#include <string.h>

#include "base/text.h"

/* "cuda" or "cuda:N" to a number. */
static rg_status parse_gpu(const char *device, int32_t *index, rg_error *err)
{
    int64_t n = 0;
    *index = 0;
    if (!strcmp(device, "cuda")) return RG_OK;
    if (strncmp(device, "cuda:", 5) != 0 || !rg_parse_int(device + 5, &n) || n < 0 || n > 1023)
        return rg_fail(err, RG_ERR_USAGE, "--device: '%s' is not auto, cpu, cuda or cuda:N",
                       device);
    *index = (int32_t)n;
    return RG_OK;
}

/* The GPU of the process of that place; NULL with the reason in *why. Where a launcher shows each
 * process its own, all are number 0; that two took the same one is found when they meet. */
static rg_gpu *find_gpu(int32_t place, int32_t *index, rg_error *why)
{
    const int32_t count = rg_gpu_count(why);
    if (!count) return NULL;
    *index = place % count;
    return rg_gpu_open(*index, why);
}

/* Why auto took the CPU: the reason without the advice for those who wanted a GPU. */
static rg_status say_cpu(const rg_log *log, const char *why)
{
    static const char lead[] = "device cuda: ";
    if (!strncmp(why, lead, sizeof lead - 1)) why += sizeof lead - 1;
    rg_log_line(log, RG_LOG_INFO, "device: cpu (%.*s)", (int)strcspn(why, ";"), why);
    return RG_OK;
}

rg_status rg_device_check(const char *device, rg_error *err)
{
    int32_t index;
    if (!strcmp(device, "auto") || !strcmp(device, "cpu")) return RG_OK;
    RG_TRY(parse_gpu(device, &index, err));
    return rg_gpu_count(err) ? RG_OK : err->code;
}

static rg_status open_named(const char *device, int32_t processes, int32_t place, int32_t *index,
                            rg_gpu **gpu, rg_error *err)
{
    RG_TRY(parse_gpu(device, index, err));
    if (processes > 1 && strcmp(device, "cuda") != 0)
        return rg_fail(err, RG_ERR_USAGE,
                       "--device %s: each of several processes takes a GPU of its own; say cuda",
                       device);
    *gpu = processes > 1 ? find_gpu(place, index, err) : rg_gpu_open(*index, err);
    return *gpu ? RG_OK : err->code;
}

rg_status rg_device_open(const char *device, int32_t processes, int32_t place, const rg_log *log,
                         rg_gpu **gpu, rg_error *err)
{
    rg_error why = {0};
    rg_gpu_facts facts;
    int32_t index = 0;
    *gpu = NULL;
    if (!device || !strcmp(device, "cpu")) return RG_OK;
    if (!strcmp(device, "auto")) {
        *gpu = find_gpu(place, &index, &why);
        if (!*gpu) return say_cpu(log, why.text);
    } else {
        RG_TRY(open_named(device, processes, place, &index, gpu, err));
    }
    RG_TRY(rg_gpu_describe(index, &facts, err));
    rg_log_line(log, RG_LOG_WARNING,
                "device: cuda:%d, %s, %.1f GiB free; what runs on GPUs is unproven on hardware",
                index, facts.name, (double)facts.free / 1073741824.0);
    return RG_OK;
}

/* Of the memory that is free steps get the most, parameters what is left. */
rg_exec *rg_device_exec(rg_gpu *gpu, const rg_exec_options *options, rg_dtype activations,
                        int64_t bytes, rg_error *err)
{
    rg_exec_options o = *options;
    rg_gpu_facts facts;
    if (rg_gpu_describe(rg_gpu_index(gpu), &facts, err) != RG_OK) return NULL;
    const double room = (double)(bytes && bytes < facts.free ? bytes : facts.free);
    o.gpu = gpu;
    o.kernels = rg_gpu_kernels(gpu, RG_F32, err);
    if (activations != RG_F32) o.stored = rg_gpu_kernels(gpu, activations, err);
    if (!o.kernels || (activations != RG_F32 && !o.stored)) return NULL;
    o.step_bytes = (size_t)(0.6 * room);
    o.scratch_bytes = (size_t)(0.1 * room);
    o.persist_bytes = (size_t)(0.02 * room);
    return rg_exec_create(&o, err);
}
