/*
 * The vocabulary (prompt.h): built-in words as data, and a user's own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "music/prompt/prompt.h"

static const rg_word builtin[] = {
#define WORD(field, word, parent, role) {field, word, parent, role},
#include "music/prompt/vocabulary.def"
#undef WORD
};

bool rg_vocabulary_make(rg_vocabulary *out)
{
    out->n = sizeof builtin / sizeof *builtin;
    out->words = malloc(sizeof builtin);
    if (!out->words) return false;
    memcpy(out->words, builtin, sizeof builtin);
    return true;
}

void rg_vocabulary_free(rg_vocabulary *vocabulary)
{
    free(vocabulary->words);
    *vocabulary = (rg_vocabulary){0};
}

const rg_word *rg_vocabulary_find(const rg_vocabulary *vocabulary, const char *field,
                                  const char *word)
{
    for (size_t i = 0; i < vocabulary->n; i++)
        if (!strcmp(vocabulary->words[i].word, word) &&
            (!field || !strcmp(vocabulary->words[i].field, field)))
            return vocabulary->words + i;
    return NULL;
}

static rg_status read_word(const rg_vocabulary *vocabulary, const json_t *entry, const char *where,
                           rg_word *out, rg_error *err)
{
    const char *field, *word, *parent, *role = json_string_value(json_object_get(entry, "role"));
    RG_TRY(rg_json_get_text(entry, "field", where, &field, err));
    RG_TRY(rg_json_get_text(entry, "word", where, &word, err));
    RG_TRY(rg_json_get_text(entry, "parent", where, &parent, err));
    *out = (rg_word){0};
    if (!word[0] || !rg_copy_text(out->word, sizeof out->word, word) ||
        !rg_copy_text(out->field, sizeof out->field, field) ||
        !rg_copy_text(out->parent, sizeof out->parent, parent) ||
        !rg_copy_text(out->role, sizeof out->role, role ? role : ""))
        return rg_fail(err, RG_ERR_FORMAT, "%s: the word '%s' is empty or longer than %d letters",
                       where, word, RG_WORD_SIZE - 1);
    if (!rg_vocabulary_find(vocabulary, field, parent))
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: the word '%s' names the parent '%s', which is no word of %s", where,
                       word, parent, field);
    return RG_OK;
}

rg_status rg_vocabulary_extend(rg_vocabulary *vocabulary, const json_t *words, const char *where,
                               rg_error *err)
{
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)words, i, entry)
    {
        const char *field = json_string_value(json_object_get(entry, "field"));
        const char *word = json_string_value(json_object_get(entry, "word"));
        rg_word made;
        if (field && word && rg_vocabulary_find(vocabulary, field, word)) continue;
        RG_TRY(read_word(vocabulary, entry, where, &made, err));
        rg_word *grown = realloc(vocabulary->words, (vocabulary->n + 1) * sizeof *grown);
        if (!grown) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for words", where);
        vocabulary->words = grown;
        vocabulary->words[vocabulary->n++] = made;
    }
    return RG_OK;
}

json_t *rg_vocabulary_to_json(const rg_vocabulary *vocabulary)
{
    json_t *list = json_array();
    for (size_t i = 0; i < vocabulary->n; i++) {
        const rg_word *w = vocabulary->words + i;
        json_t *entry =
            json_pack("{s:s, s:s, s:s}", "field", w->field, "word", w->word, "parent", w->parent);
        if (w->role[0]) json_object_set_new(entry, "role", json_string(w->role));
        json_array_append_new(list, entry);
    }
    return list;
}
