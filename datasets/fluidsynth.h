/*
 * The part of libfluidsynth that the renderer calls, as a table filled by dlopen.
 *
 * One idea: one X-macro row a function, with its type, so that table and loading cannot disagree.
 * Not here: a link dependency, or FluidSynth's own headers.
 */
#ifndef RG_DATASETS_FLUIDSYNTH_H
#define RG_DATASETS_FLUIDSYNTH_H

#include "base/status.h"

typedef struct rg_fluid_settings rg_fluid_settings; /* fluid_settings_t */
typedef struct rg_fluid_synth rg_fluid_synth;       /* fluid_synth_t */
typedef void rg_fluid_log_fn(int level, const char *text, void *data);

/* result, name, arguments; the library's names begin with what stands in the third column */
#define RG_FLUID_FUNCTIONS(X)                                                                  \
    X(rg_fluid_settings *, new_fluid_settings, (void))                                         \
    X(void, delete_fluid_settings, (rg_fluid_settings *))                                      \
    X(int, fluid_settings_setint, (rg_fluid_settings *, const char *name, int value))          \
    X(int, fluid_settings_setnum, (rg_fluid_settings *, const char *name, double value))       \
    X(rg_fluid_synth *, new_fluid_synth, (rg_fluid_settings *))                                \
    X(void, delete_fluid_synth, (rg_fluid_synth *))                                            \
    X(int, fluid_synth_sfload, (rg_fluid_synth *, const char *path, int reset))                \
    X(int, fluid_synth_set_channel_type, (rg_fluid_synth *, int channel, int drums))           \
    X(int, fluid_synth_noteon, (rg_fluid_synth *, int channel, int key, int velocity))         \
    X(int, fluid_synth_noteoff, (rg_fluid_synth *, int channel, int key))                      \
    X(int, fluid_synth_cc, (rg_fluid_synth *, int channel, int control, int value))            \
    X(int, fluid_synth_pitch_bend, (rg_fluid_synth *, int channel, int value))                 \
    X(int, fluid_synth_program_change, (rg_fluid_synth *, int channel, int program))           \
    X(int, fluid_synth_channel_pressure, (rg_fluid_synth *, int channel, int value))           \
    X(int, fluid_synth_key_pressure, (rg_fluid_synth *, int channel, int key, int value))      \
    X(int, fluid_synth_get_active_voice_count, (rg_fluid_synth *))                             \
    X(int, fluid_synth_process,                                                                \
      (rg_fluid_synth *, int frames, int n_effects, float **effects, int n_out, float **out))  \
    X(rg_fluid_log_fn *, fluid_set_log_function, (int level, rg_fluid_log_fn *fn, void *data)) \
    X(char *, fluid_version_str, (void))

typedef struct rg_fluid {
#define X(result, name, arguments) result(*name) arguments;
    RG_FLUID_FUNCTIONS(X)
#undef X
} rg_fluid;

/* Loaded once per process and kept; NULL and RG_ERR_UNSUPPORTED when it is not installed. */
const rg_fluid *rg_fluid_load(rg_error *err);

#endif
