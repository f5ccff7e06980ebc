/*
 * Reading a loaded configuration: values by key, groups, dump, hash, difference (config.h).
 *
 * One idea: the entries are in schema order, so the dump is one walk over them that opens a section
 * where the keys change.
 */
#include <assert.h>
#include <string.h>

#include "base/config_private.h"
#include "base/hash.h"

enum { LARGEST_DUMP = 8 << 20 };

/* The entry of a key that the schema has; anything else is a mistake of the caller. */
static const rg__entry *entry_of(const rg_config *c, const char *key)
{
    static const rg__value zero = {.text = ""};
    static const rg__entry none = {.place = "", .n = 1, .values = (rg__value *)(uintptr_t)&zero};
    const rg__entry *e = rg__config_find(c, key);
    assert(e && "a key that is not in the schema");
    return e ? e : &none;
}

static const rg__entry *scalar_of(const rg_config *c, const char *key, rg_config_type a,
                                  rg_config_type b)
{
    const rg__entry *e = entry_of(c, key);
    assert((e->row->type == a || e->row->type == b) && "a key of another type");
    (void)a;
    (void)b;
    return e;
}

int64_t rg_config_int(const rg_config *c, const char *key)
{
    return scalar_of(c, key, RG_CONFIG_INT, RG_CONFIG_INT)->values->whole;
}

double rg_config_real(const rg_config *c, const char *key)
{
    return scalar_of(c, key, RG_CONFIG_REAL, RG_CONFIG_INT)->values->real;
}

bool rg_config_bool(const rg_config *c, const char *key)
{
    return scalar_of(c, key, RG_CONFIG_BOOL, RG_CONFIG_BOOL)->values->truth;
}

const char *rg_config_text(const rg_config *c, const char *key)
{
    return scalar_of(c, key, RG_CONFIG_TEXT, RG_CONFIG_CHOICE)->values->text;
}

size_t rg_config_ints(const rg_config *c, const char *key, int64_t *out, size_t capacity)
{
    const rg__entry *e = scalar_of(c, key, RG_CONFIG_INTS, RG_CONFIG_INTS);
    for (size_t i = 0; i < e->n && i < capacity; i++) out[i] = e->values[i].whole;
    return e->n;
}

size_t rg_config_reals(const rg_config *c, const char *key, double *out, size_t capacity)
{
    const rg__entry *e = scalar_of(c, key, RG_CONFIG_REALS, RG_CONFIG_INTS);
    for (size_t i = 0; i < e->n && i < capacity; i++) out[i] = e->values[i].real;
    return e->n;
}

size_t rg_config_count(const rg_config *c, const char *key)
{
    return entry_of(c, key)->n;
}

const char *rg_config_text_at(const rg_config *c, const char *key, size_t i)
{
    const rg__entry *e = scalar_of(c, key, RG_CONFIG_TEXTS, RG_CONFIG_TEXTS);
    return i < e->n ? e->values[i].text : NULL;
}

const char *rg_config_place(const rg_config *c, const char *key)
{
    return entry_of(c, key)->place;
}

const char *rg_config_group(const rg_config *c, const char *prefix, size_t i)
{
    for (const rg__group *g = c->groups; g; g = g->next)
        if (strcmp(g->prefix, prefix) == 0 && i-- == 0) return g->name;
    return NULL;
}

size_t rg_config_group_count(const rg_config *c, const char *prefix)
{
    size_t n = 0;
    for (const rg__group *g = c->groups; g; g = g->next) n += strcmp(g->prefix, prefix) == 0;
    return n;
}

/* ---- dump ---- */

/* Whether `key` lies under the first n bytes of `prefix` ("" of 0 bytes: everything does). */
static bool is_under(const char *key, const char *prefix, size_t n)
{
    return n == 0 || (strncmp(key, prefix, n) == 0 && key[n] == '.');
}

/* Whether an entry before `e` lies in the section that the first `end` bytes of its key name. */
static bool is_begun(const rg_config *c, const rg__entry *e, size_t end)
{
    for (const rg__entry *before = c->entries; before != e; before = before->next)
        if (strncmp(before->key, e->key, end) == 0 && before->key[end] == '.') return true;
    return false;
}

static void indent(rg_text *out, int depth)
{
    for (int i = 0; i < depth; i++) rg_text_add(out, "  ");
}

/* Everything under the first n bytes of `prefix`. */
static void dump_section(const rg_config *c, const char *prefix, size_t n, int depth, rg_text *out)
{
    for (const rg__entry *e = c->entries; e; e = e->next) {
        if (!is_under(e->key, prefix, n)) continue;
        const char *part = e->key + n + (n > 0);
        size_t length = strcspn(part, "."), end = (size_t)(part - e->key) + length;
        if (!part[length]) {
            indent(out, depth);
            rg_text_printf(out, "%s: ", part);
            rg__config_print(e, out);
            rg_text_add(out, "\n");
        } else if (!is_begun(c, e, end)) {
            indent(out, depth);
            rg_text_printf(out, "%.*s:\n", (int)length, part);
            dump_section(c, e->key, end, depth + 1, out);
        }
    }
}

void rg_config_dump(const rg_config *c, rg_text *out)
{
    dump_section(c, "", 0, 0, out);
}

void rg_config_hash(const rg_config *c, char hex[65])
{
    rg_text text;
    rg_text_init(&text, LARGEST_DUMP);
    rg_config_dump(c, &text);
    hex[0] = 0; /* when memory ends: an empty hash matches none */
    if (!text.bad) rg_sha256_of(text.data ? text.data : "", text.n, hex);
    rg_text_free(&text);
}

/* ---- difference ---- */

static void print_or_none(const rg__entry *e, rg_text *out)
{
    if (e)
        rg__config_print(e, out);
    else
        rg_text_add(out, "(none)");
}

static void diff_entry(const char *key, const rg__entry *before, const rg__entry *after,
                       rg_text *out)
{
    rg_text a, b;
    rg_text_init(&a, LARGEST_DUMP);
    rg_text_init(&b, LARGEST_DUMP);
    print_or_none(before, &a);
    print_or_none(after, &b);
    if (a.bad || b.bad)
        out->bad = true;
    else if (strcmp(a.data, b.data) != 0)
        rg_text_printf(out, "%s: %s -> %s\n", key, a.data, b.data);
    rg_text_free(&a);
    rg_text_free(&b);
}

void rg_config_diff(const rg_config *before, const rg_config *after, rg_text *out)
{
    for (const rg__entry *e = before->entries; e; e = e->next)
        diff_entry(e->key, e, rg__config_find(after, e->key), out);
    for (const rg__entry *e = after->entries; e; e = e->next)
        if (!rg__config_find(before, e->key)) diff_entry(e->key, NULL, e, out);
}
