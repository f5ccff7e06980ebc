/*
 * The codec as a model: configuration, shapes, causality, long signals.
 */
#include "models/encodec.h"

#include "test.h"

static rg_exec *make_exec(void)
{
    rg_error err = {0};
    rg_exec *ex =
        rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_cpu(&err), .seed = 1}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    return ex;
}

static rg_encodec_config small_config(void)
{
    rg_encodec_config c = rg_encodec_defaults();
    c.sample_rate = 1000;
    c.filters = 4;
    c.dimension = 8;
    c.n_ratios = 2;
    c.ratios[0] = 5;
    c.ratios[1] = 4;
    c.codebooks = 2;
    c.entries = 16;
    return c;
}

/* A codec with random codebooks, as if trained. */
static rg_codec make_codec(rg_exec *ex, const rg_encodec_config *config)
{
    rg_error err = {0};
    rg_codec codec = {.config = *config, .params = rg_params_create(&err)};
    codec.model = rg_encodec_create(codec.params, "", config, &err);
    ck_assert_msg(codec.model != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(codec.params, ex, 7, false, &err), &err);
    const rg_quantizer *q = rg_encodec_quantizer(codec.model);
    rg_rng rng = rg_rng_make(4, 4);
    rg_rng_fill_normal(&rng, q->books->data, rg_shape_count(q->books->shape), 0, 0.1F);
    for (int32_t k = 0; k < q->n_books; k++) ((int32_t *)q->started->data)[k] = 1;
    return codec;
}

static float *noise(int64_t n, uint64_t stream)
{
    float *x = malloc((size_t)n * sizeof *x);
    rg_rng rng = rg_rng_make(9, stream);
    rg_rng_fill_normal(&rng, x, n, 0, 0.2F);
    return x;
}

START_TEST(rates_follow_from_the_configuration)
{
    rg_encodec_config c = small_config();
    ck_assert_int_eq(rg_encodec_hop(&c), 20);
    RG_ASSERT_NEAR(rg_encodec_frame_rate(&c), 50, 0);
    RG_ASSERT_NEAR(rg_encodec_bitrate(&c), 2 * 4 * 50, 1e-9);
}
END_TEST

START_TEST(wrong_configurations_are_refused_by_name)
{
    static const struct {
        size_t offset;
        int32_t value;
        const char *word;
    } rows[] = {
        {offsetof(rg_encodec_config, filters), 0, "filters"},
        {offsetof(rg_encodec_config, codebooks), 33, "codebooks"},
        {offsetof(rg_encodec_config, lstm_layers), 9, "lstm_layers"},
        {offsetof(rg_encodec_config, entries), 1, "entries"},
        {offsetof(rg_encodec_config, ratios), 3, "15"},
        {offsetof(rg_encodec_config, n_ratios), 0, "ratios"},
        {offsetof(rg_encodec_config, compress), 8, "compress"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rg_error err = {0};
        rg_encodec_config c = small_config();
        c.ratios[1] = rows[i].value == 3 ? 5 : 4; /* product 15 does not divide 1000 */
        memcpy((char *)&c + rows[i].offset, &rows[i].value, sizeof(int32_t));
        ck_assert_int_eq(rg_encodec_check(&c, &err), RG_ERR_CONFIG);
        ck_assert_msg(strstr(err.text, rows[i].word) != NULL, "%s", err.text);
    }
}
END_TEST

START_TEST(configuration_round_trip_through_json)
{
    rg_error err = {0};
    rg_encodec_config c = small_config(), back;
    c.causal = true;
    c.conv_shortcut = true;
    c.pad_mode = RG_PAD_REFLECT;
    c.trim_right_ratio = 0.25;
    c.norm = RG_CONV_TIME_GROUP_NORM;
    c.normalize = true;
    c.chunk_seconds = 1;
    c.chunk_overlap = 0.01;
    c.n_bandwidths = 2;
    c.bandwidths[0] = 0.2;
    c.bandwidths[1] = 0.4;
    char *json = rg_encodec_config_to_json(&c);
    RG_ASSERT_OK(rg_encodec_config_from_json(json, &back, &err), &err);
    char *again = rg_encodec_config_to_json(&back);
    ck_assert_str_eq(json, again);
    ck_assert(back.causal && back.conv_shortcut && back.pad_mode == RG_PAD_REFLECT);
    ck_assert_int_eq(back.ratios[1], 4);
    ck_assert(back.norm == RG_CONV_TIME_GROUP_NORM && back.normalize && back.n_bandwidths == 2);
    RG_ASSERT_NEAR(back.chunk_overlap, 0.01, 0);
    RG_ASSERT_NEAR(back.bandwidths[1], 0.4, 0);
    free(again);
    free(json);
}
END_TEST

/* Files of before say nothing of norms and chunks. */
START_TEST(what_older_files_lack_is_as_it_was_then)
{
    rg_error err = {0};
    rg_encodec_config c = small_config(), back;
    char *json = rg_encodec_config_to_json(&c), *at = strstr(json, ",\"norm\"");
    ck_assert_msg(at != NULL, "%s", json);
    at[0] = '}', at[1] = 0;
    RG_ASSERT_OK(rg_encodec_config_from_json(json, &back, &err), &err);
    ck_assert(back.norm == RG_CONV_WEIGHT_NORM && !back.normalize && back.n_bandwidths == 0);
    ck_assert(back.chunk_seconds == 0);
    free(json);
}
END_TEST

/* `find` in the JSON text becomes `put`; the refusal must name `word`. */
static void check_refused(const char *find, const char *put, const char *word)
{
    rg_encodec_config c = small_config(), back;
    char *json = rg_encodec_config_to_json(&c), changed[2048];
    char *at = strstr(json, find);
    ck_assert_msg(at != NULL, "no %s in %s", find, json);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - json), json, put, at + strlen(find));
    rg_error err = {0};
    ck_assert_int_ne(rg_encodec_config_from_json(changed, &back, &err), RG_OK);
    ck_assert_msg(strstr(err.text, word) != NULL, "%s", err.text);
    free(json);
}

