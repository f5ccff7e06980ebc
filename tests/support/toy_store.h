/*
 * A small synthetic stem store for tests: role 0 is decaying noise on the beats, the others are
 * plucked tones that change on the beats, each role in its own octave. Deterministic.
 *
 * One idea: header only, so that it compiles into those tests that link rg_datasets.
 * The last song is in the test split, the one before in valid, the others in train. With
 * `absent` > 0 that role is absent in song 0. Every role but the first pauses in some bars after
 * the first. In stereo the right channel is the left one, 7 samples later and half as loud.
 */
#ifndef RG_TESTS_TOY_STORE_H
#define RG_TESTS_TOY_STORE_H

#include "base/rng.h"
#include "datasets/store.h"
#include "test.h"

typedef struct rg_toy {
    int32_t roles, songs, rate;
    double seconds;
    int32_t absent; /* role that song 0 lacks; 0: none */
} rg_toy;

enum { RG_TOY_MAX_BEATS = 4096 };

static inline const char *rg_toy_role(int32_t role)
{
    static const char *const names[RG_MAX_ROLES] = {
        "drums", "bass",   "harmony", "melody",  "strings", "choir",   "brass",    "reeds",
        "organ", "guitar", "pads",    "mallets", "bells",   "effects", "textures", "noise"};
    return names[role];
}

static inline double rg_toy_tempo(int32_t song)
{
    return 90 + 10 * (song % 6);
}

/* One role of one song into x (frames). */
static inline void rg_toy_row(const rg_toy *toy, int32_t song, int32_t role, int64_t frames,
                              int16_t *x)
{
    static const int scale[7] = {0, 2, 4, 5, 7, 9, 11};
    double beat = 60 / rg_toy_tempo(song), phase = 0, level = 0, hz = 0;
    int64_t last = -1;
    rg_rng rng = rg_rng_make(7, rg_rng_stream((uint64_t)song, (uint64_t)role, 0));
    for (int64_t i = 0; i < frames; i++) {
        double t = (double)i / toy->rate;
        int64_t k = (int64_t)(t / beat);
        if (k != last) {
            bool pause = role > 0 && k >= 4 && (k / 4 + role + song) % 5 == 4;
            level = pause ? 0 : 0.4;
            int degree = (int)((k * (role + 1) + song) % 7);
            hz = 55 * (1 + role) * pow(2, scale[degree] / 12.0);
            last = k;
        }
        double decay = exp(-(t - (double)k * beat) * (role == 0 ? 30 : 4));
        phase += 2 * 3.14159265358979 * hz / toy->rate;
        double wave = role == 0 ? 2 * rg_rng_uniform(&rng) - 1 : sin(phase) + 0.3 * sin(3 * phase);
        x[i] = (int16_t)lrint(32767 * level * decay * wave * 0.7);
    }
}

/* All of one song into x (roles,channels,frames). */
static inline void rg_toy_rows(const rg_toy *toy, int32_t channels, int32_t song, int64_t frames,
                               int16_t *x)
{
    for (int32_t r = 0; r < toy->roles; r++) {
        int16_t *left = x + (int64_t)r * channels * frames;
        rg_toy_row(toy, song, r, frames, left);
        for (int64_t i = 0; channels > 1 && i < frames; i++)
            left[frames + i] = i < 7 ? 0 : (int16_t)(left[i - 7] / 2);
    }
}

static inline void rg_toy_describe(const rg_toy *toy, int32_t i, rg_song *s, double *beats)
{
    *s = (rg_song){.frames = (int64_t)(toy->seconds * toy->rate), .meter = 4, .key_mode = i % 2};
    snprintf(s->id, sizeof s->id, "toy-%03d", i);
    snprintf(s->title, sizeof s->title, "Toy song %d", i);
    snprintf(s->group, sizeof s->group, "toy-%03d", i);
    snprintf(s->genre, sizeof s->genre, i % 2 ? "techno" : "ambient");
    snprintf(s->prompt, sizeof s->prompt, "%s, %g bpm", s->genre, rg_toy_tempo(i));
    snprintf(s->content_hash, sizeof s->content_hash, "%032x", 1000 + i);
    s->split = i == toy->songs - 1 ? RG_SPLIT_TEST
                                   : (i == toy->songs - 2 ? RG_SPLIT_VALID : RG_SPLIT_TRAIN);
    s->tempo_bpm = rg_toy_tempo(i);
    s->key_tonic = i % 12;
    s->loudness_lufs = -18;
    for (double t = 0; t < toy->seconds && s->n_beats < RG_TOY_MAX_BEATS; t += 60 / s->tempo_bpm)
        beats[s->n_beats++] = t;
    for (int64_t b = 0; b < s->n_beats; b += 4)
        beats[RG_TOY_MAX_BEATS + s->n_downbeats++] = beats[b];
    s->beats = beats;
    s->downbeats = beats + RG_TOY_MAX_BEATS;
    for (int32_t r = 0; r < toy->roles; r++) {
        s->present[r] = !(toy->absent > 0 && i == 0 && r == toy->absent);
        snprintf(s->instruments[r], sizeof s->instruments[r], r ? "sine" : "noise");
    }
}

static inline rg_store_info rg_toy_info(const rg_toy *toy)
{
    rg_store_info info = {.title = "Toy store",
                          .creator = "tests",
                          .license = "CC0-1.0",
                          .references = "",
                          .config_yaml = "corpus: toy\n",
                          .rate = toy->rate,
                          .n_roles = toy->roles};
    for (int32_t r = 0; r < toy->roles; r++) info.roles[r] = rg_toy_role(r);
    return info;
}

static inline rg_status rg_toy_add_of(const rg_toy *toy, int32_t channels, rg_store_writer *writer,
                                      int32_t song, rg_error *err)
{
    rg_song s;
    double *beats = calloc((size_t)2 * RG_TOY_MAX_BEATS, sizeof *beats);
    rg_toy_describe(toy, song, &s, beats);
    int16_t *x = malloc((size_t)(s.frames * toy->roles * channels) * sizeof *x);
    rg_toy_rows(toy, channels, song, s.frames, x);
    rg_provenance p = {.package = "toy", .license = "CC0-1.0", .file = s.id, .role_map_json = "{}"};
    rg_status status = rg_store_add(writer, &s, &p, x, err);
    free(x);
    free(beats);
    return status;
}

static inline rg_status rg_toy_add(const rg_toy *toy, rg_store_writer *writer, int32_t song,
                                   rg_error *err)
{
    return rg_toy_add_of(toy, 1, writer, song, err);
}

/* Builds it in `folder` and opens it; fails the test when anything goes wrong. */
static inline rg_store *rg_toy_build_of(const rg_toy *toy, int32_t channels, const char *folder)
{
    rg_error err = {0};
    rg_store_info info = rg_toy_info(toy);
    info.channels = channels;
    rg_store_writer *writer = rg_store_create(folder, &info, &err);
    ck_assert_msg(writer != NULL, "%s", err.text);
    for (int32_t i = 0; i < toy->songs; i++)
        RG_ASSERT_OK(rg_toy_add_of(toy, channels, writer, i, &err), &err);
    RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
    rg_store *store = rg_store_open(folder, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

static inline rg_store *rg_toy_build(const rg_toy *toy, const char *folder)
{
    return rg_toy_build_of(toy, 1, folder);
}

#endif
