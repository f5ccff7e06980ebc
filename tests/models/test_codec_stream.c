/*
 * Streams: pieces of any length give the bits of one pass, on every level of this CPU.
 *
 * One idea: what is compared with is the whole signal through rg_encodec_encode and _decode, which
 * knows nothing of streams; a row of `shapes` is a way in which a codec can be built.
 */
#include "failing_alloc.inc"
#include "model_level.h"
#include "models/codec_stream.h"
#include "nn/seanet_stream.h"
#include "test.h"

typedef struct shape {
    const char *name;
    int32_t filters, residual_layers, lstm;
    bool shortcut;
    rg_pad pad;
    double trim;
    int32_t ratios[4];
    bool ahead; /* not causal */
} shape;

static const shape shapes[] = {
    {"plain", 4, 1, 0, false, RG_PAD_ZERO, 1, {5, 4}, false},
    {"lstm", 4, 1, 2, false, RG_PAD_ZERO, 1, {5, 4}, false},
    {"reflect, shortcut, lstm", 4, 1, 2, true, RG_PAD_REFLECT, 1, {5, 4}, false},
    {"dilated residuals", 3, 3, 1, false, RG_PAD_REFLECT, 1, {3, 2}, false},
    {"late decoder", 4, 1, 1, true, RG_PAD_ZERO, 0.25, {4, 3, 2}, false},
    {"wide", 16, 1, 1, true, RG_PAD_REFLECT, 1, {8, 5}, false},
    {"odd", 5, 2, 0, false, RG_PAD_REFLECT, 1, {7, 2}, false},
    {"ahead", 4, 1, 0, false, RG_PAD_ZERO, 1, {5, 4}, true},
    {"ahead, lstm", 4, 1, 2, true, RG_PAD_ZERO, 1, {5, 4}, true},
    {"ahead, reflect, lstm", 4, 1, 2, false, RG_PAD_REFLECT, 1, {8, 5}, true},
    {"ahead, dilated, reflect", 4, 3, 1, true, RG_PAD_REFLECT, 1, {3, 2, 2}, true},
    {"ahead, wide strides", 16, 2, 1, false, RG_PAD_REFLECT, 1, {11}, true},
    {"ahead, 32 kHz strides", 2, 1, 2, false, RG_PAD_REFLECT, 1, {8, 5, 4, 4}, true},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static rg_encodec_config config_of(const shape *s)
{
    rg_encodec_config c = rg_encodec_defaults();
    c.filters = s->filters, c.dimension = 8, c.codebooks = 3, c.entries = 16;
    c.causal = !s->ahead, c.conv_shortcut = s->shortcut, c.pad_mode = s->pad;
    c.residual_layers = s->residual_layers, c.lstm_layers = s->lstm, c.trim_right_ratio = s->trim;
    c.n_ratios = 0;
    for (int i = 0; i < 4 && s->ratios[i]; i++) c.ratios[c.n_ratios++] = s->ratios[i];
    c.sample_rate = 200 * rg_encodec_hop(&c);
    return c;
}

static rg_exec *make_exec(const rg_kernels *kernels, rg_dtype operands, rg_pool *pool)
{
    rg_error err = {0};
    rg_exec_options options = {.kernels = kernels, .operands = operands, .pool = pool, .seed = 1};
    rg_exec *ex = rg_exec_create(&options, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_set_recording(ex, false);
    return ex;
}

/* A codec with random codebooks and biases, as if trained. */
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
    for (size_t i = 0; i < rg_params_count(codec.params); i++) {
        const rg_param *p = rg_params_at(codec.params, i);
        if (!strstr(p->name, ".bias")) continue;
        rg_rng_fill_normal(&rng, rg_param_data(codec.params, p), rg_shape_count(p->shape), 0, 0.1F);
    }
    ck_assert_int_eq(rg_params_refresh(codec.params, ex), RG_OK);
    return codec;
}

static float *noise(int64_t n, uint64_t stream)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    rg_rng rng = rg_rng_make(9, stream);
    rg_rng_fill_normal(&rng, x, n, 0, 0.3F);
    return x;
}

/* ---- how a signal is cut ---- */

enum { RANDOM = -1 };

