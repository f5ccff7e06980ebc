/*
 * EnCodec in use: five seconds encoded with all codebooks, and decoded, for the shapes of the
 * published 24 kHz and 32 kHz models (Defossez et al. 2210.13438; Copet et al. 2306.05284).
 *
 * One idea: the calls are those of `resonant codec encode` and `decode`, windows and all; the
 * weights are random, which costs the same. Not here: training (bench_layers.c).
 */
#include <stdio.h>

#include "base/rng.h"
#include "models/encodec.h"
#include "train/bench_internal.h"

enum { SECONDS = 5 };

typedef struct codec_shape {
    const char *name;
    int32_t rate, filters, ratios[4], codebooks, entries;
    bool causal, conv_shortcut;
} codec_shape;

static const codec_shape shapes[] = {
    {"codec-24k", 24000, 32, {8, 5, 4, 2}, 32, 1024, true, true},
    {"codec-32k", 32000, 64, {8, 5, 4, 4}, 4, 2048, false, false},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static rg_encodec_config config_of(const codec_shape *s)
{
    rg_encodec_config c = rg_encodec_defaults();
    c.sample_rate = s->rate;
    c.filters = s->filters;
    c.n_ratios = 4;
    for (int i = 0; i < 4; i++) c.ratios[i] = s->ratios[i];
    c.codebooks = s->codebooks;
    c.entries = s->entries;
    c.causal = s->causal;
    c.conv_shortcut = s->conv_shortcut;
    c.pad_mode = RG_PAD_REFLECT;
    c.lstm_layers = 2;
    return c;
}

typedef struct in_use {
    rg_exec *ex;
    rg_codec codec;
    float *audio;
    int32_t *codes;
    int64_t samples, frames;
    uint64_t step;
} in_use;

static rg_status encode(rg_bench *b, void *args)
{
    (void)b;
    in_use *u = args;
    rg_step_begin(u->ex, u->step++);
    return rg_codec_encode_audio(u->ex, &u->codec, u->audio, u->samples, u->codes);
}

static rg_status decode(rg_bench *b, void *args)
{
    (void)b;
    in_use *u = args;
    rg_step_begin(u->ex, u->step++);
    return rg_codec_decode_audio(u->ex, &u->codec, u->codes, u->frames, u->audio, u->samples);
}

static rg_status make_signals(rg_bench *b, const codec_shape *s, in_use *u)
{
    rg_rng rng = rg_rng_make(1, 4);
    int32_t hop = rg_encodec_hop(&u->codec.config);
    u->samples = (int64_t)s->rate * SECONDS;
    u->frames = (u->samples + hop - 1) / hop;
    u->audio = rg_arena_alloc(b->data, (size_t)u->samples * sizeof *u->audio);
    u->codes = rg_arena_zalloc(b->data, (size_t)(u->frames * s->codebooks) * sizeof *u->codes);
    if (!u->audio || !u->codes) return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for audio");
    rg_rng_fill_normal(&rng, u->audio, u->samples, 0, 0.1F);
    return RG_OK;
}

static rg_status time_codec(rg_bench *b, rg_exec *ex, rg_params *params, const void *what)
{
    const codec_shape *s = what;
    char name[48];
    const rg_bench_work work = {.audio_seconds = SECONDS};
    in_use u = {.ex = ex, .codec = {.config = config_of(s), .params = params}};
    RG_TRY(make_signals(b, s, &u));
    u.codec.model = rg_encodec_create(params, "", &u.codec.config, b->err);
    if (!u.codec.model) return b->err->code;
    rg_status status = rg_params_finish(params, ex, 1, false, b->err);
    snprintf(name, sizeof name, "%s-encode", s->name);
    if (status == RG_OK) status = rg_bench_time(b, "codec", name, &work, encode, &u);
    snprintf(name, sizeof name, "%s-decode", s->name);
    if (status == RG_OK) status = rg_bench_time(b, "codec", name, &work, decode, &u);
    rg_encodec_destroy(u.codec.model);
    return status;
}

rg_status rg_bench_codec(rg_bench *b)
{
    for (int i = 0; i < SHAPES; i++) RG_TRY(rg_bench_engine(b, time_codec, &shapes[i]));
    return RG_OK;
}
