/*
 * EnCodec of transformers: what it makes of sounds is what we make of them, and its files are read
 * and written. The goldens come from tests/golden/encodec/make.py, never from here.
 */
#include "models/hf.h"

#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "models/bundle.h"
#include "test.h"

#define GOLDEN RG_SOURCE_DIR "/tests/golden/encodec"

static const char *const shapes[] = {"24khz", "32khz", "48khz"};
enum { SHAPES = 3 };

static rg_exec *make_exec(bool reference64)
{
    rg_error err = {0};
    const rg_kernels *kernels = reference64 ? rg_kernels_reference64() : rg_kernels_cpu(&err);
    rg_exec *ex = rg_exec_create(&(rg_exec_options){.kernels = kernels, .seed = 1}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_set_recording(ex, false);
    return ex;
}

static rg_codec load(rg_exec *ex, const char *folder)
{
    rg_error err = {0};
    rg_codec codec;
    RG_ASSERT_OK(rg_hf_load(folder, &(rg_hf_options){0}, ex, NULL, &codec, &err), &err);
    return codec;
}

static const char *in_golden(const char *shape, const char *file)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s/%s", GOLDEN, shape, file);
    return path;
}

START_TEST(goldens_are_those_of_the_manifest)
{
    rg_error err = {0};
    json_t *manifest = rg_json_read(GOLDEN "/manifest.json", 1 << 16, &err), *sum;
    const char *file;
    ck_assert_msg(manifest != NULL, "%s", err.text);
    ck_assert_uint_eq(json_object_size(json_object_get(manifest, "sha256")), 9);
    json_object_foreach(json_object_get(manifest, "sha256"), file, sum)
    {
        char hex[65], path[1024];
        snprintf(path, sizeof path, "%s/%s", GOLDEN, file);
        RG_ASSERT_OK(rg_sha256_file(path, hex, &err), &err);
        ck_assert_str_eq(hex, json_string_value(sum));
    }
    json_decref(manifest);
}
END_TEST

/* ---- parity ---- */

typedef struct golden {
    rg_st_reader *reader;
    rg_exec *ex;
    rg_codec codec;
    int64_t frames, equal_frames; /* of all cases */
    double worst;                 /* difference of audio */
} golden;

static const rg_st_tensor *find(const golden *g, const char *sound, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", sound, what);
    const rg_st_tensor *t = rg_st_find(g->reader, name);
    ck_assert_msg(t != NULL, "no %s", name);
    return t;
}

static void *values_of(const golden *g, const rg_st_tensor *t)
{
    rg_error err = {0};
    void *data = malloc((size_t)t->bytes + 1);
    RG_ASSERT_OK(rg_st_read(g->reader, t, data, &err), &err);
    return data;
}

/* Their (chunks,K,F) against our (chunks,F,K). */
static void compare_codes(golden *g, const rg_st_tensor *t, const int32_t *theirs,
                          const int32_t *ours)
{
    const int64_t books = t->shape.dim[1], frames = t->shape.dim[2];
    for (int64_t c = 0; c < t->shape.dim[0]; c++)
        for (int64_t f = 0; f < frames; f++) {
            bool same = true;
            for (int64_t k = 0; k < books; k++)
                same = same &&
                       theirs[(c * books + k) * frames + f] == ours[(c * frames + f) * books + k];
            g->frames++;
            g->equal_frames += same;
        }
}

static void check_encode(golden *g, const char *sound, const char *codes)
{
    const rg_st_tensor *t = find(g, sound, codes), *x = find(g, sound, "x");
    const int64_t n = x->shape.dim[0];
    const rg_codec_cut cut = rg_codec_cut_of(&g->codec.config, n);
    ck_assert_int_eq(t->shape.dim[0], cut.chunks);
    ck_assert_int_eq(t->shape.dim[1], g->codec.config.codebooks);
    ck_assert_int_eq(t->shape.dim[2], cut.frames);
    float *samples = values_of(g, x), *scale = values_of(g, find(g, sound, "scale"));
    int32_t *theirs = values_of(g, t), *ours = malloc((size_t)t->bytes);
    float *scales = malloc((size_t)cut.chunks * sizeof *scales);
    rg_status status = rg_codec_encode_chunks(g->ex, &g->codec, samples, n,
                                              g->codec.config.codebooks, ours, scales);
    RG_ASSERT_OK(status, &g->ex->error);
    compare_codes(g, t, theirs, ours);
    for (int64_t c = 0; c < cut.chunks; c++)
        RG_ASSERT_NEAR((double)scales[c], (double)scale[c], 1e-6 * (double)scale[c]);
    free(samples), free(scale), free(theirs), free(ours), free(scales);
}

