/*
 * Codecs and codes in files: what is written is read, and what does not belong is refused.
 */
#include "base/fs.h"
#include "models/codec_codes.h"
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
    c.sample_rate = 8000;
    c.filters = 4;
    c.dimension = 8;
    c.n_ratios = 4;
    c.ratios[0] = 5;
    c.ratios[1] = c.ratios[2] = 4;
    c.ratios[3] = 2;
    c.codebooks = 3;
    c.entries = 16;
    return c;
}

static const char *path_of(const char *name)
{
    static char paths[8][700];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", rg_test_folder(), name);
    return path;
}

/* What checkpoints say of the band: a member of the task's state, or nothing. */
static const char *band_text = "";

/* The checkpoint of a codec run of role `role`, with weights from `seed`; `started` false: before
 * its quantizer. */
static const char *make_checkpoint(rg_exec *ex, const char *name, const char *role, uint64_t seed,
                                   bool started)
{
    rg_error err = {0};
    rg_encodec_config c = small_config();
    rg_params *params = rg_params_create(&err);
    rg_encodec *model = rg_encodec_create(params, "", &c, &err);
    ck_assert_msg(model != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(params, ex, seed, true, &err), &err);
    const rg_quantizer *q = rg_encodec_quantizer(model);
    rg_rng rng = rg_rng_make(seed, 4);
    rg_rng_fill_normal(&rng, q->books->data, rg_shape_count(q->books->shape), 0, 0.1F);
    for (int32_t k = 0; k < 3; k++) ((int32_t *)q->started->data)[k] = started;
    char extra[2048], *json = rg_encodec_config_to_json(&c);
    snprintf(extra, sizeof extra, "{\"best\":1,\"task\":{\"codec\":%s,\"role\":\"%s\"%s}}", json,
             role, band_text);
    rg_checkpoint state = {.step = 10, .extra = extra};
    const char *path = path_of(name);
    RG_ASSERT_OK(rg_checkpoint_save(path, params, &state, &err), &err);
    free(json);
    rg_encodec_destroy(model);
    rg_params_destroy(params);
    return path;
}

static rg_codec load(rg_exec *ex, const char *path)
{
    rg_error err = {0};
    rg_codec codec;
    RG_ASSERT_OK(rg_codec_load(path, ex, &codec, &err), &err);
    return codec;
}

static rg_audio tone(int64_t frames, int32_t channels, int32_t rate)
{
    rg_error err = {0};
    rg_audio a;
    RG_ASSERT_OK(rg_audio_make(&a, frames, channels, rate, &err), &err);
    for (int64_t i = 0; i < frames * channels; i++) {
        double t = (double)(i / channels) / rate, hz = 110.0 * (double)(1 + i % channels);
        a.samples[i] = (float)(0.3 * sin(6.283185307 * hz * t));
    }
    return a;
}

