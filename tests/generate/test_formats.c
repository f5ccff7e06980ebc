/*
 * Files of released format versions must always open: tests/golden/formats holds one small set per
 * version. `RG_WRITE_GOLDEN=FOLDER test_formats` makes a set of the present version; a set is
 * committed once, when its version is released, and never changed.
 */
#include "generate/session.h"
#include "toy_bundle.h"
#include "toy_store.h"

static const char formats[] = RG_SOURCE_DIR "/tests/golden/formats/1.0";

static const char *inside(const char *folder, const char *name)
{
    static char paths[4][1200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 1200, "%s/%s", folder, name);
    return path;
}

static void make(rg_exec *ex, const char *bundle, const char *from, const char *out)
{
    rg_error err = {0};
    rg_generate_result result;
    rg_generate_options o = {.bundle_folder = bundle,
                             .from_folder = from,
                             .out_folder = out,
                             .prompt = "A minor",
                             .seconds = from ? 0 : 0.2,
                             .rate = 8000};
    RG_ASSERT_OK(rg_generate(&o, ex, NULL, &result, &err), &err);
}

/* The set of the present version. */
static void write_golden(const char *folder)
{
    rg_error err = {0};
    rg_exec *ex = rg_toy_exec(NULL);
    rg_toy toy = {.roles = 2, .songs = 3, .rate = 4000, .seconds = 0.5};
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    rg_toy_bundle(ex, folder, 1);
    make(ex, inside(folder, "bundle"), NULL, inside(folder, "scene"));
    rg_store_close(rg_toy_build(&toy, inside(folder, "stems")));
    RG_ASSERT_OK(
        rg_fs_write_atomic(inside(folder, "README.md"), "Made by test_formats.\n", 22, &err), &err);
    rg_exec_destroy(ex);
}

START_TEST(bundle_and_scene_open)
{
    rg_exec *ex = rg_toy_exec(NULL);
    make(ex, inside(formats, "bundle"), inside(formats, "scene"), inside(rg_test_folder(), "copy"));
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(store_opens)
{
    rg_error err = {0};
    int64_t faults;
    rg_store *store = rg_store_open(inside(formats, "stems"), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    ck_assert_int_eq(rg_store_songs(store), 3);
    rg_store_close(store);
    RG_ASSERT_OK(rg_store_verify(inside(formats, "stems"), NULL, NULL, &faults, &err), &err);
    ck_assert_int_eq(faults, 0);
}
END_TEST

START_TEST(checkpoint_opens)
{
    rg_error err = {0};
    rg_exec *ex = rg_toy_exec(NULL);
    rg_track_config config = rg_toy_track_config(1);
    rg_params *params = rg_params_create(&err);
    rg_tracks *tracks = rg_tracks_create(params, &config, &err);
    rg_checkpoint state;
    RG_ASSERT_OK(rg_params_finish(params, ex, 1, true, &err), &err);
    RG_ASSERT_OK(rg_checkpoint_load(inside(formats, "run/checkpoints/step_0000001.safetensors"),
                                    params, ex, &state, &err),
                 &err);
    ck_assert_int_eq(state.step, 1);
    rg_checkpoint_free(&state);
    rg_tracks_destroy(tracks);
    rg_params_destroy(params);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(write_the_present_set)
{
    write_golden(getenv("RG_WRITE_GOLDEN"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {bundle_and_scene_open, store_opens, checkpoint_opens};
    const TTest *const writing[] = {write_the_present_set};
    if (getenv("RG_WRITE_GOLDEN")) return rg_test_run("formats", writing, 1, 60);
    return rg_test_run("formats", tests, sizeof tests / sizeof *tests, 60);
}