/* Decodes the golden's own codes, so that a code that differs is not counted twice. */
static void check_decode(golden *g, const char *sound, const rg_st_tensor *audio, int32_t n_q)
{
    const rg_st_tensor *t = find(g, sound, "codes64");
    const int64_t n = audio->shape.dim[0], channels = audio->shape.dim[1];
    const int64_t parts = t->shape.dim[0], books = t->shape.dim[1], frames = t->shape.dim[2];
    int32_t *theirs = values_of(g, t), *codes = malloc((size_t)t->bytes + 1);
    float *scale = values_of(g, find(g, sound, "scale")), *want = values_of(g, audio);
    float *out = malloc((size_t)(n * channels) * sizeof *out);
    for (int64_t i = 0; i < parts * frames * n_q; i++)
        codes[i] = theirs[(i / n_q / frames * books + i % n_q) * frames + i / n_q % frames];
    rg_status status = rg_codec_decode_chunks(g->ex, &g->codec, codes, scale, n_q, out, n);
    RG_ASSERT_OK(status, &g->ex->error);
    for (int64_t i = 0; i < n * channels; i++) {
        const double difference = fabs((double)out[i] - (double)want[i]);
        if (!(difference <= g->worst)) g->worst = difference;
    }
    free(theirs), free(codes), free(scale), free(want), free(out);
}

/* All sounds of a shape; how many bandwidths were decoded. */
static int32_t check_shape(golden *g, const char *shape, bool reference64)
{
    rg_error err = {0};
    int32_t decoded = 0;
    *g = (golden){.ex = make_exec(reference64)};
    g->codec = load(g->ex, in_golden(shape, ""));
    g->reader = rg_st_open(in_golden(shape, "golden.safetensors"), &err);
    ck_assert_msg(g->reader != NULL, "%s", err.text);
    for (size_t i = 0; i < rg_st_count(g->reader); i++) {
        const rg_st_tensor *t = rg_st_at(g->reader, i);
        char sound[32];
        const char *audio = strstr(t->name, ".audio.");
        snprintf(sound, sizeof sound, "%.*s", (int)strcspn(t->name, "."), t->name);
        if (!strcmp(t->name + strlen(sound), ".x"))
            check_encode(g, sound, reference64 ? "codes64" : "codes");
        if (!audio) continue;
        check_decode(g, sound, t, (int32_t)strtol(audio + 7, NULL, 10));
        decoded += !strcmp(sound, "odd");
    }
    ck_assert_int_gt(g->frames, 20);
    rg_st_close(g->reader);
    rg_codec_free(&g->codec);
    rg_exec_destroy(g->ex);
    return decoded;
}

START_TEST(codes_and_sound_are_the_peers)
{
    static const int32_t bandwidths[] = {5, 1, 4};
    for (int32_t s = 0; s < SHAPES; s++) {
        golden g;
        ck_assert_int_eq(check_shape(&g, shapes[s], false), bandwidths[s]);
        ck_assert_msg((double)g.equal_frames >= 0.999 * (double)g.frames, "%s: %lld of %lld frames",
                      shapes[s], (long long)g.equal_frames, (long long)g.frames);
        ck_assert_msg(g.worst <= 1e-4, "%s: %g", shapes[s], g.worst);
    }
}
END_TEST

START_TEST(in_double_all_codes_are_the_peers)
{
    for (int32_t s = 0; s < SHAPES; s++) {
        golden g;
        check_shape(&g, shapes[s], true);
        ck_assert_msg(g.equal_frames == g.frames, "%s: %lld of %lld frames", shapes[s],
                      (long long)g.equal_frames, (long long)g.frames);
        ck_assert_msg(g.worst <= 2e-6, "%s: %g", shapes[s], g.worst);
    }
}
END_TEST

/* ---- files ---- */

static const char *path_of(const char *name)
{
    static char paths[8][700];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", rg_test_folder(), name);
    return path;
}

