/*
 * Values of a configuration: from YAML nodes by the schema's row, and back to text.
 *
 * One idea: a table of types says what each is called, how a scalar is read, and whether it is a
 * list.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/config_private.h"

typedef enum reading { TAKEN, WRONG } reading;

static reading read_whole(const rg_yaml_node *node, const rg_config_key *row, rg__value *v)
{
    (void)row;
    double real;
    if (node->quoted) return WRONG;
    bool whole = rg_parse_int(node->text, &v->whole);
    if (!whole) { /* 1e5 is a whole number too */
        if (!rg_parse_double(node->text, &real)) return WRONG;
        if (!(fabs(real) <= 0x1p53) || floor(real) != real) return WRONG;
        v->whole = (int64_t)real;
    }
    v->real = (double)v->whole;
    return TAKEN;
}

static reading read_real(const rg_yaml_node *node, const rg_config_key *row, rg__value *v)
{
    (void)row;
    return !node->quoted && rg_parse_double(node->text, &v->real) ? TAKEN : WRONG;
}

static reading read_truth(const rg_yaml_node *node, const rg_config_key *row, rg__value *v)
{
    (void)row;
    v->truth = strcmp(node->text, "true") == 0;
    return !node->quoted && (v->truth || strcmp(node->text, "false") == 0) ? TAKEN : WRONG;
}

static reading read_text(const rg_yaml_node *node, const rg_config_key *row, rg__value *v)
{
    (void)row;
    v->text = node->text;
    return rg_yaml_is_null(node) ? WRONG : TAKEN;
}

static reading read_choice(const rg_yaml_node *node, const rg_config_key *row, rg__value *v)
{
    size_t n = strlen(node->text);
    v->text = node->text;
    for (const char *at = row->choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strcspn(at, "|") == n && strncmp(at, node->text, n) == 0) return TAKEN;
    return WRONG;
}

static const struct {
    const char *what;
    reading (*read)(const rg_yaml_node *node, const rg_config_key *row, rg__value *v);
    bool list, number;
} types[] = {
    [RG_CONFIG_INT] = {"a whole number", read_whole, false, true},
    [RG_CONFIG_REAL] = {"a number", read_real, false, true},
    [RG_CONFIG_BOOL] = {"true or false", read_truth, false, false},
    [RG_CONFIG_TEXT] = {"a text", read_text, false, false},
    [RG_CONFIG_CHOICE] = {"one of ", read_choice, false, false},
    [RG_CONFIG_INTS] = {"a list of whole numbers", read_whole, true, true},
    [RG_CONFIG_REALS] = {"a list of numbers", read_real, true, true},
    [RG_CONFIG_TEXTS] = {"a list of texts", read_text, true, false},
};

void rg__config_expected(const rg_config_key *row, char out[256])
{
    char low[32], high[32];
    if (row->type == RG_CONFIG_CHOICE) {
        rg_format(out, 256, "one of %s", row->choices);
        for (char *bar = strchr(out, '|'); bar; bar = strchr(bar, '|')) *bar = ' ';
    } else if (types[row->type].number && row->low < row->high) {
        rg_format(out, 256, "%s from %s to %s", types[row->type].what,
                  rg_format_double(row->low, low), rg_format_double(row->high, high));
    } else {
        rg_copy_text(out, 256, types[row->type].what);
    }
}

/* What was found, for messages: "nothing", "a list", "a section", "'abc'". */
static void describe(const rg_yaml_node *node, char out[128])
{
    if (node->kind != RG_YAML_SCALAR)
        rg_copy_text(out, 128, node->kind == RG_YAML_LIST ? "a list" : "a section");
    else if (rg_yaml_is_null(node))
        rg_copy_text(out, 128, "nothing");
    else
        rg_format(out, 128, "%s'%.80s'", node->quoted ? "the text " : "", node->text);
}

/* The choice nearest to what was written, copied to `out`; false when none is near. */
static bool nearest_choice(const char *word, const char *choices, char out[64])
{
    const char *names[64];
    char copy[1024];
    size_t n = 0;
    if (!rg_copy_text(copy, sizeof copy, choices)) return false;
    char *state = NULL;
    for (char *name = strtok_r(copy, "|", &state); name && n < 64;
         name = strtok_r(NULL, "|", &state))
        names[n++] = name;
    const char *nearest = rg_nearest_name(word, names, n);
    return nearest && rg_copy_text(out, 64, nearest);
}

