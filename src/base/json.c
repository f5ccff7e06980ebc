/*
 * JSON files (json.h).
 *
 * One idea: jansson parses and prints; this gives its messages a file and a place, and its files
 * the atomic write.
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"

enum { LARGEST_DUMP = 1 << 30 };

json_t *rg_json_parse(const char *text, size_t n, const char *name, rg_error *err)
{
    json_error_t why;
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (value) return value;
    if (json_error_code(&why) == json_error_out_of_memory)
        rg_fail(err, RG_ERR_NOMEM, "%s: out of memory while reading JSON", name);
    else
        rg_fail(err, RG_ERR_FORMAT, "%s:%d:%d: %s", name, why.line < 1 ? 1 : why.line,
                why.column < 1 ? 1 : why.column, why.text);
    return NULL;
}

json_t *rg_json_read(const char *path, size_t limit, rg_error *err)
{
    char *text;
    size_t n;
    if (rg_fs_read_all(path, limit, &text, &n, err) != RG_OK) return NULL;
    json_t *value = rg_json_parse(text, n, path, err);
    free(text);
    return value;
}

static int add_dumped(const char *buffer, size_t n, void *text)
{
    rg_text_add_n(text, buffer, n);
    return ((rg_text *)text)->bad ? -1 : 0;
}

rg_status rg_json_write(const json_t *value, const char *path, rg_error *err)
{
    rg_text text;
    rg_text_init(&text, LARGEST_DUMP);
    rg_status status = RG_OK;
    if (json_dump_callback(value, add_dumped, &text, JSON_INDENT(2)) < 0)
        status = rg_fail(err, RG_ERR_NOMEM, "%s: cannot print the JSON: out of memory", path);
    rg_text_add(&text, "\n");
    if (status == RG_OK) status = rg_text_status(&text, err);
    if (status == RG_OK) status = rg_fs_write_atomic(path, text.data, text.n, err);
    rg_text_free(&text);
    return status;
}

/* ---- members ---- */

static const char *const type_names[] = {
    [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",
    [JSON_STRING] = "a text",    [JSON_INTEGER] = "a whole number",
    [JSON_REAL] = "a number",    [JSON_TRUE] = "true",
    [JSON_FALSE] = "false",      [JSON_NULL] = "null",
};

static rg_status wrong_member(const json_t *member, const char *key, const char *where,
                              const char *expected, rg_error *err)
{
    if (!member)
        return rg_fail(err, RG_ERR_FORMAT, "%s: '%s' is missing (%s is expected)", where, key,
                       expected);
    return rg_fail(err, RG_ERR_FORMAT, "%s: '%s' is %s, expected %s", where, key,
                   type_names[json_typeof(member)], expected);
}

rg_status rg_json_get_text(const json_t *object, const char *key, const char *where,
                           const char **out, rg_error *err)
{
    const json_t *member = json_object_get(object, key);
    *out = NULL;
    if (!json_is_string(member)) return wrong_member(member, key, where, "a text", err);
    *out = json_string_value(member);
    return RG_OK;
}

rg_status rg_json_get_int(const json_t *object, const char *key, const char *where, int64_t *out,
                          rg_error *err)
{
    const json_t *member = json_object_get(object, key);
    *out = 0;
    if (!json_is_integer(member)) return wrong_member(member, key, where, "a whole number", err);
    *out = json_integer_value(member);
    return RG_OK;
}

rg_status rg_json_get_double(const json_t *object, const char *key, const char *where, double *out,
                             rg_error *err)
{
    const json_t *member = json_object_get(object, key);
    *out = 0;
    if (!json_is_number(member)) return wrong_member(member, key, where, "a number", err);
    *out = json_number_value(member);
    return RG_OK;
}

json_t *rg_json_get_array(const json_t *object, const char *key, const char *where, rg_error *err)
{
    json_t *member = json_object_get(object, key);
    if (json_is_array(member)) return member;
    wrong_member(member, key, where, "a list", err);
    return NULL;
}

json_t *rg_json_get_object(const json_t *object, const char *key, const char *where, rg_error *err)
{
    json_t *member = json_object_get(object, key);
    if (json_is_object(member)) return member;
    wrong_member(member, key, where, "an object", err);
    return NULL;
}

/* "3.1" -> 3; false when it is not two whole numbers with a point between them. */
static bool parse_version(const char *version, int64_t *major)
{
    char first[20];
    int64_t minor;
    size_t n = strcspn(version, ".");
    if (n >= sizeof first || version[n] != '.') return false;
    memcpy(first, version, n);
    first[n] = 0;
    return rg_parse_int(first, major) && rg_parse_int(version + n + 1, &minor) && *major >= 0 &&
           minor >= 0;
}

rg_status rg_json_check_format(const json_t *object, const char *format, int64_t major,
                               const char *where, rg_error *err)
{
    const char *name = NULL, *version = NULL;
    int64_t found;
    RG_TRY(rg_json_get_text(object, "format", where, &name, err));
    RG_TRY(rg_json_get_text(object, "version", where, &version, err));
    if (strcmp(name, format) != 0)
        return rg_fail(err, RG_ERR_FORMAT, "%s: the format is '%s', expected '%s'", where, name,
                       format);
    if (!parse_version(version, &found))
        return rg_fail(err, RG_ERR_FORMAT, "%s: the version is '%s', expected MAJOR.MINOR", where,
                       version);
    if (found > major)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "%s: %s version %s is newer than this program, which reads up to %lld.x; "
                       "update the program",
                       where, format, version, (long long)major);
    return RG_OK;
}