START_TEST(json_is_refused_by_name)
{
    check_refused("\"filters\"", "\"filtres\"", "filtres");
    check_refused("\"filters\":4,", "", "filters");
    check_refused("\"filters\":4", "\"filters\":\"4\"", "filters");
    check_refused("\"filters\":4", "\"filters\":-4", "filters");
    check_refused("\"causal\":false", "\"causal\":0", "causal");
    check_refused("constant", "mirror", "mirror");
    check_refused("weight_norm", "batch_norm", "batch_norm");
    check_refused("\"normalize\":false", "\"normalize\":1", "normalize");
    check_refused("\"chunk_seconds\":0.0", "\"chunk_seconds\":-1", "chunk_seconds");
    check_refused("\"chunk_seconds\":0.0", "\"chunk_seconds\":0.01", "frame of 20");
    check_refused("\"chunk_overlap\":0.0", "\"chunk_overlap\":1.0", "chunk_overlap");
    check_refused("\"bandwidths\":[]", "\"bandwidths\":[6, 3]", "bandwidths");
    check_refused("\"bandwidths\":[]", "\"bandwidths\":[\"6\"]", "bandwidths");
    check_refused("[5,4]", "[5,\"4\"]", "ratios");
    check_refused("[5,4]", "[5,5,5,5,5,5,5,5,5]", "ratios");
}
END_TEST

/* Frame f of a causal codec, and its output, depend on nothing after sample (f+1) * hop. */
START_TEST(causal_codec_is_causal)
{
    for (int32_t lstm = 0; lstm <= 1; lstm++) {
        rg_exec *ex = make_exec();
        rg_encodec_config c = small_config();
        c.causal = true;
        c.lstm_layers = lstm;
        rg_codec codec = make_codec(ex, &c);
        enum { FRAMES = 30, CUT = 17 };
        float *x = noise(FRAMES * 20, 1), *z[2], *y[2];
        rg_step_begin(ex, 0);
        rg_set_recording(ex, false);
        for (int32_t i = 0; i < 2; i++) {
            if (i) x[CUT * 20] += 1; /* the first sample of frame CUT */
            rg_tensor *in = rg_tensor_from_floats(ex, RG_SHAPE(1, FRAMES * 20, 1), x);
            rg_tensor *latent = rg_encodec_encode(ex, codec.model, in);
            rg_tensor *out = rg_encodec_decode(ex, codec.model, latent, FRAMES * 20);
            ck_assert_msg(out != NULL, "%s", ex->error.text);
            z[i] = latent->data;
            y[i] = out->data;
        }
        ck_assert_mem_eq(z[0], z[1], CUT * 8 * sizeof(float));
        ck_assert_mem_eq(y[0], y[1], CUT * 20 * sizeof(float));
        ck_assert(memcmp(z[0] + CUT * 8, z[1] + CUT * 8, 8 * sizeof(float)) != 0);
        free(x);
        rg_codec_free(&codec);
        rg_exec_destroy(ex);
    }
}
END_TEST

