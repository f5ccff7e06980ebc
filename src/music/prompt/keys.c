/*
 * Keys in a prompt (prompt_private.h): "A minor", "Am", "in Bb", "key of F#", "C dorian", "minor".
 *
 * One idea: a letter is a note only when something says so, a mode after it or "in" or "key" before
 * it; "a" is an article in any other place.
 */
#include <string.h>

#include "base/text.h"
#include "music/prompt/prompt_private.h"

static const char *const tonics[] = {"C",  "C#", "D",  "Eb", "E",  "F",
                                     "F#", "G",  "Ab", "A",  "Bb", "B"};

static bool is_minor(const char *mode)
{
    return !strcmp(mode, "minor") || !strcmp(mode, "dorian") || !strcmp(mode, "phrygian") ||
           !strcmp(mode, "locrian");
}

/* Whether a second wish says the same, or only less. */
static bool agrees(const rg_prompt *p, int32_t tonic, const char *mode)
{
    return (tonic < 0 || p->key_tonic < 0 || tonic == p->key_tonic) &&
           (!mode[0] || !p->mode[0] || !strcmp(mode, p->mode));
}

void rg__set_mode(rg__reader *r, int32_t tonic, const char *mode, int32_t at, int32_t count)
{
    rg_prompt *p = r->out;
    char name[RG_WORD_SIZE];
    if (!agrees(p, tonic, mode)) {
        rg__conflict(r, "key", rg__said(p, "key"), at, count);
        return;
    }
    bool first = !p->mode[0], better = tonic >= 0 && p->key_tonic < 0;
    if (!first && !better) return;
    if (tonic >= 0) p->key_tonic = tonic;
    rg_copy_text(p->mode, sizeof p->mode, mode);
    p->key_mode = is_minor(mode);
    rg_format(name, sizeof name, "%s%s%s", tonic < 0 ? "" : tonics[tonic], tonic < 0 ? "" : " ",
              mode);
    rg__add(r, "key", name, "", at, count);
}

/* The note that the token begins with; what follows it in the token is in `rest`. */
static int32_t note_of(const rg__reader *r, int32_t at, const char **rest, size_t *n_rest)
{
    static const int32_t naturals[] = {9, 11, 0, 2, 4, 5, 7}; /* a b c d e f g */
    const rg__token *t = r->t.list + at;
    const char *s = r->t.plain + t->at;
    if (t->number || s[0] < 'a' || s[0] > 'g') return -1;
    int32_t tonic = naturals[s[0] - 'a'];
    size_t used = 1;
    if (t->n > 1 && s[1] == '#')
        tonic++, used = 2;
    else if (t->n > 1 && s[1] == 'b')
        tonic--, used = 2;
    *rest = s + used;
    *n_rest = t->n - used;
    return (tonic + 12) % 12;
}

/* "key of X", "in X", "in the key of X". */
static bool is_announced(const rg__reader *r, int32_t at)
{
    int32_t i = at - 1;
    bool of = false;
    while (rg__token_is(r, i, "of") || rg__token_is(r, i, "is") || rg__token_is(r, i, "the")) {
        of = true;
        i--;
    }
    if (rg__token_is(r, i, "key")) return r->t.list[at].before != ',';
    if (of || !rg__token_is(r, i, "in") || r->t.list[at].before == ',') return false;
    /* "in a dark mood": an article */
    return !rg__token_is(r, at, "a") || rg__breaks(r, at + 1);
}

static const char *mode_at(const rg__reader *r, int32_t at, int32_t *count)
{
    *count = 0;
    for (int32_t n = 2; n >= 1 && at < r->t.n; n--) {
        if (at + n > r->t.n || r->t.list[at].before == ',' ||
            (n == 2 && r->t.list[at + 1].before == ','))
            continue;
        const rg__token *t = r->t.list + at, *last = t + n - 1;
        const rg_word *w =
            rg__vocabulary_phrase(r->v, r->t.plain + t->at, last->at + last->n - t->at);
        for (; w; w = w->next < 0 ? NULL : r->v->words + w->next)
            if (!strcmp(w->field, "mode")) {
                *count = n;
                return w->name;
            }
    }
    return "";
}

/* "am", "ebmin" in one token; a word such as "add" or "band" is none. */
static const char *mode_within(const char *rest, size_t n)
{
    static const char *const minors[] = {"m", "min", "minor"}, *const majors[] = {"maj", "major"};
    if (!n || rest[0] != 'm') return NULL;
    for (size_t i = 0; i < 3; i++)
        if (strlen(minors[i]) == n && !memcmp(minors[i], rest, n)) return "minor";
    for (size_t i = 0; i < 2; i++)
        if (strlen(majors[i]) == n && !memcmp(majors[i], rest, n)) return "major";
    return NULL;
}

int32_t rg__take_key(rg__reader *r, int32_t at)
{
    const char *rest, *mode;
    size_t n_rest;
    int32_t tonic = note_of(r, at, &rest, &n_rest), count = 1, more;
    if (tonic < 0) return 0;
    bool marked = r->t.list[at].n == 2; /* "F#", "Bb" */
    if (n_rest) {
        mode = mode_within(rest, n_rest);
        if (!mode || (rg__token_is(r, at, "am") && rg__token_is(r, at - 1, "i"))) return 0;
    } else {
        bool near = at + 1 < r->t.n && r->t.list[at + 1].before != ',';
        bool sharp = near && rg__token_is(r, at + 1, "sharp");
        bool flat = near && rg__token_is(r, at + 1, "flat");
        if (sharp || flat) tonic = (tonic + (sharp ? 1 : 11)) % 12;
        count += sharp || flat;
        mode = mode_at(r, at + count, &more);
        bool article = rg__token_is(r, at, "a") && rg__token_is(r, at + count + more, "key") &&
                       !rg__breaks(r, at + count + more);
        if (article || !(mode[0] || marked || is_announced(r, at))) return 0;
        if (!mode[0] && rg__token_is(r, at, "a") && count == 1 && !is_announced(r, at)) return 0;
        count += more;
        if (!mode[0]) mode = "major";
    }
    if (r->negated) {
        rg__add(r, "key", mode, "", at, count);
        r->negated = false;
    } else {
        rg__set_mode(r, tonic, mode, at, count);
    }
    return count;
}
