/*
 * Windows of held-out songs in which given roles play.
 *
 * One idea: a question about two tracks can be asked only where both sound; places are spread over
 * the song by the golden ratio, so few of them are as even as many.
 */
#include <math.h>
#include <string.h>

#include "eval/track_internal.h"

enum { TRIES = 12 };
static const double least_active = 0.5;

static bool all_play(const track_evaluation *t, const int32_t *roles, int32_t n, int64_t song,
                     int64_t first, int64_t frames)
{
    const rg_store *store = t->e->store;
    double hop = rg_store_rate(store) / rg_tokens_frame_rate(t->tokens);
    for (int32_t k = 0; k < n; k++) {
        int32_t role = rg_store_find_role(store, t->bundle.config.roles[roles[k]].name);
        if (rg_store_active_share(store, rg_tokens_song(t->tokens, song)->song, role,
                                  (int64_t)((double)first * hop),
                                  (int64_t)((double)frames * hop)) < least_active)
            return false;
    }
    return true;
}

int32_t rg__places_find(const track_evaluation *t, const int32_t *roles, int32_t n, int64_t frames,
                        int32_t per_song, int32_t most, track_place *out, int32_t *units)
{
    int32_t found = 0;
    *units = 0;
    for (int64_t s = 0; s < rg_tokens_songs(t->tokens) && found < most; s++) {
        int64_t room = rg_tokens_song(t->tokens, s)->frames - frames;
        bool has = room >= 0;
        for (int32_t k = 0; k < n && has; k++)
            has = rg_track_data_has(t->data, s, roles[k], t->e->options.split);
        int32_t here = 0;
        for (int k = 0; k < TRIES && has && here < per_song && found < most; k++) {
            double share = fmod(0.5 + 0.6180339887498949 * k, 1);
            int64_t first = (int64_t)(share * (double)(room + 1));
            if (!all_play(t, roles, n, s, first, frames)) continue;
            out[found++] = (track_place){s, first, *units};
            here++;
        }
        *units += here > 0;
    }
    return found;
}

rg_status rg__place_audio(const track_evaluation *t, const track_place *p, int32_t role,
                          double seconds, rg_audio *out, rg_error *err)
{
    const rg_store *store = t->e->store;
    int32_t rate = rg_store_rate(store),
            of_store = rg_store_find_role(store, t->bundle.config.roles[role].name);
    double start = (double)p->first / rg_tokens_frame_rate(t->tokens);
    RG_TRY(rg_audio_make(out, llround(seconds * rate), 1, rate, err));
    return rg_store_read(store, rg_tokens_song(t->tokens, p->song)->song, of_store,
                         llround(start * rate), out->frames, out->samples, err);
}

int32_t rg__drums_role(const rg_track_config *config)
{
    for (int32_t r = 0; r < config->n_roles; r++)
        if (!rg__is_pitched(config->roles[r].name)) return r;
    return -1;
}

int32_t rg__pitched_role(const rg_track_config *config, int32_t nth)
{
    for (int32_t r = 0; r < config->n_roles; r++)
        if (rg__is_pitched(config->roles[r].name) && nth-- == 0) return r;
    return -1;
}
