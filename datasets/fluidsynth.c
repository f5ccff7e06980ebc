/*
 * Finding libfluidsynth at run time (fluidsynth.h).
 */
#include "datasets/fluidsynth.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static rg_fluid table;
static bool loaded;
static char missing[64] = "libfluidsynth.so.3";

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define X(result, name, arguments) {#name, offsetof(rg_fluid, name)},
    RG_FLUID_FUNCTIONS(X)
#undef X
};

/* The first synthesizer of a process fills tables that all read, and a second one that is made
 * meanwhile does not wait for them (seen in 2.3.1): so one is made before any thread can. */
static void fill_tables(void)
{
    rg_fluid_settings *settings = table.new_fluid_settings();
    rg_fluid_synth *synth = settings ? table.new_fluid_synth(settings) : NULL;
    if (synth) table.delete_fluid_synth(synth);
    if (settings) table.delete_fluid_settings(settings);
}

static void load(void)
{
    void *library = dlopen("libfluidsynth.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *address = dlsym(library, functions[i].name);
        if (!address) {
            strncpy(missing, functions[i].name, sizeof missing - 1);
            return;
        }
        memcpy((char *)&table + functions[i].offset, &address, sizeof address);
    }
    for (int level = 0; level < 5; level++) table.fluid_set_log_function(level, NULL, NULL);
    fill_tables();
    loaded = true;
}

const rg_fluid *rg_fluid_load(rg_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (loaded) return &table;
    rg_fail(err, RG_ERR_UNSUPPORTED,
            "FluidSynth is needed to render MIDI but %s is missing; install it with "
            "'apt-get install libfluidsynth3'",
            missing);
    return NULL;
}
