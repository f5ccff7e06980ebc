/*
 * The vocabulary as YAML (configs/vocabulary): the built-in files, which the program carries, and a
 * user's own.
 *
 * One idea: a file is one field and a map of main names; each may have a parent, aliases and what
 * is known about it. A file is read whole before its parents are checked, so that order is free.
 * What a user's file says of a known name is changed, what it does not say stays.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/yaml.h"
#include "music/prompt/prompt_private.h"
#include "music/prompt/vocabulary_text.h"

enum { YAML_ARENA = 64 << 20 };

static rg_status wrong(const char *where, const rg_yaml_node *node, const char *what, rg_error *err)
{
    return rg_fail(err, RG_ERR_CONFIG, "%s:%d: '%s' %s", where, node->key_line,
                   node->key ? node->key : "", what);
}

static rg_status read_text(const rg_yaml_node *node, const char *where, char *out, size_t size,
                           rg_error *err)
{
    if (node->kind != RG_YAML_SCALAR || !rg_copy_text(out, size, node->text))
        return wrong(where, node, "is no short text", err);
    return RG_OK;
}

static rg_status read_number(const rg_yaml_node *node, const char *where, double low, double high,
                             double *out, rg_error *err)
{
    if (node->kind != RG_YAML_SCALAR || !rg_parse_double(node->text, out) || !(*out >= low) ||
        !(*out <= high))
        return rg_fail(err, RG_ERR_CONFIG, "%s:%d: a number from %g to %g was expected", where,
                       node->line, low, high);
    return RG_OK;
}

static rg_status read_tempo(const rg_yaml_node *node, const char *where, rg_word *w, rg_error *err)
{
    if (node->kind != RG_YAML_LIST || node->count != 2)
        return wrong(where, node, "is not [lowest, highest] in beats per minute", err);
    RG_TRY(read_number(node->first, where, 20, 400, &w->low, err));
    return read_number(node->first->next, where, w->low, 400, &w->high, err);
}

/* What is said of one name; its aliases are left for later. */
static rg_status read_about(const rg_yaml_node *map, const char *where, rg_word *w, rg_error *err)
{
    if (map->kind != RG_YAML_MAP) return wrong(where, map, "is no map such as {parent: X}", err);
    for (const rg_yaml_node *m = map->first; m; m = m->next) {
        rg_status status = RG_OK;
        if (!strcmp(m->key, "parent"))
            status = read_text(m, where, w->parent, sizeof w->parent, err);
        else if (!strcmp(m->key, "opposite"))
            status = read_text(m, where, w->opposite, sizeof w->opposite, err);
        else if (!strcmp(m->key, "track"))
            status = read_text(m, where, w->role, sizeof w->role, err);
        else if (!strcmp(m->key, "tempo"))
            status = read_tempo(m, where, w, err);
        else if (!strcmp(m->key, "valence"))
            status = read_number(m, where, -1, 1, &w->valence, err);
        else if (!strcmp(m->key, "arousal"))
            status = read_number(m, where, -1, 1, &w->arousal, err);
        else if (strcmp(m->key, "aliases") != 0 || m->kind != RG_YAML_LIST)
            status = wrong(where, m,
                           "is no part of a word: parent, aliases (a list), track, tempo, "
                           "valence, arousal, opposite",
                           err);
        RG_TRY(status);
    }
    return RG_OK;
}

/* What is known of a word becomes what w says; its letters and its place stay. */
static void replace_word(rg_vocabulary *v, const rg_word *old, const rg_word *w)
{
    rg_word *word = v->words + (old - v->words), now = *w;
    memcpy(now.word, word->word, sizeof now.word);
    now.next = word->next;
    *word = now;
}

/* A built-in phrase stays with the name that has it first; a user's goes to the user's name. */
static rg_status add_phrase(rg_vocabulary *v, rg_word *w, const char *phrase, bool builtin,
                            const char *where, int line, rg_error *err)
{
    if (!rg__plain(phrase, w->word))
        return rg_fail(err, RG_ERR_CONFIG, "%s:%d: '%s' is empty or longer than %d letters", where,
                       line, phrase, RG_WORD_SIZE - 1);
    const rg_word *old = rg_vocabulary_find(v, w->field, w->word);
    if (!old) return rg__vocabulary_add(v, w, err);
    if (!builtin) replace_word(v, old, w);
    return RG_OK;
}

/* Words that models are conditioned on: one of a user needs a broader one that models may know. */
static bool needs_parent(const char *field)
{
    return !strcmp(field, "genre") || !strcmp(field, "mood") || !strcmp(field, "instruments");
}

