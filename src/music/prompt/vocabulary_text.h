/*
 * The files of configs/vocabulary as bytes: written when the build is configured, so that a program
 * understands words wherever it is installed.
 */
#ifndef RG_MUSIC_PROMPT_VOCABULARY_TEXT_H
#define RG_MUSIC_PROMPT_VOCABULARY_TEXT_H

#include <stddef.h>

typedef struct rg__vocabulary_file {
    const char *name;
    const unsigned char *text;
    size_t n;
} rg__vocabulary_file;

extern const rg__vocabulary_file rg__vocabulary_texts[];
extern const size_t rg__n_vocabulary_texts;

#endif
