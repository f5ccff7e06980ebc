/*
 * From a sentence to explicit conditions: genre, mood, tempo, key, meter, instruments, tracks, ...
 *
 * One idea: a vocabulary is data (phrases, what they are, a broader word above each); analysing
 * finds the longest known phrases and a few forms of numbers and keys, and says for every finding
 * which bytes of the text gave it and how sure that is. Contradictions are reported, never guessed
 * away: the first wish stands. A model that lacks a word is asked for the broader one, and the
 * result says so.
 * Not here: what a model was trained with (models/track_transformer.h) and free text embeddings.
 */
#ifndef RG_MUSIC_PROMPT_PROMPT_H
#define RG_MUSIC_PROMPT_PROMPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    RG_WORD_SIZE = 32,
    RG_MAX_FINDINGS = 64,
    RG_MAX_CONFLICTS = 16,
    RG_PROMPT_SIZE = 1024,     /* of a prompt that a scene keeps */
    RG_PROMPT_LIMIT = 4 << 20, /* of a text that is analysed */
    RG_PROMPT_TRACKS = 5,      /* drums, bass, harmony, melody, vocals */
};

typedef struct rg_word {
    char field[16];              /* "genre", "mood", "instruments", "energy", "tempo", ... */
    char word[RG_WORD_SIZE];     /* the phrase that is looked for: lower case, one space between */
    char name[RG_WORD_SIZE];     /* what it means: its main name, as models know it */
    char parent[RG_WORD_SIZE];   /* broader name of the same field; "" none */
    char role[16];               /* instruments: the role that plays it by default; "" any */
    char opposite[RG_WORD_SIZE]; /* moods; "" none */
    double valence, arousal;     /* moods, -1 to 1 (Russell's circumplex) */
    double low, high;            /* beats per minute of a genre or a tempo word; 0: none */
    int32_t next;                /* another meaning of the same phrase; -1 none */
} rg_word;

typedef struct rg_vocabulary {
    rg_word *words;
    size_t n, capacity;
    int32_t *index; /* a hash table of phrases */
    size_t index_size;
    uint8_t longest[1024]; /* tokens of the longest phrase by the hash of its first one; 0: none */
} rg_vocabulary;

/* The built-in words (configs/vocabulary); a copy that the caller frees. False without memory. */
bool rg_vocabulary_make(rg_vocabulary *out);
/* Adds the words of a bundle, [{"field","word","name"?,"parent","role"?}]: a parent must be in the
 * vocabulary then, "" is none; `where` names the file in messages. */
rg_status rg_vocabulary_extend(rg_vocabulary *vocabulary, const json_t *words, const char *where,
                               rg_error *err) RG_MUST_USE;
/* Adds the words of a YAML file, or of all *.yaml of a folder by name, of the form of
 * configs/vocabulary/; a new genre, mood or instrument must name a parent that is in the
 * vocabulary, which models know in its place. What a file says of a known name takes the place of
 * what was known, an alias goes to the name that has it last. After an error the vocabulary is only
 * good for rg_vocabulary_free. */
rg_status rg_vocabulary_load(rg_vocabulary *vocabulary, const char *path,
                             rg_error *err) RG_MUST_USE;
/* A vocabulary as a file (JSON), and one from such a file: as it was, whatever words are built in
 * now. Those of version 1.0 hold some words only and are added to the built-in ones. Free it, also
 * after an error. */
rg_status rg_vocabulary_write(const rg_vocabulary *vocabulary, const char *path,
                              rg_error *err) RG_MUST_USE;
rg_status rg_vocabulary_read(rg_vocabulary *out, const char *path, rg_error *err) RG_MUST_USE;
json_t *rg_vocabulary_to_json(const rg_vocabulary *vocabulary); /* new reference */
void rg_vocabulary_free(rg_vocabulary *vocabulary);
const rg_word *rg_vocabulary_find(const rg_vocabulary *vocabulary, const char *field,
                                  const char *word); /* field NULL: any; NULL: none */

/* One thing understood: `field` = `value`, from the bytes from..to of the text. */
typedef struct rg_finding {
    char field[16];           /* also "production", "tempo", "key", "meter", "duration", "track" */
    char value[RG_WORD_SIZE]; /* the main name */
    char role[16];            /* instruments, and what is said of one track; "" all */
    char source[64];          /* the words of the text */
    size_t from, to;          /* their bytes */
    double confidence;        /* 0 to 1 */
    const char *origin;       /* "said", "genre", "default" */
    bool unwanted;            /* "no guitar" */
} rg_finding;

typedef struct rg_conflict {
    const char *field;          /* the JSON key */
    char kept[64], dropped[64]; /* words of the text */
} rg_conflict;

typedef struct rg_prompt {
    char text[RG_PROMPT_SIZE];                 /* its beginning */
    double tempo, tempo_low, tempo_high;       /* said, beats per minute; 0: not said */
    double usual_tempo, usual_low, usual_high; /* of the genre; 0: it has none */
    const char *feel;                          /* "half-time", "double-time"; NULL: not said */
    int32_t key_tonic, key_mode;     /* 0 = C .. 11, 0 major, 1 minor; tonic -1: not said */
    char mode[16];                   /* "major", "minor", "dorian" ...; "" not said */
    int32_t meter_beats, meter_unit; /* 0: not said */
    double duration, bars;           /* seconds; bars if it was said so; 0: not said */
    int8_t tracks[RG_PROMPT_TRACKS]; /* 1 wanted, -1 unwanted, 0 not said */
    size_t n, n_conflicts;
    rg_finding findings[RG_MAX_FINDINGS];
    rg_conflict conflicts[RG_MAX_CONFLICTS];
    char unknown[512];  /* words that meant nothing to it, comma-separated; the first ones */
    char repaired[512]; /* "tehcno > techno, ..." */
} rg_prompt;

/* Never fails on what a text says; RG_ERR_USAGE only when it is too long or not UTF-8. */
rg_status rg_prompt_analyze(const char *text, const rg_vocabulary *vocabulary, rg_prompt *out,
                            rg_error *err) RG_MUST_USE;
/* tempo_bpm, key, meter, duration_s, genres, moods, instruments, tracks, energy, production,
 * unwanted, conflicts, repaired, unknown; new reference. */
json_t *rg_prompt_to_json(const rg_prompt *prompt);
/* The first wanted finding of a field at or after *i (start with 0); NULL at the end. */
const rg_finding *rg_prompt_next(const rg_prompt *prompt, const char *field, size_t *i);
const char *rg_prompt_track(size_t i); /* "drums", ...; NULL past the last */

/* "A minor", "F# major"; out needs 16 bytes. And back: "Am", "f sharp minor", "Bb", "c#m". */
const char *rg_key_name(int32_t tonic, int32_t mode, char out[16]);
bool rg_key_parse(const char *text, int32_t *tonic, int32_t *mode);
/* "4/4", "6/8". */
bool rg_meter_parse(const char *text, int32_t *beats, int32_t *unit);

#endif
