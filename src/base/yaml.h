/*
 * YAML text -> a tree of nodes that know their place. Private to the configuration.
 *
 * One idea: libyaml's events, kept to the part of YAML that a configuration needs: one document of
 * maps, lists and scalars. Anchors, aliases, tags, a second document, keys given twice and keys
 * that are not plain texts are refused by place. Not here: what a scalar means.
 */
#ifndef RG_BASE_YAML_H
#define RG_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

enum { RG_YAML_BYTES = 1 << 20, RG_YAML_DEPTH = 16, RG_YAML_NODES = 4096 };

typedef enum rg_yaml_kind { RG_YAML_SCALAR, RG_YAML_LIST, RG_YAML_MAP } rg_yaml_kind;

typedef struct rg_yaml_node rg_yaml_node;
struct rg_yaml_node {
    rg_yaml_kind kind;
    int line, column;                  /* from 1 */
    bool quoted;                       /* scalars: '...', "...", | or > */
    const char *text;                  /* scalars */
    const char *key;                   /* of a member of a map */
    int key_line, key_column;          /* of the key */
    rg_yaml_node *first, *last, *next; /* members, in file order */
    size_t count;                      /* of members */
};

/*
 * The root, in `arena`; an empty document is an empty map. NULL and RG_ERR_CONFIG with
 * "name:line:column: ..." on the first fault, RG_ERR_NOMEM when memory ends.
 */
rg_yaml_node *rg_yaml_parse(rg_arena *arena, const char *text, size_t n, const char *name,
                            rg_error *err);

/* The member of a map, or NULL. */
const rg_yaml_node *rg_yaml_member(const rg_yaml_node *map, const char *key);

/* Whether it is nothing: an unquoted empty text, ~ or null. */
bool rg_yaml_is_null(const rg_yaml_node *node);

#endif
