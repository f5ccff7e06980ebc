/*
 * Loading a configuration (config.h): files, overrides, defaults.
 *
 * One idea: files and overrides are layers of (full key, node); each is checked against the schema
 * as it is met, a later layer replaces the values of an earlier one, and at the end every key of
 * the schema is filled in or missed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/config_private.h"
#include "base/fs.h"

enum { DEEPEST_EXTENDS = 4, ARENA_BYTES = 64 << 20, PLACE = 1200, MOST_NAMES = 256 };

/* One layer while it is read. */
typedef struct layer {
    rg_config *config;
    const char *name; /* of the file, or "command line" */
    bool command_line;
    int number;
    rg_error *err;
} layer;

static rg_status no_memory(const layer *l)
{
    return rg_fail(l->err, RG_ERR_NOMEM, "%s: out of memory for the configuration", l->name);
}

/* A copy that lives as long as c; NULL when memory ends. */
static char *keep(rg_config *c, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = rg_arena_alloc(c->arena, n);
    if (copy) memcpy(copy, text, n);
    return copy;
}

static const char *make_place(const layer *l, int line, int column)
{
    char place[PLACE];
    if (l->command_line) return l->name;
    rg_format(place, sizeof place, "%s:%d:%d", l->name, line, column);
    return keep(l->config, place);
}

const rg__entry *rg__config_find(const rg_config *c, const char *key)
{
    for (const rg__entry *e = c->entries; e; e = e->next)
        if (strcmp(e->key, key) == 0) return e;
    return NULL;
}

/* ---- keys against the schema ---- */

typedef enum match { NO_MATCH, IS_SECTION, IS_KEY } match;

static bool is_name(const char *s, size_t n)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return n > 0 && n <= 64 && strspn(s, set) >= n;
}

/* Compares a full key with one of the schema, in which "*" stands for any name. */
static match match_key(const char *pattern, const char *key)
{
    for (;;) {
        size_t p = strcspn(pattern, "."), k = strcspn(key, ".");
        bool star = p == 1 && *pattern == '*';
        if (star ? !is_name(key, k) : p != k || strncmp(pattern, key, p) != 0) return NO_MATCH;
        pattern += p;
        key += k;
        if (!*key) return *pattern ? IS_SECTION : IS_KEY;
        if (!*pattern) return NO_MATCH;
        pattern++;
        key++;
    }
}

/* The row that a key is, or NULL with *section: whether it is a section of some rows. */
static const rg_config_key *find_row(const rg_config *c, const char *key, bool *section)
{
    *section = false;
    for (size_t i = 0; i < c->n_schema; i++) {
        match m = match_key(c->schema[i].key, key);
        if (m == IS_KEY) return &c->schema[i];
        if (m == IS_SECTION) *section = true;
    }
    return NULL;
}

/* The names that may stand directly under a prefix ("" is the top); stars are left out. */
static size_t names_under(const rg_config *c, const char *prefix, char names[][64],
                          const char **list)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_schema && n < MOST_NAMES; i++) {
        const char *rest = c->schema[i].key;
        size_t depth = 0;
        for (const char *p = prefix; *p; p++) depth += *p == '.';
        if (*prefix) {
            if (match_key(c->schema[i].key, prefix) != IS_SECTION) continue;
            for (depth++; depth > 0; depth--) rest = strchr(rest, '.') + 1;
        }
        size_t length = strcspn(rest, ".");
        if (length >= 64 || *rest == '*') continue;
        memcpy(names[n], rest, length);
        names[n][length] = 0;
        bool seen = false;
        for (size_t k = 0; k < n; k++) seen = seen || strcmp(names[k], names[n]) == 0;
        if (seen) continue;
        list[n] = names[n];
        n++;
    }
    return n;
}