/* The next piece's length: `size`, or up to 300 rows at random. */
static int64_t next_piece(int64_t size, rg_rng *rng, int64_t left)
{
    int64_t n = size == RANDOM ? (int64_t)rg_rng_below(rng, 300) : size;
    return n < left ? n : left;
}

/* What a network's stream makes of x (rows,c) in pieces; *made: rows of it. */
static float *in_pieces(rg_exec *ex, const rg_seanet *net, const float *x, int64_t rows, int64_t c,
                        int64_t c_out, int64_t most, int64_t size, int64_t *made)
{
    rg_error err = {0};
    rg_rng rng = rg_rng_make(3, (uint64_t)rows);
    rg_seanet_stream *stream = rg_seanet_stream_create(ex, net, &err);
    ck_assert_msg(stream != NULL, "%s", err.text);
    float *out = malloc((size_t)(most * c_out + 1) * sizeof *out);
    for (int32_t round = size != RANDOM; round < 2; round++) { /* it can be used again */
        bool last = false;
        *made = 0;
        for (int64_t at = 0; !last;) {
            int64_t n = next_piece(size, &rng, rows - at);
            rg_mark mark = rg_tape_mark(ex);
            last = at + n == rows;
            rg_tensor *in = rg_tensor_from_floats(ex, RG_SHAPE(1, n, c), x + at * c);
            rg_tensor *y = rg_seanet_stream_run(ex, stream, in, last);
            ck_assert_msg(y != NULL, "%s", ex->error.text);
            ck_assert_int_le(*made + y->shape.dim[1], most);
            rg_tensor_floats(y, 0, rg_shape_count(y->shape), out + *made * c_out);
            *made += y->shape.dim[1];
            at += n;
            rg_tape_rewind(ex, mark);
        }
        rg_seanet_stream_reset(stream);
    }
    rg_seanet_stream_destroy(stream);
    return out;
}

static uint32_t bits(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

/* Pieces of all sizes against one pass. */
static void check_network(rg_exec *ex, const char *what, const rg_seanet *net, int64_t rows,
                          int64_t c, int64_t hop, bool quick)
{
    const int64_t sizes[] = {1, 7, hop - 1, hop, hop + 1, 1000, 100 * hop, RANDOM};
    float *x = noise(rows * c, 1);
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *whole = rg_seanet_run(ex, net, rg_tensor_from_floats(ex, RG_SHAPE(1, rows, c), x));
    ck_assert_msg(whole != NULL, "%s", ex->error.text);
    int64_t want = whole->shape.dim[1], c_out = whole->shape.dim[2], made;
    float *y = malloc((size_t)(want * c_out + 1) * sizeof *y);
    rg_tensor_floats(whole, 0, want * c_out, y);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i] == 0 || (quick && i % 3 != 1)) continue;
        float *z = in_pieces(ex, net, x, rows, c, c_out, want, sizes[i], &made);
        ck_assert_msg(made == want, "%s, pieces of %d: %d rows, expected %d", what, (int)sizes[i],
                      (int)made, (int)want);
        for (int64_t k = 0; k < want * c_out; k++)
            ck_assert_msg(bits(y[k]) == bits(z[k]),
                          "%s, %d rows in pieces of %d: number %d of row %d is %.9g, not %.9g",
                          what, (int)rows, (int)sizes[i], (int)(k % c_out), (int)(k / c_out),
                          (double)z[k], (double)y[k]);
        free(z);
    }
    rg_tape_rewind(ex, mark);
    free(x);
    free(y);
}

static void check_shape(const rg_kernels *kernels, rg_dtype operands, rg_pool *pool, const shape *s)
{
    rg_exec *ex = make_exec(kernels, operands, pool);
    rg_encodec_config c = config_of(s);
    rg_codec codec = make_codec(ex, &c);
    int64_t hop = rg_encodec_hop(&c);
    const int64_t frames[] = {0, 1, 2, 6, 7, 8, 21}, short_by[] = {0, 0, hop - 1, 1, 0, hop / 2, 3};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        char what[160];
        int64_t samples = frames[i] * hop - (short_by[i] < hop ? short_by[i] : 0);
        const char *type = operands == RG_BF16 ? "bf16" : "fp32";
        snprintf(what, sizeof what, "%s, %s, %s: encoder", kernels->name, type, s->name);
        check_network(ex, what, rg_encodec_encoder(codec.model), samples, 1, hop, i < 6);
        snprintf(what, sizeof what, "%s, %s, %s: decoder", kernels->name, type, s->name);
        check_network(ex, what, rg_encodec_decoder(codec.model), frames[i], c.dimension, 4, i < 6);
    }
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}

