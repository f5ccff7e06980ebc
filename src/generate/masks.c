/*
 * Drawing masks (masks.h).
 *
 * One idea: every family is a known-until and known-from frame per role, and a span of the target.
 */
#include "generate/masks.h"

#include <stdlib.h>
#include <string.h>

const char *rg_mask_name(rg_mask_family family)
{
    static const char *const names[RG_MASK_COUNT] = {
#define X(id, name, text) name,
        RG_MASK_FAMILIES(X)
#undef X
    };
    return names[family];
}

rg_mask_mix rg_mask_mix_of_phase(int32_t phase)
{
    static const rg_mask_mix mixes[3] = {
        {{[RG_MASK_NONE] = 1}},
        {{[RG_MASK_NONE] = 0.15,
          [RG_MASK_ROLES] = 0.35,
          [RG_MASK_STAIRCASE] = 0.35,
          [RG_MASK_RECTANGLE] = 0.15}},
        {{[RG_MASK_NONE] = 0.1,
          [RG_MASK_STAIRCASE] = 0.3,
          [RG_MASK_RECTANGLE] = 0.4,
          [RG_MASK_WHOLE] = 0.2}},
    };
    return mixes[phase < 1 ? 0 : phase > 3 ? 2 : phase - 1];
}

rg_mask_family rg_mask_draw(const rg_mask_mix *mix, rg_rng *rng)
{
    double u = rg_rng_uniform(rng);
    for (int32_t f = 0; f < RG_MASK_COUNT; f++) {
        u -= mix->share[f];
        if (u < 0) return (rg_mask_family)f;
    }
    return RG_MASK_NONE;
}

static void set_state(rg_track_batch *batch, int32_t item, int32_t role, int32_t a, int32_t b,
                      uint8_t state)
{
    if (b > a)
        memset(batch->state[role] + (int64_t)item * batch->frames + a, state, (size_t)(b - a));
}

/* A span edge: the start of a bar where bars are known, else a multiple of the patch. */
static int32_t edge_near(const rg_mask_window *w, int32_t patch, int32_t frame)
{
    int32_t best = frame - frame % patch;
    for (int32_t i = 0; i < w->n_bars; i++)
        if (i == 0 || abs(w->bars[i] - frame) < abs(best - frame)) best = w->bars[i];
    return best < 0 ? 0 : best > w->frames ? w->frames : best;
}

/* A span of between `low` and `high` of the window, at edges; never empty. */
static void draw_span(const rg_mask_window *w, int32_t patch, double low, double high, rg_rng *rng,
                      int32_t *a, int32_t *b)
{
    double share = low + (high - low) * rg_rng_uniform(rng);
    int32_t length = (int32_t)(share * w->frames);
    if (length < 1) length = 1;
    int32_t from = (int32_t)rg_rng_below(rng, (uint64_t)w->frames - (uint64_t)length + 1);
    *a = edge_near(w, patch, from);
    *b = edge_near(w, patch, from + length);
    if (*b <= *a) *b = *a + length < w->frames ? *a + length : w->frames;
    if (*b <= *a) *a = *b > length ? *b - length : 0;
}

static void known_roles(const rg_track_config *c, rg_track_batch *batch, int32_t item,
                        const rg_mask_window *w, rg_rng *rng)
{
    int32_t shown = 0, last = -1;
    for (int32_t r = 0; r < c->n_roles; r++) {
        if (r == batch->target || !w->present[r]) continue;
        last = r;
        if (rg_rng_uniform(rng) < 0.5) continue;
        set_state(batch, item, r, 0, w->frames, RG_CELL_KNOWN);
        shown++;
    }
    if (shown == 0 && last >= 0) set_state(batch, item, last, 0, w->frames, RG_CELL_KNOWN);
}

static void known_stairs(const rg_track_config *c, rg_track_batch *batch, int32_t item,
                         const rg_mask_window *w, int32_t a, int32_t b)
{
    for (int32_t r = 0; r < c->n_roles; r++)
        if (w->present[r]) set_state(batch, item, r, 0, r < batch->target ? b : a, RG_CELL_KNOWN);
}

static void known_around(const rg_track_config *c, rg_track_batch *batch, int32_t item,
                         const rg_mask_window *w, int32_t a, int32_t b, rg_rng *rng)
{
    for (int32_t r = 0; r < c->n_roles; r++) {
        if (!w->present[r]) continue;
        double u = r == batch->target ? 0.7 : rg_rng_uniform(rng);
        if (u >= 0.8) continue; /* not made yet */
        set_state(batch, item, r, 0, u < 0.6 ? w->frames : a, RG_CELL_KNOWN);
        set_state(batch, item, r, b, w->frames, RG_CELL_KNOWN);
    }
}

void rg_mask_write(const rg_track_config *config, rg_track_batch *batch, int32_t item,
                   rg_mask_family family, bool isolated, const rg_mask_window *w, rg_rng *rng)
{
    int32_t a = 0, b = w->frames, target = batch->target;
    for (int32_t r = 0; r < config->n_roles; r++) {
        set_state(batch, item, r, 0, batch->frames, RG_CELL_UNKNOWN);
        if (isolated) continue;
        set_state(batch, item, r, w->present[r] ? w->frames : 0, batch->frames, RG_CELL_ABSENT);
    }
    uint8_t *cells = batch->cells + (int64_t)item * batch->frames;
    memset(cells, 0, (size_t)batch->frames);
    if (w->frames < 1) return;
    switch (family) {
    case RG_MASK_ROLES:
        known_roles(config, batch, item, w, rng);
        break;
    case RG_MASK_STAIRCASE:
        draw_span(w, config->patch, 0.15, 0.6, rng, &a, &b);
        known_stairs(config, batch, item, w, a, b);
        break;
    case RG_MASK_RECTANGLE:
        draw_span(w, config->patch, 0.1, 0.6, rng, &a, &b);
        known_around(config, batch, item, w, a, b, rng);
        break;
    case RG_MASK_WHOLE:
        for (int32_t r = 0; r < config->n_roles; r++)
            if (w->present[r] && r != target)
                set_state(batch, item, r, 0, w->frames, RG_CELL_KNOWN);
        break;
    case RG_MASK_NONE:
    case RG_MASK_COUNT:
        break;
    }
    if (w->present[target]) memset(cells + a, 1, (size_t)(b - a));
}