static rg_status unknown_key(const layer *l, const char *prefix, const char *name,
                             const char *place)
{
    char names[MOST_NAMES][64], known[200] = "";
    const char *list[MOST_NAMES];
    size_t n = names_under(l->config, prefix, names, list), at = 0;
    const char *near = rg_nearest_name(name, list, n);
    char where[RG__CONFIG_KEY + 8] = "";
    if (*prefix) rg_format(where, sizeof where, " in '%.200s'", prefix);
    if (near)
        return rg_fail(l->err, RG_ERR_CONFIG, "%s: unknown key '%.64s'%s; did you mean '%s'?",
                       place, name, where, near);
    for (size_t i = 0; i < n && at < sizeof known; i++)
        at += (size_t)rg_format(known + at, sizeof known - at, "%s%s", i ? ", " : "", list[i]);
    if (at >= sizeof known) memcpy(known + sizeof known - 4, "...", 4);
    return rg_fail(l->err, RG_ERR_CONFIG, "%s: unknown key '%.64s'%s; known here: %s", place, name,
                   where, n ? known : "any name of letters, digits, _ and -");
}

/* ---- adding what a layer says ---- */

static rg__entry *add_entry(rg_config *c, const char *key, const rg_config_key *row)
{
    rg__entry *e = rg_arena_zalloc(c->arena, sizeof *e);
    if (!e) return NULL;
    e->row = row;
    e->key = keep(c, key);
    if (!e->key) return NULL;
    if (c->last_entry)
        c->last_entry->next = e;
    else
        c->entries = e;
    c->last_entry = e;
    return e;
}

static rg_status assign(layer *l, const char *key, const rg_config_key *row,
                        const rg_yaml_node *node, const char *place)
{
    rg__entry *e = (rg__entry *)(uintptr_t)rg__config_find(l->config, key);
    if (!e) e = add_entry(l->config, key, row);
    if (!e) return no_memory(l);
    if (e->given && e->layer == l->number)
        return rg_fail(l->err, RG_ERR_CONFIG, "%s: '%s' is given twice, first at %s", place, key,
                       e->place);
    e->given = true;
    e->layer = l->number;
    e->place = place;
    return rg__config_check(l->config, node, row, key, place, e, l->err);
}

/* Whether the last name of `key` stands in the place of a star of the schema. */
static bool is_starred(const rg_config *c, const char *key)
{
    bool section;
    const rg_config_key *row = find_row(c, key, &section);
    for (size_t i = 0; i < c->n_schema && !row; i++)
        if (match_key(c->schema[i].key, key) == IS_SECTION) row = &c->schema[i];
    if (!row) return false;
    const char *part = row->key;
    for (const char *p = strchr(key, '.'); p; p = strchr(p + 1, '.')) part = strchr(part, '.') + 1;
    return *part == '*';
}

/* Notes `name` as standing in the place of a star under `prefix`, once. */
static rg_status add_group(layer *l, const char *prefix, const char *name, const char *place)
{
    rg_config *c = l->config;
    for (const rg__group *g = c->groups; g; g = g->next)
        if (strcmp(g->prefix, prefix) == 0 && strcmp(g->name, name) == 0) return RG_OK;
    rg__group *g = rg_arena_zalloc(c->arena, sizeof *g);
    if (!g) return no_memory(l);
    g->prefix = keep(c, prefix);
    g->name = keep(c, name);
    g->place = place;
    if (!g->prefix || !g->name) return no_memory(l);
    if (c->last_group)
        c->last_group->next = g;
    else
        c->groups = g;
    c->last_group = g;
    return RG_OK;
}

static rg_status walk(layer *l, const char *prefix, const rg_yaml_node *map);