/* Their folder, our bundle, their folder, our bundle: the second bundle is the first. */
START_TEST(import_and_export_keep_the_model)
{
    rg_error err = {0};
    rg_exec *ex = make_exec(false);
    for (int32_t s = 0; s < SHAPES; s++) {
        char names[3][32];
        const char *paths[3];
        for (int32_t i = 0; i < 3; i++) {
            snprintf(names[i], sizeof names[i], "%s-%d", shapes[s], (int)i);
            paths[i] = path_of(names[i]);
        }
        rg_codec first, second;
        const rg_hf_options options = {.role = "music", .keep_training_state = true};
        RG_ASSERT_OK(rg_hf_import(in_golden(shapes[s], ""), paths[0], &options, ex, NULL, &err),
                     &err);
        RG_ASSERT_OK(rg_codec_open(paths[0], ex, &first, &err), &err);
        ck_assert_str_eq(first.role, "music");
        RG_ASSERT_OK(rg_hf_export(&first, paths[1], &err), &err);
        RG_ASSERT_OK(rg_hf_import(paths[1], paths[2], &options, ex, NULL, &err), &err);
        snprintf(names[0], sizeof names[0], "%s-2:music", shapes[s]);
        RG_ASSERT_OK(rg_codec_open(path_of(names[0]), ex, &second, &err), &err);
        ck_assert_str_eq(first.hash, second.hash);
        rg_codec_free(&first);
        rg_codec_free(&second);
    }
    rg_exec_destroy(ex);
}
END_TEST

