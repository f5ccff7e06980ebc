/*
 * The analyzer (prompt.h): one walk over the tokens; at each place a key, a phrase, a number, a
 * misspelled word, or nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "music/prompt/prompt_private.h"

enum { MAX_REPAIRS = 256 }; /* each looks at the whole vocabulary: a long text stays linear */

/* ---- tokens and findings ---- */

bool rg__token_means(const rg__reader *r, int32_t at, const char *field, const char *name)
{
    if (at < 0 || at >= r->t.n) return false;
    return rg__means(r->v, r->t.plain + r->t.list[at].at, r->t.list[at].n, field, name);
}

bool rg__breaks(const rg__reader *r, int32_t at)
{
    return at <= 0 || at >= r->t.n || r->t.list[at].before == ',';
}

void rg__words(const rg__reader *r, int32_t at, int32_t count, char out[64])
{
    const rg__token *first = r->t.list + at, *last = r->t.list + at + count - 1;
    char words[96];
    size_t n = last->to - first->from;
    if (n > sizeof words - 1) n = sizeof words - 1;
    memcpy(words, r->text + first->from, n);
    words[n] = 0;
    rg_copy_text(out, 64, words);
}

static bool is_same(const rg_finding *f, const char *field, const char *value, const char *role,
                    bool unwanted)
{
    return f->unwanted == unwanted && !strcmp(f->field, field) && !strcmp(f->value, value) &&
           !strcmp(f->role, role);
}

rg_finding *rg__add(rg__reader *r, const char *field, const char *value, const char *role,
                    int32_t at, int32_t count)
{
    rg_prompt *p = r->out;
    for (size_t i = 0; i < p->n; i++)
        if (is_same(p->findings + i, field, value, role, r->negated)) return NULL;
    if (p->n == RG_MAX_FINDINGS) return NULL;
    rg_finding *f = p->findings + p->n++;
    *f = (rg_finding){.from = r->t.list[at].from,
                      .to = r->t.list[at + count - 1].to,
                      .confidence = r->confidence,
                      .origin = "said",
                      .unwanted = r->negated};
    rg_copy_text(f->field, sizeof f->field, field);
    rg_copy_text(f->value, sizeof f->value, value);
    rg_copy_text(f->role, sizeof f->role, role);
    rg__words(r, at, count, f->source);
    return f;
}

void rg__conflict(rg__reader *r, const char *field, const char *kept, int32_t at, int32_t count)
{
    rg_prompt *p = r->out;
    if (p->n_conflicts == RG_MAX_CONFLICTS) return;
    rg_conflict *c = p->conflicts + p->n_conflicts++;
    *c = (rg_conflict){.field = field};
    rg_copy_text(c->kept, sizeof c->kept, kept);
    rg__words(r, at, count, c->dropped);
}

const char *rg__said(const rg_prompt *p, const char *field)
{
    size_t i = 0;
    const rg_finding *f = rg_prompt_next(p, field, &i);
    return f ? f->source : "";
}

const rg_finding *rg_prompt_next(const rg_prompt *prompt, const char *field, size_t *i)
{
    for (; *i < prompt->n; ++*i) {
        const rg_finding *f = prompt->findings + *i;
        if (f->unwanted || strcmp(f->field, field) != 0) continue;
        ++*i;
        return f;
    }
    return NULL;
}

/* ---- the walk ---- */

static void append(char *list, size_t size, const char *text)
{
    size_t n = strlen(list), more = strlen(text);
    if (n + more + 3 <= size) rg_format(list + n, size - n, "%s%s", n ? ", " : "", text);
}

/* A misspelled word is read as if it stood there correctly. */
static int32_t take_misspelled(rg__reader *r, int32_t at)
{
    rg__token *t = r->t.list + at;
    char said[64], repair[128];
    if (t->number || r->repairs++ >= MAX_REPAIRS) return 0;
    const rg_word *w = rg__vocabulary_repair(r->v, r->t.plain + t->at, t->n);
    if (!w) return 0;
    rg__words(r, at, 1, said);
    rg_format(repair, sizeof repair, "%s > %s", said, w->word);
    append(r->out->repaired, sizeof r->out->repaired, repair);
    /* The phrase stands in the vocabulary; for the time of reading it the token is its words. */
    char *plain = r->t.plain;
    rg__token kept = *t;
    char word[RG_WORD_SIZE];
    rg_copy_text(word, sizeof word, w->word);
    r->t.plain = word;
    t->at = 0;
    t->n = (uint32_t)strlen(word);
    r->confidence = 0.8;
    int32_t n = r->t.n;
    r->t.n = at + 1;
    int32_t took = rg__take_phrase(r, at);
    r->t.n = n;
    r->confidence = 1;
    r->t.plain = plain;
    *t = kept;
    return took;
}

static void note_unknown(rg__reader *r, int32_t at)
{
    char word[64];
    if (r->t.list[at].number) return;
    rg__words(r, at, 1, word);
    append(r->out->unknown, sizeof r->out->unknown, word);
}

static void walk(rg__reader *r)
{
    for (int32_t at = 0; at < r->t.n;) {
        const bool denied = rg__still_denied(r, at);
        if (rg__breaks(r, at)) {
            r->negated = r->only = false;
            r->denied = -1;
            r->clause = 0;
            r->n_adjectives = 0;
            r->instrument = -1;
        }
        if (denied) r->negated = true;
        int32_t took = rg__take_key(r, at);
        if (!took) took = rg__take_phrase(r, at);
        if (!took) took = rg__take_number(r, at);
        if (!took) took = take_misspelled(r, at);
        if (!took) {
            note_unknown(r, at);
            took = 1;
        }
        at += took;
    }
}

rg_status rg_prompt_analyze(const char *text, const rg_vocabulary *vocabulary, rg_prompt *out,
                            rg_error *err)
{
    rg__reader r = {.v = vocabulary, .text = text, .out = out, .minutes_end = -1, .denied = -1};
    size_t n = strlen(text);
    *out = (rg_prompt){.key_tonic = -1};
    r.instrument = -1;
    r.confidence = 1;
    if (n > RG_PROMPT_LIMIT)
        return rg_fail(err, RG_ERR_USAGE, "the prompt is longer than %d bytes", RG_PROMPT_LIMIT);
    rg_copy_text(out->text, sizeof out->text, text);
    rg_status status = rg__tokens_make(&r.t, text, n, err);
    if (status == RG_OK) {
        walk(&r);
        rg__settle(&r);
    }
    rg__tokens_free(&r.t);
    return status;
}
