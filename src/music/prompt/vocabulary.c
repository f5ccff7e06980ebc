/*
 * The vocabulary (prompt.h): phrases in a hash table, and words that others add.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "music/prompt/prompt_private.h"

enum { FILE_LIMIT = 64 << 20 };
static const char *const format_name = "resonant-vocabulary";

void rg_vocabulary_free(rg_vocabulary *vocabulary)
{
    free(vocabulary->words);
    free(vocabulary->index);
    *vocabulary = (rg_vocabulary){0};
}

/* FNV-1a. */
static uint32_t hash(const char *s, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h ^ (h >> 15);
}

/* The place of a phrase in the table: where it is, or the empty place where it would be. */
static size_t place_of(const rg_vocabulary *v, const char *s, size_t n)
{
    size_t mask = v->index_size - 1, at = hash(s, n) & mask;
    for (; v->index[at] >= 0; at = (at + 1) & mask) {
        const char *word = v->words[v->index[at]].word;
        if (strncmp(word, s, n) == 0 && !word[n]) break;
    }
    return at;
}

static uint8_t *longest_of(const rg_vocabulary *v, const char *first, size_t n)
{
    return (uint8_t *)v->longest + hash(first, n) % sizeof v->longest;
}

int32_t rg__vocabulary_longest(const rg_vocabulary *v, const char *first, size_t n)
{
    return n < RG_WORD_SIZE ? *longest_of(v, first, n) : 0;
}

static void enter(rg_vocabulary *v, int32_t i)
{
    rg_word *w = v->words + i;
    uint8_t tokens = 1, *longest = longest_of(v, w->word, strcspn(w->word, " "));
    for (const char *c = w->word; *c; c++) tokens += *c == ' ';
    if (*longest < tokens) *longest = tokens;
    size_t at = place_of(v, w->word, strlen(w->word));
    int32_t last = v->index[at];
    w->next = -1;
    if (last < 0) {
        v->index[at] = i;
        return;
    }
    while (v->words[last].next >= 0) last = v->words[last].next;
    v->words[last].next = i;
}

static bool grow(rg_vocabulary *v)
{
    size_t capacity = v->capacity ? 2 * v->capacity : 1024;
    rg_word *words = realloc(v->words, capacity * sizeof *words);
    if (words) v->words = words;
    int32_t *index = words ? malloc(2 * capacity * sizeof *index) : NULL;
    if (!index) return false;
    free(v->index);
    v->index = index;
    v->index_size = 2 * capacity;
    v->capacity = capacity;
    memset(index, 0xff, v->index_size * sizeof *index); /* all -1 */
    for (size_t i = 0; i < v->n; i++) enter(v, (int32_t)i);
    return true;
}

rg_status rg__vocabulary_add(rg_vocabulary *v, const rg_word *word, rg_error *err)
{
    if (v->n == v->capacity && !grow(v)) return rg_fail(err, RG_ERR_NOMEM, "no memory for words");
    v->words[v->n] = *word;
    enter(v, (int32_t)v->n++);
    return RG_OK;
}

const rg_word *rg__vocabulary_phrase(const rg_vocabulary *v, const char *s, size_t n)
{
    if (!v->n || n >= RG_WORD_SIZE) return NULL;
    int32_t i = v->index[place_of(v, s, n)];
    return i < 0 ? NULL : v->words + i;
}

bool rg__means(const rg_vocabulary *v, const char *s, size_t n, const char *field, const char *name)
{
    const rg_word *w = rg__vocabulary_phrase(v, s, n);
    for (; w; w = w->next < 0 ? NULL : v->words + w->next)
        if (!strcmp(w->field, field) && (!name || !strcmp(w->name, name))) return true;
    return false;
}

const rg_word *rg_vocabulary_find(const rg_vocabulary *vocabulary, const char *field,
                                  const char *word)
{
    char plain[RG_WORD_SIZE];
    if (!rg__plain(word, plain)) return NULL;
    const rg_word *w = rg__vocabulary_phrase(vocabulary, plain, strlen(plain));
    for (; w; w = w->next < 0 ? NULL : vocabulary->words + w->next)
        if (!field || !strcmp(w->field, field)) return w;
    return NULL;
}

/* ---- spelling ---- */

/* Whether a insertion, deletion, substitution or swap of neighbours makes a[0..n) of b[0..m). */
static bool one_edit(const char *a, size_t n, const char *b, size_t m)
{
    size_t i = 0, end = 0, least = n < m ? n : m;
    while (i < least && a[i] == b[i]) i++;
    while (end < least - i && a[n - 1 - end] == b[m - 1 - end]) end++;
    size_t da = n - i - end, db = m - i - end;
    if (da + db <= 2 && da <= 1 && db <= 1) return true;
    return da == 2 && db == 2 && a[i] == b[i + 1] && a[i + 1] == b[i];
}

/* A short word has too many neighbours to be repaired, and a wrong first letter is rare. */
const rg_word *rg__vocabulary_repair(const rg_vocabulary *v, const char *s, size_t n)
{
    if (n < 3 || n >= RG_WORD_SIZE) return NULL;
    for (size_t i = 0; i < v->n; i++) {
        const rg_word *w = v->words + i;
        if (w->word[0] != s[0] || !strcmp(w->field, "grammar")) continue;
        size_t m = strlen(w->word);
        if (m + 1 < n || m > n + 1 || m + n < 7 || w->word[0] <= '9') continue;
        if (one_edit(s, n, w->word, m)) return w;
    }
    return NULL;
}

