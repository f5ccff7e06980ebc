/*
 * Keys: which one a sound is in, how near two of them are, and how far one sound was transposed.
 *
 * One idea: the mean of a chroma is compared with 24 rotated profiles of pitch classes by Pearson
 * correlation. Profiles: Albrecht and Shanahan 2013; on rendered songs of known key, without their
 * drums, they named 81 % exactly, those of Krumhansl 62 %.
 */
#ifndef RG_MUSIC_KEY_H
#define RG_MUSIC_KEY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rg_key {
    int32_t tonic, mode; /* 0 = C .. 11; 0 major, 1 minor; tonic -1: none */
} rg_key;

typedef struct rg_key_fit {
    rg_key key;
    double correlation;
} rg_key_fit;
enum { RG_KEYS = 3 };

/* The best fitting keys, best first; how many there are: 0 for a silent or flat chroma. */
int32_t rg_keys_of(const float *chroma, int64_t frames, rg_key_fit out[RG_KEYS]);
/* Key of a chroma (frames,12); tonic -1 when it is silent or equally loud everywhere. */
rg_key rg_key_of(const float *chroma, int64_t frames);
rg_key rg_key_moved(rg_key key, int32_t semitones);
/*
 * MIREX weights: 1 equal, 0.5 a fifth apart with the same mode (up or down), 0.3 relative, 0.2
 * parallel, else 0. NAN when the reference is none; 0 when only the estimate is.
 */
double rg_key_score(rg_key reference, rg_key estimate);

/* The turn, 0 to 11 semitones upwards, that makes the mean of a most like that of b (frames of
 * each); -1 when either is silent. */
int32_t rg_chroma_turn(const float *a, int64_t a_frames, const float *b, int64_t b_frames);

#endif
