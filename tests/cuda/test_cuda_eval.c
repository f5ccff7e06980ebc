/*
 * Reports of models that run on a device: the numbers are those of the CPU, within rounding.
 *
 * One idea: the same toy run is evaluated twice, and the tables are compared.
 */
#include "eval/evaluate.h"
#include "toy_bundle.h"
#include "toy_store.h"

enum { ROLES = 2 };
static const rg_toy toy = {ROLES, 8, 16000, 2, 0};

static void join(char out[1024], const char *name)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_join(out, 1024, rg_test_folder(), name, &err), &err);
}

static const char *store_folder(void)
{
    static char folder[1024];
    join(folder, "store");
    if (!rg_fs_exists(folder)) rg_store_close(rg_toy_build(&toy, folder));
    return folder;
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[1200];
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_join(path, sizeof path, folder, name, &err), &err);
    RG_ASSERT_OK(rg_fs_write_atomic(path, text, strlen(text), &err), &err);
}

static void make_codec_run(const char *folder)
{
    char path[1200], text[2048];
    rg_error err = {0};
    rg_exec *ex = rg_toy_exec(NULL);
    RG_ASSERT_OK(rg_fs_join(path, sizeof path, folder, "checkpoints", &err), &err);
    RG_ASSERT_OK(rg_fs_make_folders(path, &err), &err);
    snprintf(path, sizeof path, "%s/checkpoints/step_0000400.safetensors", folder);
    rg_toy_codec(ex, path, "bass", 1);
    snprintf(path, sizeof path, "%s/best", folder);
    RG_ASSERT_OK(rg_fs_link("checkpoints/step_0000400.safetensors", path, &err), &err);
    snprintf(text, sizeof text,
             "{\"task\":\"codec\",\"role\":\"bass\",\"roles\":[\"bass\"],\"store\":\"%s\","
             "\"songs\":[\"toy-000\"]}",
             store_folder());
    put(folder, "describe.json", text);
    put(folder, "config.yaml", "task: codec\nrole: bass\n");
    put(folder, "env.json", "{\"version\": \"0.1.0\", \"seed\": 5}");
    rg_exec_destroy(ex);
}

static void make_track_run(const char *folder)
{
    char text[2048];
    rg_error err = {0};
    rg_exec *ex = rg_toy_exec(NULL);
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    rg_toy_run(ex, folder, ROLES);
    rg_exec_destroy(ex);
    snprintf(text, sizeof text,
             "{\"task\":\"tracks\",\"phase\":1,\"roles\":[\"drums\",\"bass\"],\"store\":\"%s\","
             "\"songs\":[\"toy-000\"],\"words\":{\"key\":{\"A minor\":1}}}",
             store_folder());
    put(folder, "describe.json", text);
}

static json_t *report_of(const char *run, const char *device)
{
    char out[1024], path[1200];
    rg_error err = {0};
    snprintf(out, sizeof out, "%s-%s", run, device);
    rg_eval_options o = rg_eval_defaults(run);
    o.out = out;
    o.songs = 1;
    o.seconds = 1;
    o.samples = 0;
    o.device = device;
    RG_ASSERT_OK(rg_evaluate(&o, NULL, NULL, &err), &err);
    RG_ASSERT_OK(rg_fs_join(path, sizeof path, out, "metrics.json", &err), &err);
    json_t *metrics = rg_json_read(path, 1 << 26, &err);
    ck_assert_msg(metrics != NULL, "%s", err.text);
    return metrics;
}

/* Every value of a table, by row and column; a share of each may differ. */
static void compare(const json_t *a, const json_t *b, const char *table, double tol)
{
    json_t *of_a = json_object_get(json_object_get(json_object_get(a, "tables"), table), "rows");
    json_t *of_b = json_object_get(json_object_get(json_object_get(b, "tables"), table), "rows");
    json_t *row, *cell;
    const char *name, *column;
    int32_t n = 0;
    json_object_foreach(of_a, name, row)
    {
        json_object_foreach(row, column, cell)
        {
            const json_t *x = json_object_get(cell, "value");
            const json_t *y =
                json_object_get(json_object_get(json_object_get(of_b, name), column), "value");
            if (!json_is_number(x)) continue;
            const double u = json_number_value(x), v = json_number_value(y);
            ck_assert_msg(fabs(u - v) <= tol * (1 + fabs(u)), "%s / %s / %s: %g on the CPU, %g",
                          table, name, column, u, v);
            n++;
        }
    }
    ck_assert_int_gt(n, 2);
}

START_TEST(a_codec_is_measured_as_on_the_cpu)
{
    char run[1024];
    join(run, "codec-run");
    make_codec_run(run);
    json_t *here = report_of(run, "cpu"), *there = report_of(run, "cuda");
    compare(here, there, "codecs", 1e-3);
    json_decref(here);
    json_decref(there);
}
END_TEST

START_TEST(tracks_are_measured_as_on_the_cpu)
{
    char run[1024];
    join(run, "track-run");
    make_track_run(run);
    json_t *here = report_of(run, "cpu"), *there = report_of(run, "cuda");
    compare(here, there, "bits", 1e-3);
    compare(here, there, "codecs", 1e-9);
    json_decref(here);
    json_decref(there);
}
END_TEST

RG_TEST_MAIN("cuda eval", 300, a_codec_is_measured_as_on_the_cpu, tracks_are_measured_as_on_the_cpu)