/* ---- words of others ---- */

static rg_status read_word(const json_t *entry, const char *where, rg_word *out, rg_error *err)
{
    const char *field, *word, *parent, *role = json_string_value(json_object_get(entry, "role"));
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *opposite = json_string_value(json_object_get(entry, "opposite"));
    const json_t *tempo = json_object_get(entry, "tempo");
    RG_TRY(rg_json_get_text(entry, "field", where, &field, err));
    RG_TRY(rg_json_get_text(entry, "word", where, &word, err));
    RG_TRY(rg_json_get_text(entry, "parent", where, &parent, err));
    *out = (rg_word){.valence = json_number_value(json_object_get(entry, "valence")),
                     .arousal = json_number_value(json_object_get(entry, "arousal")),
                     .low = json_number_value(json_array_get(tempo, 0)),
                     .high = json_number_value(json_array_get(tempo, 1))};
    if (!rg__plain(word, out->word) || !rg_copy_text(out->field, sizeof out->field, field) ||
        !rg_copy_text(out->name, sizeof out->name, name ? name : word) ||
        !rg_copy_text(out->opposite, sizeof out->opposite, opposite ? opposite : "") ||
        !rg_copy_text(out->parent, sizeof out->parent, parent) ||
        !rg_copy_text(out->role, sizeof out->role, role ? role : ""))
        return rg_fail(err, RG_ERR_FORMAT, "%s: the word '%s' is empty or longer than %d letters",
                       where, word, RG_WORD_SIZE - 1);
    return RG_OK;
}

rg_status rg__vocabulary_check(const rg_vocabulary *v, size_t from, rg_status code,
                               const char *where, rg_error *err)
{
    for (size_t i = from; i < v->n; i++) {
        const rg_word *w = v->words + i;
        if (w->parent[0] && !rg_vocabulary_find(v, w->field, w->parent))
            return rg_fail(err, code,
                           "%s: the word '%s' names the parent '%s', which is no word of %s", where,
                           w->name, w->parent, w->field);
    }
    return RG_OK;
}

rg_status rg_vocabulary_extend(rg_vocabulary *vocabulary, const json_t *words, const char *where,
                               rg_error *err)
{
    size_t i, from = vocabulary->n;
    json_t *entry;
    json_array_foreach((json_t *)words, i, entry)
    {
        const char *field = json_string_value(json_object_get(entry, "field"));
        const char *word = json_string_value(json_object_get(entry, "word"));
        rg_word made;
        if (field && word && rg_vocabulary_find(vocabulary, field, word)) continue;
        RG_TRY(read_word(entry, where, &made, err));
        RG_TRY(rg__vocabulary_add(vocabulary, &made, err));
    }
    return rg__vocabulary_check(vocabulary, from, RG_ERR_FORMAT, where, err);
}

static json_t *word_to_json(const rg_word *w)
{
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s}", "field", w->field, "word", w->word, "name",
                              w->name, "parent", w->parent);
    if (w->role[0]) json_object_set_new(entry, "role", json_string(w->role));
    if (w->opposite[0]) json_object_set_new(entry, "opposite", json_string(w->opposite));
    if (w->valence != 0) json_object_set_new(entry, "valence", json_real(w->valence));
    if (w->arousal != 0) json_object_set_new(entry, "arousal", json_real(w->arousal));
    if (w->high > 0) json_object_set_new(entry, "tempo", json_pack("[f, f]", w->low, w->high));
    return entry;
}

json_t *rg_vocabulary_to_json(const rg_vocabulary *vocabulary)
{
    json_t *list = json_array();
    for (size_t i = 0; i < vocabulary->n; i++)
        json_array_append_new(list, word_to_json(vocabulary->words + i));
    return list;
}

rg_status rg_vocabulary_write(const rg_vocabulary *vocabulary, const char *path, rg_error *err)
{
    json_t *object = json_pack("{s:s, s:s, s:o}", "format", format_name, "version", "1.1", "words",
                               rg_vocabulary_to_json(vocabulary));
    if (!object) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for words", path);
    rg_status status = rg_json_write(object, path, err);
    json_decref(object);
    return status;
}

rg_status rg_vocabulary_read(rg_vocabulary *out, const char *path, rg_error *err)
{
    *out = (rg_vocabulary){0};
    json_t *object = rg_json_read(path, FILE_LIMIT, err);
    if (!object) return err->code;
    rg_status status = rg_json_check_format(object, format_name, 1, path, err);
    json_t *words = status == RG_OK ? rg_json_get_array(object, "words", path, err) : NULL;
    if (status == RG_OK && !words) status = err->code;
    const char *version = json_string_value(json_object_get(object, "version"));
    if (status == RG_OK && !strcmp(version, "1.0") && !rg_vocabulary_make(out))
        status = rg_fail(err, RG_ERR_NOMEM, "%s: no memory for words", path);
    if (status == RG_OK) status = rg_vocabulary_extend(out, words, path, err);
    json_decref(object);
    return status;
}
