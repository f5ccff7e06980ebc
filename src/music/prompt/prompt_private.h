/*
 * Inside the analyzer: its tokens and the state of one reading.
 *
 * One idea: the text is rewritten once in a plain form, tokens with exactly one space between them,
 * so that a phrase of the vocabulary is a run of its bytes. What stood between two tokens is kept
 * as one character.
 */
#ifndef RG_MUSIC_PROMPT_PRIVATE_H
#define RG_MUSIC_PROMPT_PRIVATE_H

#include <string.h>

#include "music/prompt/prompt.h"

enum { RG__MAX_ADJECTIVES = 8 };

typedef struct rg__token {
    uint32_t at, n;    /* in the plain form */
    uint32_t from, to; /* in the text */
    char before;       /* ' ', '-', '/', ':' or ',' (any break) */
    bool number;
} rg__token;

typedef struct rg__tokens {
    int32_t n;
    char *plain;
    rg__token *list;
    void *memory;
} rg__tokens;

/* RG_ERR_USAGE if the text is not UTF-8, RG_ERR_NOMEM; rg__tokens_free in any case. */
rg_status rg__tokens_make(rg__tokens *out, const char *text, size_t n, rg_error *err);
void rg__tokens_free(rg__tokens *tokens);
/* The plain form of a short phrase; false when it does not fit. */
bool rg__plain(const char *text, char out[RG_WORD_SIZE]);

/* No phrase that begins with this token has more tokens. */
int32_t rg__vocabulary_longest(const rg_vocabulary *v, const char *first, size_t n);
/* The meanings of the plain phrase s[0..n), by rg_word.next; NULL: none. */
const rg_word *rg__vocabulary_phrase(const rg_vocabulary *v, const char *s, size_t n);
/* Whether a phrase has a meaning in that field by that name (NULL: any name). */
bool rg__means(const rg_vocabulary *v, const char *s, size_t n, const char *field,
               const char *name);
/* The word of the vocabulary one edit away from s[0..n); NULL: none. */
const rg_word *rg__vocabulary_repair(const rg_vocabulary *v, const char *s, size_t n);
/* Whether the words from `from` on name parents that are there; `code` otherwise. */
rg_status rg__vocabulary_check(const rg_vocabulary *v, size_t from, rg_status code,
                               const char *where, rg_error *err);
rg_status rg__vocabulary_add(rg_vocabulary *v, const rg_word *word, rg_error *err);

typedef struct rg__reader {
    const rg_vocabulary *v;
    const char *text;
    rg__tokens t;
    rg_prompt *out;
    bool negated;         /* the next finding is unwanted */
    bool lists;           /* the last denial was a "without", not a "no" */
    int32_t denied;       /* the token after the last unwanted finding; -1 */
    int32_t list_end;     /* the token after a list of unwanted things */
    bool only;            /* "only" stands earlier in this clause */
    uint32_t alone;       /* tracks that something says are alone, a bit each */
    uint32_t clause;      /* tracks of the instruments of this clause */
    int32_t n_adjectives; /* findings that wait for an instrument */
    int32_t adjectives[RG__MAX_ADJECTIVES];
    int32_t instrument;         /* the finding that the token before belongs to; -1 */
    int32_t minutes_end;        /* the token after "2 minutes"; -1 */
    double word_low, word_high; /* of a tempo word */
    double word_confidence;
    int32_t word_at, word_count; /* its tokens */
    int32_t repairs;
    double confidence; /* of what is being read */
} rg__reader;

/* Asked of every token dozens of times: the first letter settles most. */
static inline bool rg__token_is(const rg__reader *r, int32_t at, const char *word)
{
    if (at < 0 || at >= r->t.n) return false;
    const rg__token *t = r->t.list + at;
    const char *s = r->t.plain + t->at;
    return s[0] == word[0] && strncmp(s, word, t->n) == 0 && !word[t->n];
}
bool rg__token_means(const rg__reader *r, int32_t at, const char *field, const char *name);
bool rg__breaks(const rg__reader *r, int32_t at); /* a clause ends before token `at` */
/* NULL when there is no room, or it was said already. */
rg_finding *rg__add(rg__reader *r, const char *field, const char *value, const char *role,
                    int32_t at, int32_t count);
void rg__conflict(rg__reader *r, const char *field, const char *kept, int32_t at, int32_t count);
const char *rg__said(const rg_prompt *p, const char *field); /* the words of the first finding */
void rg__words(const rg__reader *r, int32_t at, int32_t count, char out[64]);

/* Each returns how many tokens it took at `at`; 0: not this. */
int32_t rg__take_number(rg__reader *r, int32_t at);
int32_t rg__take_key(rg__reader *r, int32_t at);
int32_t rg__take_phrase(rg__reader *r, int32_t at);

/* The longest phrase of the vocabulary at `at`, and its tokens; NULL: none. */
const rg_word *rg__phrase_at(const rg__reader *r, int32_t at, int32_t *count);
/* Tokens of an instrument or track at `at`, with adjectives before it if they may be; 0: none. */
int32_t rg__noun_at(const rg__reader *r, int32_t at, bool adjectives);
/* Whether what begins at `at` belongs to a list of unwanted things. */
bool rg__still_denied(rg__reader *r, int32_t at);

void rg__set_tempo(rg__reader *r, double low, double high, int32_t at, int32_t count);
void rg__set_meter(rg__reader *r, int32_t beats, int32_t unit, int32_t at, int32_t count);
void rg__set_mode(rg__reader *r, int32_t tonic, const char *mode, int32_t at, int32_t count);
int32_t rg__track_index(const char *role); /* -1: no track */
bool rg__set_track(rg__reader *r, int32_t track, bool wanted, int32_t at, int32_t count);
/* After the last token: tempo words, tracks that are alone, opposites, what a genre implies. */
void rg__settle(rg__reader *r);

#endif