/* What a codec that looks ahead and has an LSTM makes of a long signal has the bits of one pass. */
START_TEST(long_signals_equal_one_pass)
{
    rg_exec *ex = make_exec();
    rg_encodec_config c = small_config();
    c.lstm_layers = 2;
    rg_codec codec = make_codec(ex, &c);
    enum { FRAMES = 1234, SAMPLES = FRAMES * 20 - 7 };
    float *x = noise(SAMPLES, 2), *y = malloc(SAMPLES * sizeof *y);
    int32_t *codes = malloc(FRAMES * 2 * sizeof *codes);
    ck_assert_int_eq(rg_codec_encode_audio(ex, &codec, x, SAMPLES, codes), RG_OK);
    ck_assert_int_eq(rg_codec_decode_audio(ex, &codec, codes, FRAMES, y, SAMPLES), RG_OK);
    rg_set_recording(ex, false);
    rg_tensor *in = rg_tensor_from_floats(ex, RG_SHAPE(1, SAMPLES, 1), x);
    rg_tensor *z = rg_encodec_encode(ex, codec.model, in);
    rg_rvq_out q = rg_rvq(ex, z, rg_encodec_quantizer(codec.model)->books, NULL, 2);
    ck_assert_msg(q.codes != NULL, "%s", ex->error.text);
    ck_assert_mem_eq(codes, q.codes->data, FRAMES * 2 * sizeof *codes);
    z = rg_embedding(ex, q.codes, rg_encodec_quantizer(codec.model)->books);
    rg_tensor *out = rg_encodec_decode(ex, codec.model, z, SAMPLES);
    ck_assert_msg(out != NULL, "%s", ex->error.text);
    rg_tensor_floats(out, 0, SAMPLES, x);
    ck_assert_mem_eq(y, x, SAMPLES * sizeof *y);
    free(x);
    free(y);
    free(codes);
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}
END_TEST

/* Ten times the length needs no more memory, and begins with the same codes. */
START_TEST(memory_is_bounded)
{
    rg_encodec_config c = small_config();
    c.lstm_layers = 1;
    size_t used[2];
    int32_t *codes[2];
    for (int32_t i = 0; i < 2; i++) {
        rg_exec *ex = make_exec();
        rg_codec codec = make_codec(ex, &c);
        int64_t frames = i ? 11000 : 1100;
        float *x = noise(frames * 20, 3), *y = malloc((size_t)frames * 20 * sizeof *y);
        codes[i] = malloc((size_t)frames * 2 * sizeof **codes);
        ck_assert_int_eq(rg_codec_encode_audio(ex, &codec, x, frames * 20, codes[i]), RG_OK);
        ck_assert_int_eq(rg_codec_decode_audio(ex, &codec, codes[i], frames, y, frames * 20),
                         RG_OK);
        used[i] = rg_arena_high_water(ex->step) + rg_arena_high_water(ex->scratch);
        free(x);
        free(y);
        rg_codec_free(&codec);
        rg_exec_destroy(ex);
    }
    ck_assert_msg(used[1] <= used[0], "%zu bytes for 11,000 frames, %zu for 1,100", used[1],
                  used[0]);
    ck_assert_mem_eq(codes[0], codes[1], 1000 * 2 * sizeof **codes); /* not the end's padding */
    free(codes[0]);
    free(codes[1]);
}
END_TEST

START_TEST(absent_and_foreign_codes)
{
    rg_exec *ex = make_exec();
    rg_encodec_config c = small_config();
    rg_codec codec = make_codec(ex, &c);
    int32_t codes[6] = {3, -1, -1, -1, 5, 2};
    float latent[3 * 8], y[60];
    const float *books = rg_encodec_quantizer(codec.model)->books->data;
    ck_assert_int_eq(rg_codec_dequantize(&codec, codes, 3, latent), RG_OK);
    for (int32_t d = 0; d < 8; d++) {
        ck_assert_float_eq(latent[d], books[3 * 8 + d]);
        ck_assert_float_eq(latent[8 + d], 0);
        ck_assert_float_eq(latent[16 + d], books[5 * 8 + d] + books[(16 + 2) * 8 + d]);
    }
    ck_assert_int_eq(rg_codec_decode_audio(ex, &codec, codes, 3, y, 60), RG_OK);
    codes[3] = 16;
    ck_assert_int_eq(rg_codec_dequantize(&codec, codes, 3, latent), RG_ERR_FORMAT);
    ck_assert_int_eq(rg_codec_decode_audio(ex, &codec, codes, 3, y, 60), RG_ERR_FORMAT);
    ck_assert_msg(strstr(ex->error.text, "code 16 at frame 1") != NULL, "%s", ex->error.text);
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}
END_TEST

RG_TEST_MAIN("models/encodec", 120, rates_follow_from_the_configuration,
             wrong_configurations_are_refused_by_name, configuration_round_trip_through_json,
             what_older_files_lack_is_as_it_was_then, json_is_refused_by_name,
             causal_codec_is_causal, long_signals_equal_one_pass, memory_is_bounded,
             absent_and_foreign_codes)
