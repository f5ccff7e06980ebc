/*
 * What the config*.c files share: not for anybody else.
 *
 * One idea: a configuration is a list of entries, each with its full key, its row of the schema,
 * its place and its values; everything lives in one arena.
 */
#ifndef RG_BASE_CONFIG_PRIVATE_H
#define RG_BASE_CONFIG_PRIVATE_H

#include "base/arena.h"
#include "base/config.h"
#include "base/yaml.h"

enum { RG__CONFIG_KEY = 256 }; /* longest full key, with its end */

typedef struct rg__value {
    int64_t whole;
    double real;
    bool truth;
    const char *text;
} rg__value;

typedef struct rg__entry rg__entry;
struct rg__entry {
    const char *key; /* "roles.drums.ratios" */
    const rg_config_key *row;
    const char *place;
    bool given;
    int layer; /* which file or override gave it */
    size_t n;  /* of values; 1 unless a list */
    rg__value *values;
    rg__entry *next;
};

/* A name in the place of a star: prefix "roles", name "drums". */
typedef struct rg__group rg__group;
struct rg__group {
    const char *prefix, *name, *place;
    rg__group *next;
};

struct rg_config {
    rg_arena *arena;
    const char *name; /* of the file */
    const rg_config_key *schema;
    size_t n_schema;
    rg__entry *entries, *last_entry; /* once loaded: in schema order */
    rg__group *groups, *last_group;
    const rg_yaml_node *root; /* of the file itself, for the places of what is missing */
};

const rg__entry *rg__config_find(const rg_config *c, const char *key);

/* Checks a node against its row and stores the values; the error begins with `place`. */
rg_status rg__config_check(rg_config *c, const rg_yaml_node *node, const rg_config_key *row,
                           const char *key, const char *place, rg__entry *entry,
                           rg_error *err) RG_MUST_USE;
/* "a whole number (1 to 64)": what a row expects, for messages. */
void rg__config_expected(const rg_config_key *row, char out[256]);

/* A text in double quotes that YAML reads back the same. */
void rg__config_quote(const char *s, rg_text *out);
/* One value, or a list of them, as YAML text. */
void rg__config_print(const rg__entry *entry, rg_text *out);

#endif