/* The facts of one name, begun with those of the known name that a user goes on from. */
static rg_status read_facts(rg_vocabulary *v, rg_word *w, const rg_yaml_node *node, bool builtin,
                            const char *where, rg_error *err)
{
    const rg_word *known = builtin ? NULL : rg_vocabulary_find(v, w->field, node->key);
    if (known && !strcmp(known->name, node->key))
        *w = *known;
    else
        known = NULL;
    if (!rg_copy_text(w->name, sizeof w->name, node->key))
        return wrong(where, node, "is too long", err);
    RG_TRY(read_about(node, where, w, err));
    if (!builtin && !known && !w->parent[0] && needs_parent(w->field))
        return wrong(where, node,
                     "is new and names no parent; a word that is known already was expected, as in "
                     "{parent: X}",
                     err);
    for (size_t i = 0; known && i < v->n; i++)
        if (!strcmp(v->words[i].field, w->field) && !strcmp(v->words[i].name, w->name))
            replace_word(v, v->words + i, w);
    return RG_OK;
}

static rg_status read_name(rg_vocabulary *v, const char *field, const rg_yaml_node *node,
                           bool builtin, const char *where, rg_error *err)
{
    rg_word w = {0};
    rg_copy_text(w.field, sizeof w.field, field);
    RG_TRY(read_facts(v, &w, node, builtin, where, err));
    /* "6/8" is read as a number: as a phrase it would be found in "6, 8" */
    if (!strchr(node->key, '/'))
        RG_TRY(add_phrase(v, &w, node->key, builtin, where, node->key_line, err));
    const rg_yaml_node *aliases = rg_yaml_member(node, "aliases");
    for (const rg_yaml_node *a = aliases ? aliases->first : NULL; a; a = a->next) {
        if (a->kind != RG_YAML_SCALAR) return wrong(where, aliases, "has one that is no text", err);
        RG_TRY(add_phrase(v, &w, a->text, builtin, where, a->line, err));
    }
    return RG_OK;
}

static rg_status read_file(rg_vocabulary *v, const rg_yaml_node *root, bool builtin,
                           const char *where, rg_error *err)
{
    char field[16];
    const rg_yaml_node *named = rg_yaml_member(root, "field");
    const rg_yaml_node *words = rg_yaml_member(root, "words");
    if (!named || !words || root->count != 2 || words->kind != RG_YAML_MAP)
        return rg_fail(err, RG_ERR_CONFIG,
                       "%s: a vocabulary has 'field: NAME' and 'words:' with a map of names",
                       where);
    RG_TRY(read_text(named, where, field, sizeof field, err));
    for (const rg_yaml_node *w = words->first; w; w = w->next)
        RG_TRY(read_name(v, field, w, builtin, where, err));
    return rg__vocabulary_check(v, 0, RG_ERR_CONFIG, where, err);
}

static rg_status read_yaml(rg_vocabulary *v, const char *text, size_t n, bool builtin,
                           const char *where, rg_error *err)
{
    rg_arena *arena = rg_arena_create(YAML_ARENA, "vocabulary", err);
    if (!arena) return err->code;
    const rg_yaml_node *root = rg_yaml_parse(arena, text, n, where, err);
    rg_status status = root ? read_file(v, root, builtin, where, err) : err->code;
    rg_arena_destroy(arena);
    return status;
}

bool rg_vocabulary_make(rg_vocabulary *out)
{
    rg_error err = {0};
    rg_status status = RG_OK;
    *out = (rg_vocabulary){0};
    for (size_t i = 0; status == RG_OK && i < rg__n_vocabulary_texts; i++)
        status = read_yaml(out, (const char *)rg__vocabulary_texts[i].text,
                           rg__vocabulary_texts[i].n, true, rg__vocabulary_texts[i].name, &err);
    if (status != RG_OK) rg_vocabulary_free(out);
    return status == RG_OK;
}

static rg_status load_file(rg_vocabulary *vocabulary, const char *path, rg_error *err)
{
    char *text = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_read_all(path, RG_YAML_BYTES, &text, &n, err));
    rg_status status = read_yaml(vocabulary, text, n, false, path, err);
    free(text);
    return status;
}

rg_status rg_vocabulary_load(rg_vocabulary *vocabulary, const char *path, rg_error *err)
{
    char file[1200], **names = NULL;
    size_t n = 0, read = 0;
    if (!rg_fs_is_folder(path)) return load_file(vocabulary, path, err);
    rg_status status = rg_fs_list(path, &names, &n, err);
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        const char *dot = strrchr(names[i], '.');
        if (!dot || strcmp(dot, ".yaml") != 0) continue;
        status = rg_fs_join(file, sizeof file, path, names[i], err);
        if (status == RG_OK) status = load_file(vocabulary, file, err);
        read++;
    }
    rg_fs_free_names(names, n);
    if (status == RG_OK && !read)
        status = rg_fail(err, RG_ERR_USAGE, "%s: has no vocabulary (*.yaml)", path);
    return status;
}