START_TEST(pieces_have_the_bits_of_the_whole)
{
    for (size_t k = 0; k < N_SHAPES; k++) {
        for (int i = 0; rg_test_level(i); i++) {
            check_shape(rg_test_level(i), RG_F32, NULL, &shapes[k]);
            check_shape(rg_test_level(i), RG_BF16, NULL, &shapes[k]);
        }
        check_shape(rg_kernels_reference64(), RG_F32, NULL, &shapes[k]);
    }
}
END_TEST

/* ---- the codec ---- */

typedef struct fixture {
    rg_exec *ex;
    rg_encodec_config config;
    rg_codec codec;
    int64_t hop;
} fixture;

static fixture make_fixture(const shape *s)
{
    rg_error err = {0};
    fixture f = {.config = config_of(s)};
    f.ex = make_exec(rg_kernels_cpu(&err), RG_F32, NULL);
    f.codec = make_codec(f.ex, &f.config);
    f.hop = rg_encodec_hop(&f.config);
    return f;
}

static void free_fixture(fixture *f)
{
    rg_codec_free(&f->codec);
    rg_exec_destroy(f->ex);
}

/* One pass of codec `f` over x: codes (F,3) and the samples of F frames. */
static void one_pass(fixture *f, const float *x, int64_t n, int32_t *codes, float *y)
{
    rg_mark mark = rg_tape_mark(f->ex);
    const rg_quantizer *q = rg_encodec_quantizer(f->codec.model);
    rg_tensor *in = rg_tensor_from_floats(f->ex, RG_SHAPE(1, n, 1), x);
    rg_rvq_out out = rg_rvq(f->ex, rg_encodec_encode(f->ex, f->codec.model, in), q->books, NULL, 3);
    rg_tensor *z = rg_embedding(f->ex, out.codes, q->books);
    ck_assert_msg(z != NULL, "%s", f->ex->error.text);
    int64_t frames = z->shape.dim[1];
    rg_tensor *sound = rg_encodec_decode(f->ex, f->codec.model, z, frames * f->hop);
    ck_assert_msg(sound != NULL, "%s", f->ex->error.text);
    memcpy(codes, out.codes->data, (size_t)frames * 3 * sizeof *codes);
    rg_tensor_floats(sound, 0, frames * f->hop, y);
    rg_tape_rewind(f->ex, mark);
}

/* Calls of any length, also longer than what goes through the network at once. */
START_TEST(calls_have_the_bits_of_one_pass)
{
    enum { SAMPLES = 7013, ROOM = 10000 };
    for (size_t i = 0; i < N_SHAPES; i++) {
        rg_error err = {0};
        fixture f = make_fixture(&shapes[i]);
        float *x = noise(SAMPLES, 5), *want = noise(ROOM, 0), *y = noise(ROOM, 0);
        int32_t *codes = malloc(ROOM * 3 * sizeof *codes), *got = malloc(ROOM * 3 * sizeof *got);
        rg_codec_stream *encoder = rg_codec_encoder(f.ex, &f.codec, 3, &err);
        rg_codec_stream *decoder = rg_codec_decoder(f.ex, &f.codec, &err);
        ck_assert_msg(encoder && decoder, "%s", err.text);
        one_pass(&f, x, SAMPLES, codes, want);
        int64_t frames = 0, samples = 0, made, n;
        rg_rng rng = rg_rng_make(3, i);
        for (int64_t at = 0, step; at < SAMPLES; at += step) {
            step = (int64_t)rg_rng_below(&rng, at > 1000 ? 6000 : 100);
            if (step > SAMPLES - at) step = SAMPLES - at;
            bool last = at + step == SAMPLES;
            int32_t *next = got + frames * 3;
            RG_ASSERT_OK(rg_codec_stream_encode(encoder, x + at, step, last, next, &made),
                         &f.ex->error);
            ck_assert_int_le(made, rg_codec_encoder_room(encoder, step));
            RG_ASSERT_OK(rg_codec_stream_decode(decoder, next, made, last, y + samples, &n),
                         &f.ex->error);
            ck_assert_int_le(n, rg_codec_decoder_room(decoder, made));
            frames += made, samples += n;
        }
        ck_assert_int_eq(frames, (SAMPLES + f.hop - 1) / f.hop);
        ck_assert_int_eq(samples, frames * f.hop);
        ck_assert_mem_eq(got, codes, (size_t)frames * 3 * sizeof *codes);
        ck_assert_mem_eq(y, want, (size_t)samples * sizeof *y);
        RG_ASSERT_OK(rg_codec_encode_audio(f.ex, &f.codec, x, SAMPLES, got), &f.ex->error);
        RG_ASSERT_OK(rg_codec_decode_audio(f.ex, &f.codec, got, frames, y, SAMPLES), &f.ex->error);
        ck_assert_mem_eq(got, codes, (size_t)frames * 3 * sizeof *codes);
        ck_assert_mem_eq(y, want, SAMPLES * sizeof *y);
        rg_codec_stream_destroy(encoder);
        rg_codec_stream_destroy(decoder);
        free(x), free(want), free(y), free(codes), free(got);
        free_fixture(&f);
    }
}
END_TEST