/* Without training state each entry counts once; with it, as in the file. */
START_TEST(training_state_is_kept_when_asked_for)
{
    rg_error err = {0};
    rg_exec *ex = make_exec(false);
    for (int keep = 0; keep < 2; keep++) {
        rg_codec codec;
        const rg_hf_options options = {.keep_training_state = keep};
        RG_ASSERT_OK(rg_hf_load(in_golden("24khz", ""), &options, ex, NULL, &codec, &err), &err);
        const rg_quantizer *q = rg_encodec_quantizer(codec.model);
        const float *size = q->cluster_size->data, *sums = q->sums->data, *books = q->books->data;
        ck_assert(rg_quantizer_started(q));
        ck_assert((size[17] == 1) == !keep);
        const double row = (double)books[17 * 8 + 3] * (double)size[17];
        RG_ASSERT_NEAR((double)sums[17 * 8 + 3], row, 1e-5);
        rg_codec_free(&codec);
    }
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(a_bundle_of_a_codec_is_found_by_role)
{
    rg_error err = {0};
    rg_exec *ex = make_exec(false);
    rg_codec codec;
    rg_bundle bundle;
    const char *folder = path_of("bundle");
    const rg_hf_options options = {.role = "music"};
    RG_ASSERT_OK(rg_hf_import(in_golden("24khz", ""), folder, &options, ex, NULL, &err), &err);
    ck_assert_int_ne(rg_codec_open(path_of("bundle:bass"), ex, &codec, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "'bass'") && strstr(err.text, "music"), "%s", err.text);
    rg_error_clear(&err);
    ck_assert_int_ne(rg_codec_open(path_of("nothing"), ex, &codec, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "does not exist") != NULL, "%s", err.text);
    rg_error_clear(&err);
    ck_assert_int_ne(rg_bundle_open(&bundle, folder, ex, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "codec alone") != NULL, "%s", err.text);
    rg_error_clear(&err);
    ck_assert_int_ne(rg_hf_import(in_golden("24khz", ""), folder, &options, ex, NULL, &err), RG_OK);
    RG_ASSERT_OK(rg_codec_open(path_of("bundle/codec-music.safetensors"), ex, &codec, &err), &err);
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}
END_TEST

/* ---- what is wrong is named ---- */

typedef struct change {
    const char *name; /* tensor */
    enum { DROP, RENAME, RESHAPE, RETYPE, NOT_A_NUMBER } what;
    const char *words[3]; /* all in the error */
} change;

/* A copy of a shape's model with one tensor changed. */
static void write_changed(const char *shape, const char *folder, const change *c)
{
    rg_error err = {0};
    char path[1024], *config;
    size_t n;
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    RG_ASSERT_OK(rg_fs_read_all(in_golden(shape, "config.json"), 1 << 16, &config, &n, &err), &err);
    snprintf(path, sizeof path, "%s/config.json", folder);
    RG_ASSERT_OK(rg_fs_write_atomic(path, config, n, &err), &err);
    free(config);
    rg_st_reader *r = rg_st_open(in_golden(shape, "model.safetensors"), &err);
    rg_st_writer *w = rg_st_writer_create(&err);
    char **data = calloc(rg_st_count(r), sizeof *data);
    for (size_t i = 0; i < rg_st_count(r); i++) {
        const rg_st_tensor *t = rg_st_at(r, i);
        const bool hit = !strcmp(t->name, c->name);
        data[i] = malloc((size_t)t->bytes + 1);
        RG_ASSERT_OK(rg_st_read(r, t, data[i], &err), &err);
        if (hit && c->what == DROP) continue;
        if (hit && c->what == NOT_A_NUMBER) ((float *)(void *)data[i])[2] = NAN;
        rg_shape changed = t->shape;
        if (hit && c->what == RESHAPE)
            changed.dim[0] = t->shape.dim[1], changed.dim[1] = t->shape.dim[0];
        rg_st_add(w, hit && c->what == RENAME ? "encoder.layers.77.bias" : t->name,
                  hit && c->what == RETYPE ? RG_I32 : t->dtype, changed, data[i]);
    }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    RG_ASSERT_OK(rg_st_write(w, path, &err), &err);
    for (size_t i = 0; i < rg_st_count(r); i++) free(data[i]);
    free(data);
    rg_st_close(r);
}

static void count_line(void *ctx, rg_log_level level, const char *text)
{
    (void)level, (void)text;
    ++*(int *)ctx;
}

static void expect_refused(rg_exec *ex, const char *folder, const char *const words[3])
{
    rg_error err = {0};
    const char *out = path_of("out");
    ck_assert_int_ne(rg_hf_import(folder, out, &(rg_hf_options){0}, ex, NULL, &err), RG_OK);
    for (int i = 0; i < 3 && words[i]; i++)
        ck_assert_msg(strstr(err.text, words[i]) != NULL, "no '%s' in: %s", words[i], err.text);
    ck_assert(strchr(err.text, '\n') == NULL);
    ck_assert(!rg_fs_exists(out));
}

START_TEST(wrong_tensors_are_named)
{
    static const change rows[] = {
        {"encoder.layers.3.conv.weight_v",
         DROP,
         {"encoder.layers.3.conv.weight_v", "(4,2,4)", "missing"}},
        {"encoder.layers.3.conv.bias", RENAME, {"encoder.layers.3.conv.bias", "missing", "1 more"}},
        {"decoder.layers.3.conv.weight_v", RESHAPE, {"(16,32,16)", "(32,16,16)", "expected"}},
        {"encoder.layers.13.lstm.weight_hh_l1", RETYPE, {"weight_hh_l1", "I32", "fraction"}},
        {"quantizer.layers.31.codebook.embed", DROP, {"layers.31.codebook.embed", "missing", NULL}},
        {"encoder.layers.0.conv.weight_v", NOT_A_NUMBER, {"layers.0.conv.weight_v", "number 2", 0}},
    };
    rg_exec *ex = make_exec(false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[32];
        snprintf(name, sizeof name, "model-%zu", i);
        write_changed("24khz", path_of(name), &rows[i]);
        expect_refused(ex, path_of(name), rows[i].words);
    }
    rg_error err = {0};
    rg_codec codec;
    int lines = 0;
    const rg_log log = {count_line, &lines};
    ck_assert_int_ne(rg_hf_load(path_of("model-1"), &(rg_hf_options){0}, ex, &log, &codec, &err),
                     RG_OK);
    ck_assert_int_eq(lines, 2); /* the one that is missing and the one that is not known */
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(other_files_are_refused_by_what_is_wanted)
{
    static const struct {
        const char *file, *text, *words[3];
    } rows[] = {
        {"compression_state_dict.bin",
         "\x80\x02}q\x01X\npretrained facebook/encodec_32khzq\x02.",
         {"points to another", "facebook/encodec_32khz", "config.json"}},
        {"pytorch_model.bin", "PK\x03\x04", {"pytorch_model.bin", "pickle", "model.safetensors"}},
        {"model.safetensors",
         "version https://git-lfs.github.com/spec/v1\n",
         {"git-lfs", "pull", 0}},
        {"model.safetensors.index.json", "{}", {"several files", NULL, NULL}},
        {"notes.txt", "hello", {"has no model.safetensors", "config.json", NULL}},
        {"model.safetensors", "\x10", {"model.safetensors", NULL, NULL}},
    };
    rg_exec *ex = make_exec(false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rg_error err = {0};
        char folder[32], file[64];
        snprintf(folder, sizeof folder, "other-%zu", i);
        RG_ASSERT_OK(rg_fs_make_folders(path_of(folder), &err), &err);
        snprintf(file, sizeof file, "%s/config.json", folder);
        RG_ASSERT_OK(rg_fs_write_atomic(path_of(file), "{\"model_type\":\"encodec\"}", 24, &err),
                     &err);
        snprintf(file, sizeof file, "%s/%s", folder, rows[i].file);
        RG_ASSERT_OK(rg_fs_write_atomic(path_of(file), rows[i].text, strlen(rows[i].text), &err),
                     &err);
        expect_refused(ex, path_of(folder), rows[i].words);
    }
    expect_refused(ex, path_of("other-1/pytorch_model.bin"), rows[1].words);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(wrong_configurations_are_named)
{
    static const struct {
        const char *json, *word;
    } rows[] = {
        {"[", "config.json"},
        {"{}", "model_type"},
        {"{\"model_type\":\"dac\"}", "dac"},
        {"{\"model_type\":\"encodec\",\"num_filters\":\"32\"}", "num_filters must be a whole"},
        {"{\"model_type\":\"encodec\",\"num_filters\":null}", "num_filters must be a whole"},
        {"{\"model_type\":\"encodec\",\"num_filters\":99999}", "filters is 99999"},
        {"{\"model_type\":\"encodec\",\"num_filters\":9999999999999}", "out of range"},
        {"{\"model_type\":\"encodec\",\"upsampling_ratios\":[8,\"5\"]}", "upsampling_ratios"},
        {"{\"model_type\":\"encodec\",\"upsampling_ratios\":[]}", "upsampling_ratios"},
        {"{\"model_type\":\"encodec\",\"use_causal_conv\":1}", "use_causal_conv must be true"},
        {"{\"model_type\":\"encodec\",\"norm_type\":\"batch\"}", "batch"},
        {"{\"model_type\":\"encodec\",\"codebook_dim\":64}", "codebook_dim"},
        {"{\"model_type\":\"encodec\",\"chunk_length_s\":1.0}", "without overlap"},
        {"{\"model_type\":\"encodec\",\"target_bandwidths\":[1e300]}", "bandwidths"},
        {"{\"model_type\":\"encodec\",\"target_bandwidths\":[48.0]}", "64 codebooks"},
        {"{\"model_type\":\"encodec\",\"codebook_size\":2048}", "expected"},
    };
    rg_exec *ex = make_exec(false);
    static const change none = {"", DROP, {0}};
    write_changed("24khz", path_of("model"), &none);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rg_error err = {0};
        const char *const words[3] = {rows[i].word, NULL, NULL};
        RG_ASSERT_OK(rg_fs_write_atomic(path_of("model/config.json"), rows[i].json,
                                        strlen(rows[i].json), &err),
                     &err);
        expect_refused(ex, path_of("model"), words);
    }
    rg_exec_destroy(ex);
}
END_TEST

/* What transformers cannot build is not written for it. */
START_TEST(exports_that_cannot_be_loaded_are_refused)
{
    rg_error err = {0};
    rg_exec *ex = make_exec(false);
    rg_codec codec = load(ex, in_golden("24khz", ""));
    const rg_encodec_config kept = codec.config;
    codec.config.entries = 15;
    ck_assert_int_eq(rg_hf_export(&codec, path_of("out"), &err), RG_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "power of two") != NULL, "%s", err.text);
    rg_error_clear(&err);
    codec.config = kept, codec.config.lstm_layers = 0;
    ck_assert_int_eq(rg_hf_export(&codec, path_of("out"), &err), RG_ERR_UNSUPPORTED);
    rg_error_clear(&err);
    codec.config = kept, codec.config.codebooks = 31;
    ck_assert_int_eq(rg_hf_export(&codec, path_of("out"), &err), RG_ERR_UNSUPPORTED);
    ck_assert(!rg_fs_exists(path_of("out")));
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}
END_TEST

RG_TEST_MAIN("models/hf", 300, goldens_are_those_of_the_manifest, codes_and_sound_are_the_peers,
             in_double_all_codes_are_the_peers, import_and_export_keep_the_model,
             training_state_is_kept_when_asked_for, a_bundle_of_a_codec_is_found_by_role,
             wrong_tensors_are_named, other_files_are_refused_by_what_is_wanted,
             wrong_configurations_are_named, exports_that_cannot_be_loaded_are_refused)
