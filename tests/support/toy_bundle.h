/*
 * A small bundle of untrained models for tests of generation: R roles, 50 frames a second.
 *
 * One idea: it is made as a track run would make it (checkpoint, describe.json, codec files) and
 * then exported, so export is tested on the way. Header only, for tests that link rg_datasets.
 */
#ifndef RG_TESTS_TOY_BUNDLE_H
#define RG_TESTS_TOY_BUNDLE_H

#include "base/fs.h"
#include "base/json.h"
#include "base/rng.h"
#include "models/bundle.h"
#include "test.h"

enum { RG_TOY_BOOKS = 2, RG_TOY_ENTRIES = 16, RG_TOY_DIM = 8 };

static inline rg_exec *rg_toy_exec(rg_pool *pool)
{
    rg_error err = {0};
    const rg_kernels *kernels = rg_kernels_cpu(&err);
    ck_assert_msg(kernels != NULL, "%s", err.text);
    rg_exec_options options = {.kernels = kernels, .pool = pool, .seed = 1};
    rg_exec *ex = rg_exec_create(&options, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_set_recording(ex, false);
    return ex;
}

static inline const char *rg_toy_role_name(int32_t r)
{
    static const char *const names[] = {"drums", "bass", "harmony", "melody", "strings"};
    return names[r];
}

static inline rg_encodec_config rg_toy_codec_config(void)
{
    return (rg_encodec_config){.sample_rate = 8000,
                               .channels = 1,
                               .filters = 2,
                               .dimension = RG_TOY_DIM,
                               .n_ratios = 4,
                               .ratios = {5, 4, 4, 2},
                               .kernel = 7,
                               .last_kernel = 7,
                               .residual_kernel = 3,
                               .residual_layers = 1,
                               .dilation_base = 2,
                               .compress = 2,
                               .trim_right_ratio = 1,
                               .codebooks = RG_TOY_BOOKS,
                               .entries = RG_TOY_ENTRIES};
}

static inline void rg_toy_codec_of(rg_exec *ex, const char *path, const char *role, uint64_t seed,
                                   rg_encodec_config config)
{
    rg_error err = {0};
    rg_params *params = rg_params_create(&err);
    rg_encodec *model = rg_encodec_create(params, "", &config, &err);
    float vectors[64 * RG_TOY_DIM];
    rg_rng rng = rg_rng_make(seed, 7);
    rg_rng_fill_normal(&rng, vectors, 64 * RG_TOY_DIM, 0, 1);
    RG_ASSERT_OK(rg_params_finish(params, ex, seed, false, &err), &err);
    RG_ASSERT_OK(rg_quantizer_start(rg_encodec_quantizer(model), ex, vectors, 64, 64, seed),
                 &ex->error);
    char *text = rg_encodec_config_to_json(&config);
    const char *keys[] = {"format", "version", "codec", "role"};
    const char *values[] = {"resonant-codec", "1.0", text, role};
    RG_ASSERT_OK(rg_weights_save(path, "", params, false, keys, values, 4, &err), &err);
    free(text);
    rg_encodec_destroy(model);
    rg_params_destroy(params);
}

static inline void rg_toy_codec(rg_exec *ex, const char *path, const char *role, uint64_t seed)
{
    rg_toy_codec_of(ex, path, role, seed, rg_toy_codec_config());
}

static inline rg_track_config rg_toy_track_config(int32_t roles)
{
    static const char *const keys[] = {"A minor", "C major"};
    rg_track_config c;
    rg_track_config_init(&c);
    c.frame_rate = 50;
    c.n_roles = roles;
    for (int32_t r = 0; r < roles; r++) {
        snprintf(c.roles[r].name, sizeof c.roles[r].name, "%s", rg_toy_role_name(r));
        c.roles[r].books = RG_TOY_BOOKS;
        c.roles[r].entries = RG_TOY_ENTRIES;
        c.roles[r].dim = RG_TOY_DIM;
    }
    c.n_fields = 1;
    snprintf(c.fields[0].name, sizeof c.fields[0].name, "key");
    c.fields[0].n_words = 2;
    for (int32_t w = 0; w < 2; w++)
        snprintf(c.fields[0].words[w], sizeof c.fields[0].words[w], "%s", keys[w]);
    c.width = 16;
    c.heads = 2;
    c.encoder_layers = 1;
    c.decoder_layers = 2;
    c.frames = 64;
    return c;
}

static inline void rg_toy_run(rg_exec *ex, const char *folder, int32_t roles)
{
    rg_error err = {0};
    char path[1200];
    rg_track_config config = rg_toy_track_config(roles);
    rg_params *params = rg_params_create(&err);
    rg_tracks *tracks = rg_tracks_create(params, &config, &err);
    ck_assert_msg(tracks != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(params, ex, 3, true, &err), &err);
    snprintf(path, sizeof path, "%s/checkpoints/codecs", folder);
    RG_ASSERT_OK(rg_fs_make_folders(path, &err), &err);
    for (int32_t r = 0; r < roles; r++) {
        snprintf(path, sizeof path, "%s/checkpoints/codecs/%s.safetensors", folder,
                 rg_toy_role_name(r));
        rg_toy_codec(ex, path, rg_toy_role_name(r), 10 + (uint64_t)r);
    }
    char *text = rg_track_config_to_json(&config);
    size_t size = strlen(text) + 64;
    char *extra = malloc(size);
    snprintf(extra, size, "{\"task\": {\"tracks\": %s}}", text);
    rg_checkpoint c = {.step = 1, .extra = extra};
    snprintf(path, sizeof path, "%s/checkpoints/step_0000001.safetensors", folder);
    RG_ASSERT_OK(rg_checkpoint_save(path, params, &c, &err), &err);
    snprintf(path, sizeof path, "%s/latest", folder);
    RG_ASSERT_OK(rg_fs_link("checkpoints/step_0000001.safetensors", path, &err), &err);
    json_t *description = json_pack("{s:[s], s:{s:{s:i, s:i}}}", "songs", "song-1", "words", "key",
                                    "A minor", 4, "C major", 0);
    snprintf(path, sizeof path, "%s/describe.json", folder);
    RG_ASSERT_OK(rg_json_write(description, path, &err), &err);
    json_decref(description);
    free(extra);
    free(text);
    rg_tracks_destroy(tracks);
    rg_params_destroy(params);
}

/* Makes <folder>/run and <folder>/bundle. */
static inline void rg_toy_bundle(rg_exec *ex, const char *folder, int32_t roles)
{
    rg_error err = {0};
    char run[1024], bundle[1024];
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(bundle, sizeof bundle, "%s/bundle", folder);
    RG_ASSERT_OK(rg_fs_make_folders(run, &err), &err);
    rg_toy_run(ex, run, roles);
    RG_ASSERT_OK(rg_bundle_export(run, bundle, ex, NULL, &err), &err);
}

#endif
