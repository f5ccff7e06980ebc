/*
 * The end of an analysis (prompt_private.h): tempo words against numbers, tracks that are alone,
 * opposites, and what the genre implies.
 */
#include <string.h>

#include "base/text.h"
#include "music/prompt/prompt_private.h"

static const char *const track_names[RG_PROMPT_TRACKS] = {"drums", "bass", "harmony", "melody",
                                                          "vocals"};

const char *rg_prompt_track(size_t i)
{
    return i < RG_PROMPT_TRACKS ? track_names[i] : NULL;
}

int32_t rg__track_index(const char *role)
{
    for (int32_t i = 0; i < RG_PROMPT_TRACKS; i++)
        if (!strcmp(track_names[i], role)) return i;
    return -1;
}

/* False: the opposite was said before, which stands. */
bool rg__set_track(rg__reader *r, int32_t track, bool wanted, int32_t at, int32_t count)
{
    int8_t value = wanted ? 1 : -1;
    bool negated = r->negated;
    if (track < 0) return true;
    if (r->out->tracks[track] && r->out->tracks[track] != value) {
        const char *kept = "";
        for (size_t i = 0; i < r->out->n; i++)
            if (!strcmp(r->out->findings[i].field, "track") &&
                !strcmp(r->out->findings[i].role, track_names[track]))
                kept = r->out->findings[i].source;
        rg__conflict(r, "tracks", kept, at, count);
        return false;
    }
    r->out->tracks[track] = value;
    r->negated = false;
    rg__add(r, "track", wanted ? "wanted" : "unwanted", track_names[track], at, count);
    r->negated = negated;
    return true;
}

/* A word gives a tempo when no number does; a number that it contradicts is a conflict. */
static void settle_tempo(rg__reader *r)
{
    rg_prompt *p = r->out;
    double low = r->word_low, high = r->word_high;
    if (high <= 0) return;
    if (p->tempo <= 0) {
        r->confidence = r->word_confidence;
        rg__set_tempo(r, low, high, r->word_at, r->word_count);
        return;
    }
    bool fast = low >= 120, slow = high <= 90;
    bool below = p->tempo_high < 0.9 * low && !slow, above = p->tempo_low > 1.1 * high && !fast;
    if (below || above)
        rg__conflict(r, "tempo_bpm", rg__said(p, "tempo"), r->word_at, r->word_count);
}

static void settle_tracks(rg__reader *r)
{
    for (int32_t i = 0; r->alone && i < RG_PROMPT_TRACKS; i++)
        if (!r->out->tracks[i] && !(r->alone >> i & 1)) r->out->tracks[i] = -1;
}

static void report_pair(rg__reader *r, const char *field, const rg_finding *a, const rg_finding *b)
{
    rg_prompt *p = r->out;
    if (p->n_conflicts == RG_MAX_CONFLICTS) return;
    rg_conflict *c = p->conflicts + p->n_conflicts++;
    *c = (rg_conflict){.field = field};
    rg_copy_text(c->kept, sizeof c->kept, a->source);
    rg_copy_text(c->dropped, sizeof c->dropped, b->source);
}

/* Opposite by name, or by the broader name of one of them. */
static bool are_opposite(const rg_vocabulary *v, const char *a, const char *b)
{
    const rg_word *x = rg_vocabulary_find(v, "mood", a), *y = rg_vocabulary_find(v, "mood", b);
    if (!x || !y) return false;
    return !strcmp(x->opposite, y->name) || !strcmp(y->opposite, x->name) ||
           (x->parent[0] && !strcmp(y->opposite, x->parent)) ||
           (y->parent[0] && !strcmp(x->opposite, y->parent));
}

static void settle_pairs(rg__reader *r, const char *field, const char *key, bool any)
{
    const rg_finding *a, *b;
    for (size_t i = 0; (a = rg_prompt_next(r->out, field, &i));)
        for (size_t j = i; (b = rg_prompt_next(r->out, field, &j));)
            if (!strcmp(a->role, b->role) && (any || are_opposite(r->v, a->value, b->value)))
                report_pair(r, key, a, b);
}

static void settle_genre(rg__reader *r)
{
    rg_prompt *p = r->out;
    size_t i = 0;
    const rg_finding *f = rg_prompt_next(p, "genre", &i);
    const rg_word *w = f ? rg_vocabulary_find(r->v, "genre", f->value) : NULL;
    for (int32_t depth = 0; w && w->high <= 0 && depth < 8; depth++)
        w = w->parent[0] ? rg_vocabulary_find(r->v, "genre", w->parent) : NULL;
    if (!w || w->high <= 0) return;
    p->usual_low = w->low;
    p->usual_high = w->high;
    p->usual_tempo = (w->low + w->high) / 2;
}

void rg__settle(rg__reader *r)
{
    r->negated = false;
    settle_tempo(r);
    settle_tracks(r);
    settle_pairs(r, "mood", "moods", false);
    settle_pairs(r, "energy", "energy", true);
    settle_genre(r);
}
