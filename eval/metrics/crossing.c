/*
 * Crossed pairs (crossing.h).
 */
#include "eval/metrics/crossing.h"

#include <math.h>
#include <stdlib.h>

rg_status rg_crossing_make(rg_crossing *out, const double *fit, const int32_t *song, int32_t n,
                           int32_t songs, rg_error *err)
{
    int64_t s = songs;
    double *room = calloc((size_t)(2 * s * s + 4 * s + 1), sizeof *room);
    if (!room) return rg_fail(err, RG_ERR_NOMEM, "no memory to cross %d pairs", n);
    *out = (rg_crossing){songs, room, room + s, room + 2 * s};
    double *pairs = out->apart + s * s, *owned = pairs + s * s, *met = owned + s;
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++) {
            int64_t a = song[i], b = song[j];
            double own = fit[i * n + i] + fit[j * n + j], cross = fit[i * n + j] + fit[j * n + i];
            if (i == j) {
                out->own[a] += fit[i * n + i];
                owned[a]++;
            }
            if (a == b) continue;
            out->other[a] += fit[i * n + j];
            met[a]++;
            out->apart[a * s + b] += own > cross ? 100 : own == cross ? 50 : 0;
            pairs[a * s + b]++;
        }
    for (int64_t a = 0; a < s; a++) {
        out->own[a] = owned[a] > 0 ? out->own[a] / owned[a] : NAN;
        out->other[a] = met[a] > 0 ? out->other[a] / met[a] : NAN;
        for (int64_t b = 0; b < s; b++)
            out->apart[a * s + b] =
                pairs[a * s + b] > 0 ? out->apart[a * s + b] / pairs[a * s + b] : NAN;
    }
    return RG_OK;
}

void rg_crossing_free(rg_crossing *crossing)
{
    free(crossing->own); /* one block */
    *crossing = (rg_crossing){0};
}

static double mean_apart(void *ctx, const int64_t *songs, int64_t n)
{
    const rg_crossing *c = ctx;
    double sum = 0, pairs = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double apart = c->apart[songs[i] * c->songs + songs[j]];
            if (songs[i] == songs[j] || !isfinite(apart)) continue;
            sum += apart;
            pairs++;
        }
    return pairs > 0 ? sum / pairs : NAN;
}

rg_interval rg_crossing_apart(const rg_crossing *crossing, uint64_t seed)
{
    rg_crossing copy = *crossing;
    return rg_bootstrap_of(crossing->songs, seed, mean_apart, &copy);
}
