/*
 * Phrases of the vocabulary (prompt_private.h): the longest one at a place, and what it does.
 *
 * One idea: each field is a row of a table with the function that takes its words. Adjectives wait
 * for the instrument that they stand before; "no" waits for the next word that means something.
 */
#include <string.h>

#include "base/text.h"
#include "music/prompt/prompt_private.h"

typedef void take_word(rg__reader *r, const rg_word *w, int32_t at, int32_t count);

static void deny(rg__reader *r, int32_t end)
{
    if (r->negated) r->denied = end;
    r->negated = false;
}

/* ---- adjectives and genres ---- */

static void take_genre(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    rg__add(r, "genre", w->name, "", at, count);
    r->n_adjectives = 0;
    deny(r, at + count);
}

/* "no" stays for an instrument that follows: "no distorted guitar" is about the guitar. */
static void take_adjective(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    size_t before = r->out->n;
    rg__add(r, w->field, w->name, "", at, count);
    if (r->out->n > before && r->n_adjectives < RG__MAX_ADJECTIVES)
        r->adjectives[r->n_adjectives++] = (int32_t)before;
}

static void drop_finding(rg_prompt *p, int32_t i)
{
    p->n--;
    memmove(p->findings + i, p->findings + i + 1, (p->n - (size_t)i) * sizeof *p->findings);
}

/* What stood before an instrument was said of its track; what was denied with it, not at all. */
static void give_adjectives(rg__reader *r, const char *role)
{
    rg_prompt *p = r->out;
    for (int32_t i = r->n_adjectives - 1; i >= 0; i--) {
        rg_finding *f = p->findings + r->adjectives[i];
        if (r->negated)
            drop_finding(p, r->adjectives[i]);
        else
            rg_copy_text(f->role, sizeof f->role, role);
    }
    r->n_adjectives = 0;
}

/* ---- instruments and tracks ---- */

/* The role that a following word gives: "sax lead", "Rhodes chords". */
static const char *role_after(const rg__reader *r, int32_t at, const char *role, int32_t *more)
{
    *more = 0;
    if (rg__breaks(r, at)) return role;
    bool voice = !strcmp(role, "harmony") || !strcmp(role, "melody");
    *more = 1;
    if (voice && rg__token_means(r, at, "track", "melody")) return "melody";
    if (voice && rg__token_means(r, at, "track", "harmony")) return "harmony";
    if (voice && rg__token_is(r, at, "solo")) return "melody";
    *more = 0;
    return role;
}

static void take_instrument(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    int32_t more, track;
    const char *role = role_after(r, at + count, w->role, &more);
    count += more;
    track = rg__track_index(role);
    give_adjectives(r, role);
    bool whole = r->negated && !strcmp(w->name, role);
    if (whole)
        rg__set_track(r, track, false, at, count);
    else if (r->negated || track < 0 || rg__set_track(r, track, true, at, count))
        rg__add(r, "instruments", w->name, role, at, count);
    r->instrument = at + count;
    if (!r->negated && track >= 0) r->clause |= 1u << track;
    if (!r->negated && track >= 0 && r->only) r->alone |= 1u << track;
    deny(r, at + count);
}

static void take_track(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    int32_t track = rg__track_index(w->name);
    give_adjectives(r, w->name);
    rg__set_track(r, track, !r->negated, at, count);
    if (!r->negated && track >= 0) r->clause |= 1u << track;
    if (!r->negated && track >= 0 && r->only) r->alone |= 1u << track;
    deny(r, at + count);
}

static void take_without(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    rg__set_track(r, rg__track_index(w->role), r->negated, at, count);
    deny(r, at + count);
}

static void take_alone(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    int32_t track = rg__track_index(w->role);
    if (!r->negated && rg__set_track(r, track, true, at, count) && track >= 0)
        r->alone |= 1u << track;
    deny(r, at + count);
}

/* ---- tempo, meter, mode ---- */

static void take_tempo(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    r->n_adjectives = 0;
    if (r->negated) {
        rg__add(r, "tempo", w->name, "", at, count);
        deny(r, at + count);
    } else if (r->word_high > 0) {
        char kept[64];
        rg__words(r, r->word_at, r->word_count, kept);
        if (w->low > r->word_high || w->high < r->word_low)
            rg__conflict(r, "tempo_bpm", kept, at, count);
    } else {
        r->word_low = w->low;
        r->word_high = w->high;
        r->word_at = at;
        r->word_count = count;
        r->word_confidence = r->confidence * 0.7;
    }
}

