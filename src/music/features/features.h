/*
 * What a piece of music is, heard from its sound: tempo, beats, bars, key, chords, rhythm, energy,
 * loudness, tuning, sections, and when each stem plays.
 *
 * One idea: two walks over the sound (levels, then onsets and pitch classes), in blocks, from
 * readers; all else is worked out from two small series (100 onsets and 10 pitch-class rows a
 * second), so ten hours need some hundred MB. Stems are exploited: rhythm is heard in the mix, key
 * and chords in bass and harmony. Not here: JSON (features_json.h), formulas (the files beside).
 */
#ifndef RG_MUSIC_FEATURES_H
#define RG_MUSIC_FEATURES_H

#include "audio/reader.h"
#include "music/features/beats.h"
#include "music/features/chords.h"
#include "music/features/key.h"
#include "music/features/structure.h"
#include "music/features/tempo.h"

/* Version of all methods together: it changes when a number may. */
#define RG_FEATURES_VERSION "1.2"

enum { RG_FEATURE_STEMS = 16, RG_PATTERN_STEPS = 16, RG_ENERGY_RATE = 10 };

/* One sound of a song. The role decides what it is used for: "drums" has no pitch, "bass" and
 * "harmony" say the chords; "" or "mix" is a whole song. Borrowed. */
typedef struct rg_feature_source {
    const char *role;
    rg_reader *reader;
} rg_feature_source;

typedef struct rg_active {
    double start_s, end_s;
} rg_active;

/* One stem, or the mix of all. */
typedef struct rg_heard {
    char role[32];
    float *power;        /* (blocks) mean square of each tenth of a second */
    double rms_dbfs;     /* -INFINITY for silence */
    double onsets_per_s; /* over the whole length */
    double
        pattern[RG_PATTERN_STEPS]; /* shares of onset strength by sixteenth of a bar; sum 1 or 0 */
    rg_active *active;             /* spans above -60 dBFS, gaps under half a second closed */
    int64_t n_active;
    float *onsets; /* (onset_frames) envelope of onset.h */
} rg_heard;

typedef struct rg_features {
    int64_t frames, blocks, onset_frames, chroma_frames;
    int32_t rate, channels;
    double duration_s, loudness_lufs, tuning_cents; /* -INFINITY: silence */
    double tuning_confidence;                       /* 0..1 */
    rg_heard mix, stems[RG_FEATURE_STEMS];
    int32_t n_stems; /* 0 for a single sound: then the mix is all there is */
    rg_tempo tempi[RG_TEMPI];
    double *beats_s;
    int64_t n_beats;
    rg_meter meter;
    rg_key_fit keys[RG_KEYS];
    int32_t n_keys;
    rg_chord *chords;
    int64_t n_chords;
    rg_section *sections;
    int64_t n_sections;
    float *chroma; /* (chroma_frames,12) of what has pitch */
} rg_features;

/*
 * Sources of one song share a rate; shorter ones are silent at their end; channel counts are equal
 * or 1 (RG_ERR_MISMATCH otherwise, naming both). Free with rg_features_free, also after a fault.
 */
rg_status rg_features_of(const rg_feature_source *sources, int32_t n, rg_features *out,
                         rg_error *err) RG_MUST_USE;
void rg_features_free(rg_features *features);

#endif
