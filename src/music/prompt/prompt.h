/*
 * From a sentence to explicit conditions: genre, mood, tempo, key, meter, instruments, energy.
 *
 * One idea: a vocabulary is data (words, what they are, a broader word above each); analysing finds
 * the longest known phrases and a few number forms, and says for every finding which words of the
 * text gave it. A model that lacks a word is asked for the broader one, and the result says so.
 * Not here: what a model was trained with (models/track_transformer.h) and free text embeddings.
 */
#ifndef RG_MUSIC_PROMPT_PROMPT_H
#define RG_MUSIC_PROMPT_PROMPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { RG_WORD_SIZE = 32, RG_MAX_FINDINGS = 32, RG_PROMPT_SIZE = 1024 };

typedef struct rg_word {
    char field[16];            /* "genre", "mood", "instruments", "energy" */
    char word[RG_WORD_SIZE];   /* as a person writes it, lower case */
    char parent[RG_WORD_SIZE]; /* broader word of the same field; "" none */
    char role[16];             /* instruments: the role that plays it by default; "" any */
} rg_word;

typedef struct rg_vocabulary {
    rg_word *words;
    size_t n;
} rg_vocabulary;

/* The built-in words; a copy that the caller frees. False when out of memory. */
bool rg_vocabulary_make(rg_vocabulary *out);
/* Adds words of {"words": [{"field","word","parent","role"?}]}: a new word must name a parent that
 * is in the vocabulary; `where` names the file in messages. */
rg_status rg_vocabulary_extend(rg_vocabulary *vocabulary, const json_t *words, const char *where,
                               rg_error *err) RG_MUST_USE;
json_t *rg_vocabulary_to_json(const rg_vocabulary *vocabulary); /* new reference */
void rg_vocabulary_free(rg_vocabulary *vocabulary);
const rg_word *rg_vocabulary_find(const rg_vocabulary *vocabulary, const char *field,
                                  const char *word); /* NULL: none */

/* One thing understood: `field` = `value`, from the words `source` of the text. */
typedef struct rg_finding {
    char field[16]; /* also "tempo", "key", "meter", "duration" */
    char value[RG_WORD_SIZE];
    char role[16]; /* instruments */
    char source[64];
} rg_finding;

typedef struct rg_prompt {
    char text[RG_PROMPT_SIZE];
    double tempo;                    /* beats per minute; 0: not said */
    int32_t key_tonic, key_mode;     /* 0 = C .. 11, 0 major, 1 minor; tonic -1: not said */
    int32_t meter_beats, meter_unit; /* 0: not said */
    size_t n;
    rg_finding findings[RG_MAX_FINDINGS];
    char unknown[256]; /* words that meant nothing to it, comma-separated */
} rg_prompt;

/* Never fails on text; RG_ERR_USAGE only when it is too long, not UTF-8, or asks for two different
 * tempi, keys or meters. */
rg_status rg_prompt_analyze(const char *text, const rg_vocabulary *vocabulary, rg_prompt *out,
                            rg_error *err) RG_MUST_USE;
/* {"text", "tempo", "key", "meter", "findings": [...], "unknown"}; new reference. */
json_t *rg_prompt_to_json(const rg_prompt *prompt);
/* The first finding of a field at or after *i (start with 0); NULL at the end. */
const rg_finding *rg_prompt_next(const rg_prompt *prompt, const char *field, size_t *i);

/* "A minor", "F# major"; out needs 16 bytes. And back: "Am", "f sharp minor", "Bb", "c#m". */
const char *rg_key_name(int32_t tonic, int32_t mode, char out[16]);
bool rg_key_parse(const char *text, int32_t *tonic, int32_t *mode);
/* "4/4", "6/8". */
bool rg_meter_parse(const char *text, int32_t *beats, int32_t *unit);

#endif