/* Sample by sample: sound comes out when the latency says, and never later. */
START_TEST(latency_is_as_stated)
{
    for (size_t i = 0; i < N_SHAPES; i++) {
        rg_error err = {0};
        fixture f = make_fixture(&shapes[i]);
        int64_t samples = 40 * f.hop, made, n, out = 0, first = 0, worst = 0;
        rg_codec_latency latency = rg_codec_latency_of(&f.codec);
        rg_codec_stream *encoder = rg_codec_encoder(f.ex, &f.codec, 3, &err);
        rg_codec_stream *decoder = rg_codec_decoder(f.ex, &f.codec, &err);
        int32_t codes[64 * 3];
        float *x = noise(samples, 5), *y = noise(100 * f.hop, 0);
        for (int64_t t = 0; t < samples; t++) {
            RG_ASSERT_OK(rg_codec_stream_encode(encoder, x + t, 1, false, codes, &made),
                         &f.ex->error);
            RG_ASSERT_OK(rg_codec_stream_decode(decoder, codes, made, false, y, &n), &f.ex->error);
            if (out == 0 && n > 0) first = t + 1;
            if (n > 0 && t > 20 * f.hop && t + 1 - out > worst) worst = t + 1 - out;
            out += n;
        }
        ck_assert_msg(first == latency.start && worst == latency.frame,
                      "%s: %d at the start, %d of a frame; stated are %d and %d", shapes[i].name,
                      (int)first, (int)worst, (int)latency.start, (int)latency.frame);
        rg_codec_stream_destroy(encoder);
        rg_codec_stream_destroy(decoder);
        free(x), free(y);
        free_fixture(&f);
    }
}
END_TEST

START_TEST(latency_of_the_published_shape)
{
    rg_encodec_config c = rg_encodec_defaults();
    const int32_t ratios[] = {8, 5, 4, 2};
    c.sample_rate = 24000, c.filters = 2, c.codebooks = 3, c.entries = 16, c.causal = true;
    c.n_ratios = 4, c.dimension = 8;
    memcpy(c.ratios, ratios, sizeof ratios);
    for (rg_pad pad = RG_PAD_ZERO; pad <= RG_PAD_REFLECT; pad++) {
        rg_error err = {0};
        rg_exec *ex = make_exec(rg_kernels_cpu(&err), RG_F32, NULL);
        c.pad_mode = pad;
        rg_codec codec = make_codec(ex, &c);
        ck_assert_int_eq(rg_codec_latency_of(&codec).frame, 320);
        ck_assert_int_eq(rg_codec_latency_of(&codec).start, pad == RG_PAD_ZERO ? 320 : 7 * 320);
        rg_codec_free(&codec);
        rg_exec_destroy(ex);
    }
}
END_TEST

