/*
 * Fuzzing MIDI files, and all that is asked of one: beats, key, hash, likeness.
 */
#include <math.h>

#include "datasets/midi.h"
#include "fuzz.h"

static void check_order(const rg_midi *midi)
{
    for (int64_t i = 0; i < midi->n_notes; i++) {
        const rg_midi_note *note = &midi->notes[i];
        if (!(note->on >= 0) || !(note->off >= note->on) || !isfinite(note->off)) abort();
        if (i > 0 && midi->notes[i - 1].on > note->on) abort();
    }
    for (int64_t i = 1; i < midi->n_events; i++)
        if (midi->events[i - 1].tick > midi->events[i].tick) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    rg_error err = {0};
    rg_midi midi = {0};
    if (rg_midi_parse(data, n, "fuzz", &midi, &err) != RG_OK) {
        if (!err.text[0]) abort();
        rg_midi_free(&midi);
        return 0;
    }
    check_order(&midi);
    rg_midi_grid grid = {0};
    if (rg_midi_beats(&midi, &grid, &err) == RG_OK) rg_midi_grid_free(&grid);
    int32_t tonic, minor;
    rg_midi_key_of(&midi, &tonic, &minor);
    char hash[33];
    rg_midi_content_hash(&midi, hash);
    uint64_t *runs = NULL;
    int64_t n_runs = 0;
    if (rg_midi_signature(&midi, &runs, &n_runs, &err) == RG_OK &&
        !(rg_midi_likeness(runs, n_runs, runs, n_runs) <= 1))
        abort();
    free(runs);
    rg_midi_free(&midi);
    return 0;
}