/* Loading the checkpoint and loading its export give one codec: the same hash, the same codes. */
START_TEST(export_keeps_the_codec)
{
    rg_error err = {0};
    rg_exec *ex = make_exec();
    const char *checkpoint = make_checkpoint(ex, "run.safetensors", "bass", 5, true);
    const char *file = path_of("codec-bass.safetensors");
    RG_ASSERT_OK(rg_codec_export(checkpoint, file, ex, &err), &err);
    rg_codec a = load(ex, checkpoint), b = load(ex, file);
    ck_assert_str_eq(a.hash, b.hash);
    ck_assert_uint_eq(strlen(a.hash), 64);
    ck_assert_str_eq(b.role, "bass");
    ck_assert_int_eq(b.config.codebooks, 3);
    ck_assert(rg_fs_size(file) < rg_fs_size(checkpoint));
    rg_audio x = tone(8000, 1, 8000);
    int32_t codes_a[50 * 3], codes_b[50 * 3];
    ck_assert_int_eq(rg_codec_encode_audio(ex, &a, x.samples, 8000, codes_a), RG_OK);
    ck_assert_int_eq(rg_codec_encode_audio(ex, &b, x.samples, 8000, codes_b), RG_OK);
    ck_assert_mem_eq(codes_a, codes_b, sizeof codes_a);
    rg_audio_free(&x);
    rg_codec_free(&a);
    rg_codec_free(&b);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(the_band_stays_with_the_codec)
{
    rg_error err = {0};
    rg_exec *ex = make_exec();
    rg_codec codec = load(ex, make_checkpoint(ex, "old.safetensors", "bass", 5, true));
    ck_assert(codec.band[0] == 0 && codec.band[1] == 4000); /* half the rate */
    rg_codec_free(&codec);

    band_text = ",\"band\":[23,1970.5]";
    const char *file = path_of("codec-band.safetensors");
    const char *checkpoint = make_checkpoint(ex, "band.safetensors", "bass", 5, true);
    RG_ASSERT_OK(rg_codec_export(checkpoint, file, ex, &err), &err);
    codec = load(ex, file);
    ck_assert(codec.band[0] == 23 && codec.band[1] == 1970.5);
    rg_codec_free(&codec);

    static const char *const wrong[] = {",\"band\":[2000,23]", ",\"band\":[23]",
                                        ",\"band\":\"low\"", ",\"band\":[-1,23]"};
    for (int i = 0; i < 4; i++) {
        band_text = wrong[i];
        rg_error_clear(&err);
        checkpoint = make_checkpoint(ex, "wrong.safetensors", "bass", 5, true);
        ck_assert_int_eq(rg_codec_load(checkpoint, ex, &codec, &err), RG_ERR_FORMAT);
        ck_assert_msg(strstr(err.text, "band") != NULL, "%s", err.text);
    }
    band_text = "";
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(what_is_no_codec_is_refused)
{
    rg_error err = {0};
    rg_exec *ex = make_exec();
    rg_codec codec;
    const char *early = make_checkpoint(ex, "early.safetensors", "bass", 5, false);
    ck_assert_int_eq(rg_codec_load(early, ex, &codec, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "later checkpoint") != NULL, "%s", err.text);
    ck_assert(codec.params == NULL && codec.model == NULL);

    rg_error_clear(&err);
    ck_assert_int_ne(rg_codec_load(path_of("none.safetensors"), ex, &codec, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "none.safetensors") != NULL, "%s", err.text);

    rg_error_clear(&err);
    float data[4] = {0};
    rg_st_writer *writer = rg_st_writer_create(&err);
    rg_st_add(writer, "x", RG_F32, RG_SHAPE(4), data);
    const char *other = path_of("other.safetensors");
    RG_ASSERT_OK(rg_st_write(writer, other, &err), &err);
    ck_assert_int_eq(rg_codec_load(other, ex, &codec, &err), RG_ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "holds no codec") != NULL, "%s", err.text);
    rg_exec_destroy(ex);
}
END_TEST

/* 44.1 kHz stereo FLAC-like input: the channels stay apart, the length and rate are the codec's. */
START_TEST(codes_round_trip_through_a_file)
{
    rg_error err = {0};
    rg_exec *ex = make_exec();
    rg_codec codec = load(ex, make_checkpoint(ex, "run.safetensors", "bass", 5, true));
    rg_audio x = tone(44100 + 123, 2, 44100), y;
    const char *wav = path_of("in.wav"), *file = path_of("codes.safetensors");
    RG_ASSERT_OK(rg_audio_write_wav(wav, &x, RG_PCM_F32, NULL, &err), &err);
    RG_ASSERT_OK(rg_codec_encode_file(ex, &codec, wav, 0, file, &err), &err);

    rg_codes codes;
    RG_ASSERT_OK(rg_codes_read(file, &codes, &err), &err);
    ck_assert_int_eq(codes.channels, 2);
    ck_assert_int_eq(codes.codebooks, 3);
    ck_assert_int_eq(codes.sample_rate, 8000);
    ck_assert_int_eq(codes.samples, 8022);
    ck_assert_int_eq(codes.frames, 51);
    ck_assert_str_eq(codes.model_hash, codec.hash);
    ck_assert_str_eq(codes.role, "bass");
    RG_ASSERT_NEAR(codes.frame_rate, 50, 0);
    ck_assert(memcmp(codes.codes, codes.codes + 51 * 3, 51 * 3 * sizeof(int32_t)) != 0);

    const char *out = path_of("out.wav");
    RG_ASSERT_OK(rg_codec_decode_file(ex, &codec, file, out, false, NULL, &err), &err);
    RG_ASSERT_OK(rg_audio_read(out, &y, &err), &err);
    ck_assert_int_eq(y.channels, 2);
    ck_assert_int_eq(y.rate, 8000);
    ck_assert_int_eq(y.frames, 8022);
    float direct[8022];
    ck_assert_int_eq(rg_codec_decode_audio(ex, &codec, codes.codes + 51 * 3, 51, direct, 8022),
                     RG_OK);
    for (int32_t i = 0; i < 8022; i++) {
        RG_ASSERT_NEAR((double)y.samples[2 * i + 1], (double)direct[i], 2.0 / 32768);
    }
    rg_audio_free(&x);
    rg_audio_free(&y);
    rg_codes_free(&codes);
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(codes_of_another_codec_are_refused)
{
    rg_error err = {0};
    rg_exec *ex = make_exec();
    rg_codec a = load(ex, make_checkpoint(ex, "a.safetensors", "bass", 5, true));
    rg_codec b = load(ex, make_checkpoint(ex, "b.safetensors", "melody", 6, true));
    ck_assert_str_ne(a.hash, b.hash);
    rg_audio x = tone(4000, 1, 8000);
    const char *wav = path_of("in.wav"), *file = path_of("codes.safetensors");
    RG_ASSERT_OK(rg_audio_write_wav(wav, &x, RG_PCM_F32, NULL, &err), &err);
    RG_ASSERT_OK(rg_codec_encode_file(ex, &a, wav, 0, file, &err), &err);
    ck_assert_int_eq(rg_codec_decode_file(ex, &b, file, path_of("out.wav"), false, NULL, &err),
                     RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "codes.safetensors") && strstr(err.text, "role bass") &&
                      strstr(err.text, "role melody"),
                  "%s", err.text);
    ck_assert(!rg_fs_exists(path_of("out.wav")));
    rg_audio_free(&x);
    rg_codec_free(&a);
    rg_codec_free(&b);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(an_empty_sound_makes_an_empty_file)
{
    rg_error err = {0};
    rg_exec *ex = make_exec();
    rg_codec codec = load(ex, make_checkpoint(ex, "run.safetensors", "bass", 5, true));
    rg_audio x = tone(0, 1, 8000), y;
    rg_codes codes, back;
    RG_ASSERT_OK(rg_codes_from_audio(ex, &codec, &x, 0, &codes, &err), &err);
    ck_assert_int_eq(codes.frames, 0);
    const char *file = path_of("codes.safetensors");
    RG_ASSERT_OK(rg_codes_write(&codes, file, &err), &err);
    RG_ASSERT_OK(rg_codes_read(file, &back, &err), &err);
    RG_ASSERT_OK(rg_codes_to_audio(ex, &codec, &back, &y, &err), &err);
    ck_assert_int_eq(y.frames, 0);
    rg_codes_free(&codes);
    rg_codes_free(&back);
    rg_audio_free(&x);
    rg_audio_free(&y);
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}
END_TEST

/* One wrong member of the metadata at a time. */
START_TEST(malformed_code_files_are_refused_by_name)
{
    static const struct {
        const char *key, *value, *word;
    } rows[] = {
        {"format", "something", "codec encode"},
        {"version", "2.0", "newer"},
        {"channels", "0", "channels"},
        {"channels", "2", "(channels * codebooks"},
        {"samples", "-1", "samples"},
        {"sample_rate", "eight", "sample_rate"},
        {"frame_rate", "0", "frame_rate"},
        {"samples", "999999", "do not fit"},
    };
    rg_exec *ex = make_exec();
    rg_codec codec = load(ex, make_checkpoint(ex, "run.safetensors", "bass", 5, true));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *keys[] = {"format",   "version",     "model_hash", "role",
                              "channels", "sample_rate", "samples",    "frame_rate"};
        const char *values[] = {"resonant-codes", "1.0", codec.hash, "bass", "1",
                                "8000",           "320", "50"};
        rg_error err = {0};
        int32_t data[3 * 2] = {0};
        rg_st_writer *writer = rg_st_writer_create(&err);
        rg_st_add(writer, "codes", RG_I32, RG_SHAPE(3, 2), data);
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            bool wrong = !strcmp(keys[k], rows[i].key);
            rg_st_add_metadata(writer, keys[k], wrong ? rows[i].value : values[k]);
        }
        const char *file = path_of("codes.safetensors");
        RG_ASSERT_OK(rg_st_write(writer, file, &err), &err);
        ck_assert_int_ne(
            rg_codec_decode_file(ex, &codec, file, path_of("out.wav"), false, NULL, &err), RG_OK);
        ck_assert_msg(strstr(err.text, rows[i].word) != NULL, "%s", err.text);
    }
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}
END_TEST

RG_TEST_MAIN("models/codec_files", 120, export_keeps_the_codec, the_band_stays_with_the_codec,
             what_is_no_codec_is_refused, codes_round_trip_through_a_file,
             codes_of_another_codec_are_refused, an_empty_sound_makes_an_empty_file,
             malformed_code_files_are_refused_by_name)