/* One key of a map: a value, a section to walk, or unknown. */
static rg_status add_member(layer *l, const char *prefix, const char *name,
                            const rg_yaml_node *node, const char *place)
{
    char key[RG__CONFIG_KEY];
    int n = rg_format(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", name);
    bool section = false;
    const rg_config_key *row = NULL;
    if (n < (int)sizeof key) row = find_row(l->config, key, &section);
    if (!row && !section) return unknown_key(l, prefix, name, place);
    if (is_starred(l->config, key)) RG_TRY(add_group(l, prefix, name, place));
    if (row) return assign(l, key, row, node, place);
    if (rg_yaml_is_null(node)) return RG_OK;
    if (node->kind != RG_YAML_MAP)
        return rg_fail(l->err, RG_ERR_CONFIG, "%s: '%s' is a section; keys under it were expected",
                       place, key);
    return walk(l, key, node);
}

static rg_status walk(layer *l, const char *prefix, const rg_yaml_node *map)
{
    for (const rg_yaml_node *node = map->first; node; node = node->next) {
        if (!*prefix && strcmp(node->key, "extends") == 0 && !l->command_line) continue;
        const char *place = make_place(l, node->key_line, node->key_column);
        if (!place) return no_memory(l);
        RG_TRY(add_member(l, prefix, node->key, node, place));
    }
    return RG_OK;
}

/* ---- overrides ---- */

/*
 * The value of an override as a node. Texts are taken as they are, unless in quotes; everything
 * else is YAML.
 */
static rg_yaml_node *parse_override(layer *l, const char *key, const char *value,
                                    const rg_config_key *row)
{
    char name[RG__CONFIG_KEY + 16];
    rg_format(name, sizeof name, "command line: %s", key);
    bool raw = row && (row->type == RG_CONFIG_TEXT || row->type == RG_CONFIG_CHOICE) &&
               value[0] != '"' && value[0] != '\'';
    if (!raw) return rg_yaml_parse(l->config->arena, value, strlen(value), name, l->err);
    rg_text quoted;
    rg_text_init(&quoted, RG_YAML_BYTES);
    rg__config_quote(value, &quoted);
    rg_yaml_node *node = NULL;
    if (rg_text_status(&quoted, l->err) == RG_OK)
        node = rg_yaml_parse(l->config->arena, quoted.data, quoted.n, name, l->err);
    rg_text_free(&quoted);
    return node;
}

/* The map { name: node }. */
static rg_yaml_node *wrap(rg_config *c, const char *name, rg_yaml_node *node)
{
    rg_yaml_node *map = rg_arena_zalloc(c->arena, sizeof *map);
    node->key = keep(c, name);
    if (!map || !node->key) return NULL;
    *map = (rg_yaml_node){
        .kind = RG_YAML_MAP, .line = 1, .column = 1, .first = node, .last = node, .count = 1};
    return map;
}

/* "a.b=v" is walked like the file {a: {b: v}}. */
static rg_status add_override(layer *l, const char *text)
{
    const char *equals = strchr(text, '=');
    char key[RG__CONFIG_KEY];
    size_t n = equals ? (size_t)(equals - text) : 0;
    if (n == 0 || n >= sizeof key)
        return rg_fail(l->err, RG_ERR_CONFIG, "command line: '%.100s' is not KEY=VALUE", text);
    memcpy(key, text, n);
    key[n] = 0;
    bool section;
    rg_yaml_node *node = parse_override(l, key, equals + 1, find_row(l->config, key, &section));
    if (!node) return RG_ERR_CONFIG;
    if (!equals[1]) /* nothing, where an empty document would be an empty map */
        *node = (rg_yaml_node){.kind = RG_YAML_SCALAR, .line = 1, .column = 1, .text = ""};
    for (char *dot = strrchr(key, '.'); node && dot; dot = strrchr(key, '.')) {
        node = wrap(l->config, dot + 1, node);
        *dot = 0;
    }
    if (node) node = wrap(l->config, key, node);
    return node ? walk(l, "", node) : no_memory(l);
}

/* ---- files ---- */

static rg_status add_file(rg_config *c, const char *path, int depth, int *number, rg_error *err);

/* Loads what the file extends, first, so that the file's values replace it. */
static rg_status add_extended(layer *l, const rg_yaml_node *root, int depth, int *number)
{
    const rg_yaml_node *extends = rg_yaml_member(root, "extends");
    if (!extends) return RG_OK;
    int line = extends->key_line, column = extends->key_column;
    if (extends->kind != RG_YAML_SCALAR || rg_yaml_is_null(extends))
        return rg_fail(l->err, RG_ERR_CONFIG, "%s:%d:%d: 'extends' must name a file", l->name, line,
                       column);
    if (depth == DEEPEST_EXTENDS)
        return rg_fail(l->err, RG_ERR_CONFIG,
                       "%s:%d:%d: 'extends' is nested more than %d deep; is it a circle?", l->name,
                       line, column, (int)DEEPEST_EXTENDS);
    char folder[1024] = "", path[1024];
    const char *slash = strrchr(l->name, '/');
    if (slash && extends->text[0] != '/')
        rg_format(folder, sizeof folder, "%.*s", (int)(slash - l->name + 1), l->name);
    RG_TRY(rg_fs_join(path, sizeof path, folder, extends->text, l->err));
    if (rg_fs_exists(path) && !rg_fs_is_file(path))
        return rg_fail(l->err, RG_ERR_CONFIG,
                       "%s:%d:%d: 'extends' must name a file, but %s is a folder, device or pipe",
                       l->name, line, column, path);
    rg_status status = add_file(l->config, path, depth + 1, number, l->err);
    if (status == RG_ERR_IO) rg_error_prefix(l->err, "%s:%d:%d: 'extends'", l->name, line, column);
    return status;
}

static rg_status add_text(rg_config *c, const char *text, size_t n, const char *name, int depth,
                          int *number, rg_error *err)
{
    layer l = {.config = c, .name = keep(c, name), .err = err};
    if (!l.name) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", name);
    const rg_yaml_node *root = rg_yaml_parse(c->arena, text, n, name, err);
    if (!root) return err ? err->code : RG_ERR_CONFIG;
    if (root->kind != RG_YAML_MAP)
        return rg_fail(err, RG_ERR_CONFIG, "%s:%d:%d: 'key: value' lines were expected", name,
                       root->line, root->column);
    RG_TRY(add_extended(&l, root, depth, number));
    l.number = ++*number;
    if (depth == 0) c->root = root;
    return walk(&l, "", root);
}

static rg_status add_file(rg_config *c, const char *path, int depth, int *number, rg_error *err)
{
    char *text;
    size_t n;
    RG_TRY(rg_fs_read_all(path, RG_YAML_BYTES, &text, &n, err));
    rg_status status = add_text(c, text, n, path, depth, number, err);
    free(text);
    return status;
}

/* ---- defaults, and what is missing ---- */

static rg_status missing_key(rg_config *c, const char *key, const rg_config_key *row,
                             const char *group_place, rg_error *err)
{
    char expected[256], place[PLACE];
    rg__config_expected(row, expected);
    rg_format(place, sizeof place, "%s:1:1", c->name);
    if (group_place) rg_copy_text(place, sizeof place, group_place);
    /* the innermost section of the file that holds the key */
    const rg_yaml_node *at = c->root;
    for (const char *part = key; at && strchr(part, '.'); part = strchr(part, '.') + 1) {
        char name[RG__CONFIG_KEY];
        rg_format(name, sizeof name, "%.*s", (int)strcspn(part, "."), part);
        at = rg_yaml_member(at, name);
        if (at) rg_format(place, sizeof place, "%s:%d:%d", c->name, at->key_line, at->key_column);
    }
    return rg_fail(err, RG_ERR_CONFIG, "%s: '%s' is missing, expected %s (%s)", place, key,
                   expected, row->help ? row->help : "no default");
}

/* Appends the entry of one full key to the final list: the given one, or the default. */
static rg_status settle_key(rg_config *c, rg__entry *given, const char *key,
                            const rg_config_key *row, const char *group_place, rg_error *err)
{
    rg__entry *e = add_entry(c, key, row);
    if (!e) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", c->name);
    for (; given; given = given->next) {
        if (strcmp(given->key, key) != 0) continue;
        e->place = given->place;
        e->n = given->n;
        e->values = given->values;
        return RG_OK;
    }
    if (!row->fallback) return missing_key(c, key, row, group_place, err);
    e->place = c->name;
    const rg_yaml_node *node =
        rg_yaml_parse(c->arena, row->fallback, strlen(row->fallback), "default", err);
    if (!node) return err ? err->code : RG_ERR_CONFIG;
    if (node->kind == RG_YAML_MAP) { /* the fallback "" of a text */
        static const rg_yaml_node empty = {.kind = RG_YAML_SCALAR, .quoted = true, .text = ""};
        node = &empty;
    }
    return rg__config_check(c, node, row, key, "default", e, err);
}

/* Puts every name found in the place of the first star of `pattern`, and settles the rest. */
static rg_status settle_pattern(rg_config *c, rg__entry *given, const char *pattern,
                                const rg_config_key *row, const char *place, rg_error *err)
{
    const char *star = strchr(pattern, '*');
    if (!star) return settle_key(c, given, pattern, row, place, err);
    char prefix[RG__CONFIG_KEY], key[RG__CONFIG_KEY];
    rg_format(prefix, sizeof prefix, "%.*s", (int)(star - pattern - 1), pattern);
    for (const rg__group *g = c->groups; g; g = g->next) {
        if (strcmp(g->prefix, prefix) != 0) continue;
        if (rg_format(key, sizeof key, "%s.%s%s", prefix, g->name, star + 1) >= (int)sizeof key)
            return rg_fail(err, RG_ERR_CONFIG, "%s: the key %s is too long", c->name, pattern);
        RG_TRY(settle_pattern(c, given, key, row, g->place, err));
    }
    return RG_OK;
}

/* Rebuilds the list of entries in the order of the schema, with the defaults. */
static rg_status settle(rg_config *c, rg_error *err)
{
    rg__entry *given = c->entries;
    c->entries = c->last_entry = NULL;
    for (size_t i = 0; i < c->n_schema; i++)
        RG_TRY(settle_pattern(c, given, c->schema[i].key, &c->schema[i], NULL, err));
    return RG_OK;
}

/* ---- the whole ---- */

static rg_config *begin(const char *name, const rg_config_key *schema, size_t n_schema,
                        rg_error *err)
{
    rg_config *c = calloc(1, sizeof *c);
    if (!c) {
        rg_fail(err, RG_ERR_NOMEM, "%s: out of memory for the configuration", name);
        return NULL;
    }
    c->arena = rg_arena_create(ARENA_BYTES, "config", err);
    c->name = c->arena ? keep(c, name) : NULL;
    /* a copy: the caller's table may be put together on its stack */
    rg_config_key *rows = c->name ? rg_arena_alloc(c->arena, n_schema * sizeof *rows) : NULL;
    if (!rows) {
        rg_config_free(c);
        rg_fail(err, RG_ERR_NOMEM, "%s: out of memory for the configuration", name);
        return NULL;
    }
    memcpy(rows, schema, n_schema * sizeof *rows);
    c->schema = rows;
    c->n_schema = n_schema;
    return c;
}

static rg_status finish(rg_config *c, const char *const *overrides, size_t n, int number,
                        rg_error *err)
{
    for (size_t i = 0; i < n; i++) {
        layer l = {c, "command line", true, number + 1 + (int)i, err};
        RG_TRY(add_override(&l, overrides[i]));
    }
    return settle(c, err);
}

rg_config *rg_config_load(const char *path, const rg_config_key *schema, size_t n_schema,
                          const char *const *overrides, size_t n_overrides, rg_error *err)
{
    rg_config *c = begin(path, schema, n_schema, err);
    if (!c) return NULL;
    int number = 0;
    rg_status status = add_file(c, path, 0, &number, err);
    if (status == RG_OK) status = finish(c, overrides, n_overrides, number, err);
    if (status == RG_OK) return c;
    rg_config_free(c);
    return NULL;
}

rg_config *rg_config_parse(const char *text, const char *name, const rg_config_key *schema,
                           size_t n_schema, const char *const *overrides, size_t n_overrides,
                           rg_error *err)
{
    rg_config *c = begin(name, schema, n_schema, err);
    if (!c) return NULL;
    int number = 0;
    rg_status status = add_text(c, text, strlen(text), name, 0, &number, err);
    if (status == RG_OK) status = finish(c, overrides, n_overrides, number, err);
    if (status == RG_OK) return c;
    rg_config_free(c);
    return NULL;
}

void rg_config_free(rg_config *config)
{
    if (!config) return;
    rg_arena_destroy(config->arena);
    free(config);
}
