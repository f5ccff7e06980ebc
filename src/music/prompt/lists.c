/*
 * Lists behind a denial (prompt_private.h): "no drums, bass or melody", "without drums and bass".
 *
 * One idea: a comma ends what "no" denies unless an "or" is still to come between things of the
 * same kind: only then was it a list. "And" closes a list behind words such as "without"; behind a
 * "no" it may as well go on with what is wanted: "no drums, bass and piano".
 */
#include "music/prompt/prompt_private.h"

static bool is_noun(const rg_word *w)
{
    return !strcmp(w->field, "instruments") || !strcmp(w->field, "track");
}

static bool is_adjective(const rg_word *w)
{
    return !strcmp(w->field, "mood") || !strcmp(w->field, "production") ||
           !strcmp(w->field, "energy") ||
           (!strcmp(w->field, "grammar") && !strcmp(w->name, "link"));
}

int32_t rg__noun_at(const rg__reader *r, int32_t at, bool adjectives)
{
    int32_t took = 0, count;
    for (int i = 0; i <= RG__MAX_ADJECTIVES && at + took < r->t.n; i++) {
        const rg_word *w = rg__phrase_at(r, at + took, &count);
        if (!w || (i && rg__breaks(r, at + took))) return 0;
        took += count;
        bool noun = false, adjective = false;
        for (; w; w = w->next < 0 ? NULL : r->v->words + w->next) {
            noun = noun || is_noun(w);
            adjective = adjective || is_adjective(w);
        }
        if (noun) return took;
        if (!adjectives || !adjective) return 0;
    }
    return 0;
}

/* Where the list ends whose second member, or last "or", stands at `at`; 0: it is none. */
static int32_t end_of_list(const rg__reader *r, int32_t at)
{
    for (bool first = true; at < r->t.n; first = false) {
        bool is_or = rg__token_means(r, at, "grammar", "or"),
             is_and = r->lists && !first && rg__token_means(r, at, "grammar", "and");
        int32_t took = rg__noun_at(r, at + (is_or || is_and), !is_and);
        if (is_or || is_and) return took ? at + 1 + took : 0;
        if (!took) return 0;
        at += took;
        bool closes =
            rg__token_means(r, at, "grammar", "or") || rg__token_means(r, at, "grammar", "and");
        if (!closes && !rg__breaks(r, at)) return 0;
    }
    return 0;
}

bool rg__still_denied(rg__reader *r, int32_t at)
{
    if (at < r->list_end) return true;
    if (r->denied != at || r->list_end == at) return false; /* a list that is closed, is closed */
    if (r->t.list[at].before == '/') return rg__noun_at(r, at, false) > 0;
    if (!rg__breaks(r, at)) return false;
    r->list_end = end_of_list(r, at);
    return r->list_end > 0;
}
