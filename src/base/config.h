/*
 * Configuration: one YAML file, checked against a schema that is data, with dotted overrides.
 *
 * One idea: a schema is a table of keys with types, defaults, ranges and one line of help. From it
 * come the check (unknown key, wrong type or missing value -> "file:line:column: ..." with a
 * did-you-mean), the defaults, the resolved dump and the documentation. Values are then read by
 * key; reading a key that is not in the schema is a mistake of ours and asserts.
 *
 * Roles and other named groups are open maps: the schema key "roles.*.sample_rate" matches any name
 * in the place of the star, in file order. Not here: what a key means (the floors above say).
 */
#ifndef RG_BASE_CONFIG_H
#define RG_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef enum rg_config_type {
    RG_CONFIG_INT,
    RG_CONFIG_REAL,
    RG_CONFIG_BOOL,
    RG_CONFIG_TEXT,
    RG_CONFIG_CHOICE, /* one of `choices`, separated by '|' */
    RG_CONFIG_INTS,   /* a list: [8, 5, 4, 2] */
    RG_CONFIG_REALS,
    RG_CONFIG_TEXTS,
} rg_config_type;

typedef struct rg_config_key {
    const char *key; /* "optimizer.lr", "roles.*.ratios" */
    rg_config_type type;
    const char *fallback; /* YAML text of the default; NULL: the value is required (per group for
                             starred keys) */
    double low, high;     /* allowed range of numbers (each element of lists); low == high: any */
    const char *choices;  /* for CHOICE */
    const char *help;     /* one line, with the unit */
} rg_config_key;

typedef struct rg_config rg_config;

/*
 * `overrides` are "dotted.key=value" strings; they count as given, with place "command line".
 * RG_ERR_CONFIG and one line in err on the first fault. The file may hold `extends: other.yaml`
 * (relative to itself, depth at most 4), whose values it overrides. Limits: 1 MiB, depth 16, 4,096
 * values. The rows of the schema are copied; the texts they point to must stay.
 */
rg_config *rg_config_load(const char *path, const rg_config_key *schema, size_t n_schema,
                          const char *const *overrides, size_t n_overrides, rg_error *err);
rg_config *rg_config_parse(const char *text, const char *name, const rg_config_key *schema,
                           size_t n_schema, const char *const *overrides, size_t n_overrides,
                           rg_error *err);
/*
 * One top-level scalar of a file (following `extends`) without a schema: which schema to use often
 * depends on it. RG_ERR_CONFIG when the file is malformed or lacks the key.
 */
rg_status rg_config_peek(const char *path, const char *key, char *out, size_t size,
                         rg_error *err) RG_MUST_USE;
void rg_config_free(rg_config *config); /* NULL is fine */

int64_t rg_config_int(const rg_config *c, const char *key);
double rg_config_real(const rg_config *c, const char *key);
bool rg_config_bool(const rg_config *c, const char *key);
const char *rg_config_text(const rg_config *c, const char *key); /* lives as long as c */
size_t rg_config_ints(const rg_config *c, const char *key, int64_t *out,
                      size_t capacity); /* returns the count */
size_t rg_config_reals(const rg_config *c, const char *key, double *out, size_t capacity);
size_t rg_config_count(const rg_config *c, const char *key); /* elements of a list */
const char *rg_config_text_at(const rg_config *c, const char *key, size_t i);

/* "file:line:column" of a key, for messages of checks that the schema cannot express. */
const char *rg_config_place(const rg_config *c, const char *key);

/* The names found in the place of the star: rg_config_group(c, "roles", i); NULL past the end. */
size_t rg_config_group_count(const rg_config *c, const char *prefix);
const char *rg_config_group(const rg_config *c, const char *prefix, size_t i);

/* The resolved whole as YAML that loads to the same values, keys in schema order. */
void rg_config_dump(const rg_config *c, rg_text *out);
/* SHA-256 over the dump, 64 hex digits. */
void rg_config_hash(const rg_config *c, char hex[65]);
/* One line per key that differs: "optimizer.lr: 0.001 -> 0.0003". */
void rg_config_diff(const rg_config *before, const rg_config *after, rg_text *out);

#endif