/* All memory is taken at creation. */
START_TEST(a_call_uses_no_heap)
{
    rg_error err = {0};
    fixture f = make_fixture(&shapes[2]);
    float x[64] = {0}, y[2000];
    int32_t codes[64 * 3];
    int64_t frames, n;
    rg_codec_stream *encoder = rg_codec_encoder(f.ex, &f.codec, 3, &err);
    rg_codec_stream *decoder = rg_codec_decoder(f.ex, &f.codec, &err);
    rg_status status = RG_OK;
    rg_alloc_begin(0);
    for (int i = 0; i < 20 && status == RG_OK; i++) {
        status = rg_codec_stream_encode(encoder, x, 64, i == 19, codes, &frames);
        if (status == RG_OK)
            status = rg_codec_stream_decode(decoder, codes, frames, i == 19, y, &n);
    }
    int64_t calls = atomic_load(&rg_alloc_calls);
    RG_ASSERT_OK(status, &f.ex->error);
    ck_assert_int_eq(calls, 0);
    rg_codec_stream_destroy(encoder);
    rg_codec_stream_destroy(decoder);
    free_fixture(&f);
}
END_TEST

/* Creation under every single failure of the heap. */
START_TEST(no_memory_is_said)
{
    fixture f = make_fixture(&shapes[2]);
    int64_t nth = 0;
    for (bool failed = rg_alloc_can_fail(); failed && ++nth < 100;) {
        rg_error err = {0};
        rg_alloc_begin(nth);
        rg_codec_stream *stream = rg_codec_decoder(f.ex, &f.codec, &err);
        failed = rg_alloc_end();
        ck_assert((stream == NULL) == failed && (err.code == RG_ERR_NOMEM) == failed);
        rg_codec_stream_destroy(stream);
    }
    ck_assert_int_lt(nth, 100);
    free_fixture(&f);
}
END_TEST

START_TEST(what_cannot_stream_is_refused)
{
    static const char *const words[] = {"weight_norm", "chunk_seconds: 0", "chunk_seconds: 0",
                                        "channels: 1"};
    rg_error err = {0};
    for (int i = 1; i < 5; i++) {
        rg_encodec_config c = config_of(&shapes[0]);
        RG_ASSERT_OK(rg_codec_stream_check(&c, &err), &err);
        if (i == 1) c.norm = RG_CONV_TIME_GROUP_NORM;
        if (i == 2) c.normalize = true;
        if (i == 3) c.chunk_seconds = 1;
        if (i == 4) c.channels = 2;
        ck_assert_int_eq(rg_codec_stream_check(&c, &err), RG_ERR_UNSUPPORTED);
        ck_assert_msg(strstr(err.text, words[i - 1]) != NULL, "%s", err.text);
        err = (rg_error){0};
    }
    fixture f = make_fixture(&shapes[0]);
    rg_codec_stream *decoder = rg_codec_decoder(f.ex, &f.codec, &err);
    int32_t codes[3] = {1, -1, 16};
    float y[1000];
    int64_t n;
    ck_assert_int_eq(rg_codec_stream_decode(decoder, codes, 1, true, y, &n), RG_ERR_FORMAT);
    ck_assert_msg(strstr(f.ex->error.text, "code 16") != NULL, "%s", f.ex->error.text);
    rg_codec_stream_destroy(decoder);
    free_fixture(&f);
}
END_TEST

/* Fewer codebooks: the first codes are the same, the others absent. */
START_TEST(codebooks_are_nested)
{
    rg_error err = {0};
    fixture f = make_fixture(&shapes[1]);
    float *x = noise(400, 5);
    int32_t codes[2][64 * 3];
    int64_t frames[2];
    for (int i = 0; i < 2; i++) {
        rg_codec_stream *encoder = rg_codec_encoder(f.ex, &f.codec, i ? 2 : 3, &err);
        RG_ASSERT_OK(rg_codec_stream_encode(encoder, x, 400, true, codes[i], &frames[i]),
                     &f.ex->error);
        rg_codec_stream_destroy(encoder);
    }
    ck_assert_int_eq(frames[0], frames[1]);
    for (int64_t k = 0; k < frames[0] * 3; k++)
        ck_assert_int_eq(codes[1][k], k % 3 < 2 ? codes[0][k] : -1);
    free(x);
    free_fixture(&f);
}
END_TEST

RG_TEST_MAIN("models/codec stream", 600, pieces_have_the_bits_of_the_whole,
             calls_have_the_bits_of_one_pass, latency_is_as_stated, latency_of_the_published_shape,
             a_call_uses_no_heap, no_memory_is_said, what_cannot_stream_is_refused,
             codebooks_are_nested)