static rg_status wrong_value(const rg_yaml_node *node, const rg_config_key *row, const char *key,
                             const char *place, rg_error *err)
{
    char expected[256], found[128], near[64];
    rg__config_expected(row, expected);
    describe(node, found);
    bool hint = row->type == RG_CONFIG_CHOICE && node->kind == RG_YAML_SCALAR &&
                nearest_choice(node->text, row->choices, near);
    return rg_fail(err, RG_ERR_CONFIG, "%s: '%s' is %s, expected %s%s%s%s", place, key, found,
                   expected, hint ? "; did you mean '" : "", hint ? near : "", hint ? "'?" : "");
}

static bool in_range(const rg_config_key *row, const rg__value *v)
{
    if (!types[row->type].number || !(row->low < row->high)) return true;
    return v->real >= row->low && v->real <= row->high;
}

static bool take_value(const rg_yaml_node *node, const rg_config_key *row, rg__value *v)
{
    return node->kind == RG_YAML_SCALAR && types[row->type].read(node, row, v) == TAKEN &&
           in_range(row, v);
}

rg_status rg__config_check(rg_config *c, const rg_yaml_node *node, const rg_config_key *row,
                           const char *key, const char *place, rg__entry *entry, rg_error *err)
{
    bool list = types[row->type].list;
    if (list && node->kind != RG_YAML_LIST) return wrong_value(node, row, key, place, err);
    entry->n = list ? node->count : 1;
    entry->values = rg_arena_zalloc(c->arena, entry->n * sizeof *entry->values);
    if (!entry->values) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", place);
    if (!list)
        return take_value(node, row, entry->values) ? RG_OK
                                                    : wrong_value(node, row, key, place, err);
    size_t i = 0;
    for (const rg_yaml_node *item = node->first; item; item = item->next, i++) {
        if (take_value(item, row, &entry->values[i])) continue;
        char found[128], expected[256];
        describe(item, found);
        rg__config_expected(row, expected);
        return rg_fail(err, RG_ERR_CONFIG, "%s: '%s' has %s as element %zu, expected %s", place,
                       key, found, i + 1, expected);
    }
    return RG_OK;
}

/* ---- back to text ---- */

static bool is_plain(const char *s)
{
    static const char *const special[] = {"true", "false", "null", "yes", "no",
                                          "on",   "off",   "y",    "n"};
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/", s[0]) || !s[0])
        return false;
    if (s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")])
        return false;
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (strcasecmp(s, special[i]) == 0) return false;
    return true;
}

/*
 * In double quotes. Besides the quote and controls, the characters that YAML takes for line breaks
 * (U+0085, U+2028, U+2029) and the C1 controls are escaped; other UTF-8 goes through.
 */
void rg__config_quote(const char *s, rg_text *out)
{
    rg_text_add(out, "\"");
    for (; *s; s++) {
        unsigned char ch = (unsigned char)s[0], next = (unsigned char)s[1];
        if (ch == '"' || ch == '\\') {
            rg_text_printf(out, "\\%c", ch);
        } else if (ch < 0x20 || ch == 0x7f) {
            rg_text_printf(out, "\\x%02x", ch);
        } else if (ch == 0xc2 && next >= 0x80 && next < 0xa0) {
            rg_text_printf(out, "\\x%02x", next);
            s++;
        } else if (strncmp(s, "\xe2\x80\xa8", 3) == 0 || strncmp(s, "\xe2\x80\xa9", 3) == 0) {
            rg_text_add(out, (unsigned char)s[2] == 0xa8 ? "\\L" : "\\P");
            s += 2;
        } else {
            rg_text_add_n(out, s, 1);
        }
    }
    rg_text_add(out, "\"");
}

static void print_text(const char *s, rg_text *out)
{
    if (is_plain(s))
        rg_text_add(out, s);
    else
        rg__config_quote(s, out);
}

static void print_value(rg_config_type type, const rg__value *v, rg_text *out)
{
    char number[32];
    switch (type) {
    case RG_CONFIG_INT:
    case RG_CONFIG_INTS:
        rg_text_printf(out, "%lld", (long long)v->whole);
        break;
    case RG_CONFIG_REAL:
    case RG_CONFIG_REALS:
        rg_text_add(out, rg_format_double(v->real, number));
        break;
    case RG_CONFIG_BOOL:
        rg_text_add(out, v->truth ? "true" : "false");
        break;
    case RG_CONFIG_TEXT:
    case RG_CONFIG_TEXTS:
    case RG_CONFIG_CHOICE:
        print_text(v->text, out);
        break;
    }
}

void rg__config_print(const rg__entry *entry, rg_text *out)
{
    bool list = types[entry->row->type].list;
    if (list) rg_text_add(out, "[");
    for (size_t i = 0; i < entry->n; i++) {
        if (i) rg_text_add(out, ", ");
        print_value(entry->row->type, &entry->values[i], out);
    }
    if (list) rg_text_add(out, "]");
}