static void take_feel(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    const char *feel = !strcmp(w->name, "half-time") ? "half-time" : "double-time";
    if (r->negated)
        rg__add(r, "feel", w->name, "", at, count);
    else if (!r->out->feel)
        r->out->feel = feel;
    else if (strcmp(r->out->feel, feel) != 0)
        rg__conflict(r, "tempo_bpm", r->out->feel, at, count);
    deny(r, at + count);
}

static void take_meter(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    int32_t beats, unit;
    if (r->negated)
        rg__add(r, "meter", w->name, "", at, count);
    else if (rg_meter_parse(w->name, &beats, &unit))
        rg__set_meter(r, beats, unit, at, count);
    deny(r, at + count);
}

static void take_mode(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    if (r->negated)
        rg__add(r, "key", w->name, "", at, count);
    else
        rg__set_mode(r, -1, w->name, at, count);
    deny(r, at + count);
}

/* ---- words that steer ---- */

static void take_only(rg__reader *r, int32_t at, int32_t count)
{
    if (r->clause && rg__breaks(r, at + count))
        r->alone |= r->clause; /* "bass and drums only" */
    else
        r->only = true;
}

/* "no drums or bass", "without drums and bass", but "no bass and a flute". */
static void go_on_denying(rg__reader *r, int32_t at, bool is_or)
{
    bool plain = rg__token_means(r, at + 1, "instruments", NULL) ||
                 rg__token_means(r, at + 1, "track", NULL) ||
                 (r->lists && rg__noun_at(r, at + 1, false) > 0);
    if (r->denied == at && (is_or || plain)) r->negated = true;
}

static void take_grammar(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    const bool excepts = !strcmp(w->name, "except");
    if (excepts || !strcmp(w->name, "not")) {
        r->negated = true;
        r->lists = excepts;
        r->n_adjectives = 0;
    } else if (!strcmp(w->name, "only")) {
        r->negated = false; /* "nothing but", "not only" */
        take_only(r, at, count);
    } else if (!strcmp(w->name, "solo")) {
        r->only = true;
    } else if (!strcmp(w->name, "or") || !strcmp(w->name, "and")) {
        go_on_denying(r, at, w->name[0] == 'o');
    } else if (strcmp(w->name, "link") != 0) {
        r->n_adjectives = 0;
    }
}

/* ---- the table ---- */

static take_word *taker(const char *field)
{
    static const struct {
        const char *field;
        take_word *take;
    } rows[] = {
        {"grammar", take_grammar},
        {"genre", take_genre},
        {"mood", take_adjective},
        {"energy", take_adjective},
        {"production", take_adjective},
        {"instruments", take_instrument},
        {"track", take_track},
        {"without", take_without},
        {"alone", take_alone},
        {"tempo", take_tempo},
        {"feel", take_feel},
        {"meter", take_meter},
        {"mode", take_mode},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].field, field)) return rows[i].take;
    return NULL;
}

/* A word of grammar has no other meaning: "low brass" is not of low energy. */
static void take_meanings(rg__reader *r, const rg_word *w, int32_t at, int32_t count)
{
    const rg_word *words = r->v->words;
    for (const rg_word *m = w; m; m = m->next < 0 ? NULL : words + m->next)
        if (!strcmp(m->field, "grammar")) {
            take_grammar(r, m, at, count);
            return;
        }
    bool negated = r->negated;
    for (const rg_word *m = w; m; m = m->next < 0 ? NULL : words + m->next) {
        take_word *take = taker(m->field);
        if (!take) continue;
        r->negated = negated;
        take(r, m, at, count);
    }
}

/* How many tokens a phrase that begins here may have. */
static int32_t longest(const rg__reader *r, int32_t at)
{
    const rg__token *t = r->t.list + at;
    const int32_t most = rg__vocabulary_longest(r->v, r->t.plain + t->at, t->n);
    int32_t count = most > 0;
    while (count < most && at + count < r->t.n && r->t.list[at + count].before != ',') count++;
    return count;
}

const rg_word *rg__phrase_at(const rg__reader *r, int32_t at, int32_t *count)
{
    const rg__token *t = r->t.list + at;
    for (*count = longest(r, at); *count >= 1; --*count) {
        const rg__token *last = t + *count - 1;
        const rg_word *w =
            rg__vocabulary_phrase(r->v, r->t.plain + t->at, last->at + last->n - t->at);
        if (w) return w;
    }
    return NULL;
}

int32_t rg__take_phrase(rg__reader *r, int32_t at)
{
    int32_t count;
    const rg_word *w = rg__phrase_at(r, at, &count);
    if (!w) return 0;
    r->instrument = -1;
    take_meanings(r, w, at, count);
    return r->instrument > at + count ? r->instrument - at : count;
}
