/*
 * MIDI to dry stems with FluidSynth, one pass for all roles.
 *
 * One idea: every part (channel, program) plays on a synthesizer channel of its own, chosen so that
 * the synthesizer's own output bus is the part's role; a note that rings on after a program change
 * therefore stays in the stem where it started. Controllers of a MIDI channel go to all its parts.
 * libfluidsynth is found at run time (dlopen), so nothing else links it. It uses OpenMP: a process
 * that has rendered must not fork and render in the child.
 * Not here: which part has which role (roles.h), files (store.h).
 */
#ifndef RG_DATASETS_RENDER_H
#define RG_DATASETS_RENDER_H

#include "datasets/roles.h"

typedef struct rg_renderer rg_renderer;

/* RG_ERR_UNSUPPORTED naming the Debian package when libfluidsynth or the SoundFont is not there.
 * `soundfont` is an .sf2 or .sf3 file. Thread-safe in use. */
rg_renderer *rg_renderer_open(const char *soundfont, rg_error *err);
void rg_renderer_close(rg_renderer *renderer);                /* NULL is fine */
const char *rg_renderer_version(const rg_renderer *renderer); /* "2.3.1" */
const char *rg_renderer_soundfont_sha256(const rg_renderer *renderer);

typedef struct rg_render_options {
    int32_t rate;     /* of the stems, 8000 .. 96000 Hz */
    int32_t channels; /* 1, or 2: as the parts are panned; 0: 1 */
    double start;     /* begin here, s; notes from before are left out */
    double seconds;   /* cut after so long, with a fade of 20 ms; 0: 240 */
    double loudness;  /* of the mix, LUFS; 0: -18. Lowered where the mix or a stem would clip */
} rg_render_options;

/* What came out. samples (n_roles,channels,frames); rows of absent roles are zeros. */
typedef struct rg_stems {
    int32_t n_roles, channels, rate;
    int64_t frames, room; /* room: samples that the memory has place for */
    int16_t *samples;
    bool present[RG_MAX_ROLES];
    double loudness_lufs, gain_db; /* of the mix as stored; applied to all stems alike */
} rg_stems;

/*
 * The synthesizer runs at a multiple of `rate` of at least 32 kHz (its voices are not band-limited)
 * and is resampled down. Then: 25 Hz high-pass, one gain for all stems, the tail trimmed where all
 * stems stay below -60 dBFS. A role without any block above -60 dBFS is absent.
 * RG_ERR_FORMAT when nothing sounds.
 */
rg_status rg_render_song(const rg_renderer *renderer, const rg_midi *midi,
                         const rg_midi_parts *parts, int32_t n_roles,
                         const rg_render_options *options, rg_stems *out,
                         rg_error *err) RG_MUST_USE;
void rg_stems_free(rg_stems *stems);

#endif
