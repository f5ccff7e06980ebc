/*
 * Beat, bar and phrase phases of frames (track_beat.h).
 *
 * One idea: annotated beats are a piecewise linear map from seconds to beats; a steady tempo is the
 * same map with one piece.
 */
#include "models/track_beat.h"

#include <math.h>
#include <string.h>

#include "models/track_transformer.h"

static const double tau = 6.283185307179586;

/* Position on a rising list of times: index of the last one at or before t, plus the share of the
 * gap. */
static double position_in(const double *times, int64_t n, double t)
{
    int64_t low = 0, high = n - 2;
    while (low < high) {
        int64_t mid = (low + high + 1) / 2;
        if (times[mid] <= t)
            low = mid;
        else
            high = mid - 1;
    }
    double gap = times[low + 1] - times[low];
    return (double)low + (gap > 0 ? (t - times[low]) / gap : 0);
}

static double seconds_per_beat(const rg_beat_grid *grid)
{
    if (grid->n_beats >= 2) {
        double span = grid->beats[grid->n_beats - 1] - grid->beats[0];
        return span > 0 ? span / (double)(grid->n_beats - 1) : 0;
    }
    return grid->tempo > 0 ? 60 / grid->tempo : 0;
}

/* Beats since the first beat and bars since the first downbeat, at a time; may be negative. */
static void beat_position(const rg_beat_grid *grid, double seconds, double *beat, double *bar)
{
    double step = seconds_per_beat(grid), meter = grid->meter > 0 ? grid->meter : 4;
    *beat = *bar = 0;
    if (!(step > 0)) return;
    bool listed = grid->n_beats >= 2;
    *beat =
        listed ? position_in(grid->beats, grid->n_beats, seconds) : (seconds - grid->offset) / step;
    if (grid->n_downbeats >= 2) {
        *bar = position_in(grid->downbeats, grid->n_downbeats, seconds);
    } else if (grid->n_downbeats == 1 && listed) {
        *bar = (*beat - position_in(grid->beats, grid->n_beats, grid->downbeats[0])) / meter;
    } else {
        *bar = *beat / meter;
    }
}

int32_t rg_bar_starts(const rg_beat_grid *grid, double frame_rate, int64_t first, int32_t n,
                      int32_t *out, int32_t capacity)
{
    if (!(seconds_per_beat(grid) > 0)) return 0;
    int32_t found = 0;
    double beat, bar, before;
    beat_position(grid, ((double)first - 0.5) / frame_rate, &beat, &before);
    for (int32_t t = 0; t < n && found < capacity; t++) {
        beat_position(grid, ((double)(first + t) + 0.5) / frame_rate, &beat, &bar);
        if (floor(bar) > floor(before)) out[found++] = t;
        before = bar;
    }
    return found;
}

void rg_beat_features(const rg_beat_grid *grid, double frame_rate, int64_t first, int32_t n,
                      float *out)
{
    double step = seconds_per_beat(grid);
    memset(out, 0, (size_t)n * RG_BEAT_FEATURES * sizeof *out);
    if (!(step > 0)) return;
    for (int32_t t = 0; t < n; t++, out += RG_BEAT_FEATURES) {
        double beat, bar;
        beat_position(grid, (double)(first + t) / frame_rate, &beat, &bar);
        const double phases[5] = {beat, 2 * beat, bar, bar / 4, bar / 16};
        for (int32_t i = 0; i < 5; i++) {
            out[2 * i] = (float)sin(tau * (phases[i] - floor(phases[i])));
            out[2 * i + 1] = (float)cos(tau * (phases[i] - floor(phases[i])));
        }
        double tempo = grid->tempo > 0 ? grid->tempo : 60 / step;
        out[10] = (float)log2(tempo / 120);
        out[11] = 1;
    }
}
