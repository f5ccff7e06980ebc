/*
 * resonant devices: what this machine offers: the CPU's kernels, measured, and GPUs with what their
 * software lacks.
 *
 * One idea: all facts are one JSON object; the lines for people are printed from it.
 */
#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "kernels/gpu.h"

const rg_option rg_cmd_devices_options[] = {{"json", NULL, "print JSON"}, {0}};

static json_t *describe_cpu(rg_error *err)
{
    const rg_kernels *kernels = rg_kernels_cpu(err);
    rg_pool *pool = kernels ? rg_pool_create(0, 0, true, err) : NULL;
    if (!pool) return NULL;
    json_t *cpu =
        json_pack("{s:s, s:i, s:f}", "kernels", kernels->name, "threads",
                  (int)rg_pool_threads(pool), "fp32_gflops", rg_kernels_peak_gflops(pool, RG_F32));
    rg_pool_destroy(pool);
    return cpu;
}

static json_t *describe_gpu(int32_t index)
{
    rg_gpu_facts f;
    rg_error err = {0};
    if (rg_gpu_describe(index, &f, &err) != RG_OK) return json_pack("{s:s}", "error", err.text);
    return json_pack("{s:s, s:[ii], s:i, s:I, s:I, s:i, s:i}", "name", f.name, "capability",
                     (int)f.major, (int)f.minor, "processors", (int)f.processors, "memory",
                     (json_int_t)f.memory, "free", (json_int_t)f.free, "driver", (int)f.driver,
                     "runtime", (int)f.runtime);
}

/* {"devices": [...], "reason": why there are none, or null, "libraries": [...]} */
static json_t *describe_cuda(void)
{
    rg_error why = {0};
    json_t *devices = json_array(), *names = json_array();
    const int32_t count = rg_gpu_count(&why);
    for (int32_t i = 0; i < count; i++) json_array_append_new(devices, describe_gpu(i));
    rg_gpu_library libraries[RG_GPU_LIBRARIES];
    const int n = rg_gpu_libraries(libraries);
    for (int i = 0; i < n; i++)
        json_array_append_new(names,
                              json_pack("{s:s, s:s, s:s?}", "name", libraries[i].name, "file",
                                        libraries[i].file, "version",
                                        libraries[i].version[0] ? libraries[i].version : NULL));
    return json_pack("{s:o, s:s?, s:o}", "devices", devices, "reason", count ? NULL : why.text,
                     "libraries", names);
}

static void print_gpu(size_t i, const json_t *gpu)
{
    const char *name = "", *error = NULL;
    int major = 0, minor = 0, processors = 0, driver = 0;
    json_int_t memory = 0, left = 0;
    json_unpack((json_t *)gpu, "{s?s, s?s, s?[ii], s?i, s?i, s?I, s?I}", "error", &error, "name",
                &name, "capability", &major, &minor, "processors", &processors, "driver", &driver,
                "memory", &memory, "free", &left);
    if (error)
        printf("cuda:%zu: %s\n", i, error);
    else
        printf("cuda:%zu: %s, compute capability %d.%d, %d SMs, %.1f GiB (%.1f free), driver for "
               "CUDA %d.%d\n",
               i, name, major, minor, processors, (double)memory / 1073741824,
               (double)left / 1073741824, driver / 1000, driver % 1000 / 10);
}

static void print_text(const json_t *all)
{
    const json_t *cpu = json_object_get(all, "cpu"), *cuda = json_object_get(all, "cuda");
    printf("cpu: %s kernels, %d threads, fp32 peak %.0f GF/s measured\n",
           json_string_value(json_object_get(cpu, "kernels")),
           (int)json_integer_value(json_object_get(cpu, "threads")),
           json_real_value(json_object_get(cpu, "fp32_gflops")));
    const char *reason = json_string_value(json_object_get(cuda, "reason"));
    if (reason) printf("cuda: none (%s)\n", reason);
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(cuda, "devices"), i, item) print_gpu(i, item);
    json_array_foreach(json_object_get(cuda, "libraries"), i, item)
    {
        const char *version = json_string_value(json_object_get(item, "version"));
        printf("%s: %s%s\n", json_string_value(json_object_get(item, "name")),
               version ? version : "cannot open ",
               version ? "" : json_string_value(json_object_get(item, "file")));
    }
}

rg_status rg_cmd_devices(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    (void)cli;
    json_t *cpu = describe_cpu(err);
    if (!cpu) return err->code ? err->code : rg_fail(err, RG_ERR_NOMEM, "out of memory");
    json_t *all = json_pack("{s:o, s:o}", "cpu", cpu, "cuda", describe_cuda());
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    if (rg_option_given(args, "json")) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print_text(all);
    }
    json_decref(all);
    return RG_OK;
}
