/*
 * Hearing and reading music: what `analyze` takes of a minute of sound, and `prompt` of a sentence.
 *
 * One idea: one thread each, since both run beside something else. The sound is made here: plucked
 * chords over clicks, in stems; the sentences are one of twenty words, and a megabyte of words that
 * are nearly known.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/features/features.h"
#include "music/prompt/prompt.h"
#include "train/bench_internal.h"

enum { RATE = 44100, SECONDS = 60, STEMS = 4, HOSTILE = 1 << 20 };
static const int64_t sound_frames = (int64_t)RATE * SECONDS;

/* ---- features ---- */

typedef struct hearing {
    rg_audio audio[STEMS];
    rg_feature_source sources[STEMS];
    int32_t n;
} hearing;

/* Stem 0 clicks twice a second; the others pluck a tone that moves every two seconds. */
static void fill_stem(int32_t stem, float *x)
{
    static const double steps[4] = {0, 5, 7, 3};
    const double tau = 6.283185307179586;
    for (int64_t i = 0; i < sound_frames; i++) {
        const double t = (double)i / RATE, since = fmod(t, 0.5);
        const double hz = 110 * stem * pow(2, steps[(int64_t)(t / 2) % 4] / 12);
        const double tone = stem ? sin(tau * hz * t) : sin(1e7 * since * since);
        x[i] = (float)(0.3 * exp(-(stem ? 4 : 60) * since) * tone);
    }
}

static rg_status hear(rg_bench *b, void *args)
{
    const hearing *h = args;
    rg_features features;
    const rg_status status = rg_features_of(h->sources, h->n, &features, b->err);
    rg_features_free(&features);
    return status;
}

static rg_status time_hearing(rg_bench *b, const char *name, int32_t n)
{
    static const char *const roles[STEMS] = {"drums", "bass", "harmony", "melody"};
    hearing h = {.n = n};
    rg_status status = RG_OK;
    for (int32_t i = 0; i < n && status == RG_OK; i++) {
        status = rg_audio_make(&h.audio[i], sound_frames, 1, RATE, b->err);
        if (status != RG_OK) break;
        fill_stem(n == 1 ? 1 : i, h.audio[i].samples);
        h.sources[i] =
            (rg_feature_source){n == 1 ? "mix" : roles[i], rg_reader_of(&h.audio[i], b->err)};
        if (!h.sources[i].reader) status = b->err->code;
    }
    const rg_bench_work work = {.audio_seconds = SECONDS, .threads = 1};
    if (status == RG_OK) status = rg_bench_time(b, "features", name, &work, hear, &h);
    for (int32_t i = 0; i < n; i++) {
        rg_reader_close(h.sources[i].reader);
        rg_audio_free(&h.audio[i]);
    }
    return status;
}

rg_status rg_bench_features(rg_bench *b)
{
    RG_TRY(time_hearing(b, "a minute, one sound", 1));
    return time_hearing(b, "a minute, four stems", STEMS);
}

/* ---- prompts ---- */

typedef struct reading {
    rg_vocabulary vocabulary;
    rg_prompt prompt;
    const char *text;
} reading;

static rg_status read_text(rg_bench *b, void *args)
{
    reading *r = args;
    return rg_prompt_analyze(r->text, &r->vocabulary, &r->prompt, b->err);
}

static rg_status time_readings(rg_bench *b, reading *r, char *hostile)
{
    static const char words[] = "technoo 12x bpmm F## minr ";
    r->text = "dark driving techno at 128 bpm in A minor with 808 drums, a warm analog bass, no "
              "melody and distorted pads";
    rg_bench_work work = {.count = 1, .counted = "prompts", .threads = 1};
    RG_TRY(rg_bench_time(b, "prompt", "twenty words", &work, read_text, r));
    for (size_t i = 0; i + 1 < HOSTILE; i++) hostile[i] = words[i % (sizeof words - 1)];
    r->text = hostile;
    work = (rg_bench_work){.bytes = HOSTILE, .threads = 1};
    return rg_bench_time(b, "prompt", "a megabyte of misspelt words", &work, read_text, r);
}

rg_status rg_bench_prompt(rg_bench *b)
{
    reading *r = calloc(1, sizeof *r);
    char *hostile = calloc(1, HOSTILE);
    rg_status status = RG_ERR_NOMEM;
    if (r && hostile && rg_vocabulary_make(&r->vocabulary))
        status = time_readings(b, r, hostile);
    else
        rg_fail(b->err, status, "bench: no memory for a vocabulary");
    if (r) rg_vocabulary_free(&r->vocabulary);
    free(r);
    free(hostile);
    return status;
}
