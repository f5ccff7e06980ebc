/*
 * The audio of one stem: locked samples as they are, made samples around them.
 *
 * One idea: a locked sample is copied, never converted; whatever blends the made sound into it lies
 * outside the locked spans. The stem keeps the lock file's own rate, channels and depth.
 * Not here: which frames of codes are known to the models (rg_stem_known says it from the spans).
 */
#ifndef RG_GENERATE_STEMS_H
#define RG_GENERATE_STEMS_H

#include "audio/audio.h"
#include "models/encodec.h"

enum { RG_MAX_SPANS = 16 };

typedef struct rg_span {
    int64_t start, end; /* sample frames of the file, end exclusive */
} rg_span;

/* A file of which some spans are locked; the rest of it is the old take. */
typedef struct rg_stem_lock {
    rg_pcm pcm;
    int32_t n;
    rg_span spans[RG_MAX_SPANS]; /* rising, not overlapping, within the file */
} rg_stem_lock;

/* Locks the seconds [start, end) of the file, cut to its length; RG_ERR_USAGE when that is nothing.
 * */
rg_status rg_stem_lock_add(rg_stem_lock *lock, double start, double end, const char *name,
                           rg_error *err) RG_MUST_USE;
void rg_stem_lock_free(rg_stem_lock *lock);

/* known[f] = 1 where code frame f (of `frames`, at frame_rate) lies wholly inside a locked span. */
void rg_stem_known(const rg_stem_lock *lock, double frame_rate, int32_t frames, uint8_t *known);

/* The stem as a model hears it: mono, at `rate`. */
rg_status rg_stem_listen(const rg_pcm *pcm, int32_t rate, rg_audio *out, rg_error *err) RG_MUST_USE;

/* The file through the codec: codes (frames,K), -1 beyond its end. */
rg_status rg_stem_encode(rg_exec *ex, rg_codec *codec, const rg_pcm *pcm, int32_t frames,
                         int32_t *codes, rg_error *err) RG_MUST_USE;

/* codes (frames,K) -> mono audio of `seconds` at the codec's rate. */
rg_status rg_stem_decode(rg_exec *ex, rg_codec *codec, const int32_t *codes, int32_t frames,
                         double seconds, rg_audio *out, rg_error *err) RG_MUST_USE;

/*
 * The finished stem of round(seconds * rate) frames. Without a lock: `made` at `rate`, mono, 16
 * bit. With one: the file's format; inside the spans its samples, elsewhere `made` with 20 ms of
 * blend to the old take, or, beyond the end of the file, to a decaying remainder.
 */
rg_status rg_stem_assemble(const rg_stem_lock *lock, const rg_audio *made, int32_t rate,
                           double seconds, rg_pcm *out, rg_error *err) RG_MUST_USE;

/* Sum of stems at the highest of their rates, mono unless a stem has two channels; *gain is applied
 * to the sum so that its peak stays at or below 0.99 (1 when it does anyway). */
rg_status rg_stem_mix(const rg_pcm *stems, int32_t n, double seconds, rg_audio *out, double *gain,
                      rg_error *err) RG_MUST_USE;

#endif
