/*
 * JSON through jansson: read with limits and places, write atomically.
 *
 * One idea: callers use jansson's json_t directly; this adds only what every caller would repeat.
 */
#ifndef RG_BASE_JSON_H
#define RG_BASE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"

/* New reference, or NULL with "file:line:column: ..." in err. At most `limit` bytes. */
json_t *rg_json_read(const char *path, size_t limit, rg_error *err);
json_t *rg_json_parse(const char *text, size_t n, const char *name, rg_error *err);
/* Indented, keys in insertion order, written atomically. Does not take the reference. */
rg_status rg_json_write(const json_t *value, const char *path, rg_error *err) RG_MUST_USE;

/* Members with a type check; a missing or mistyped one is RG_ERR_FORMAT naming `where` and the key.
 */
rg_status rg_json_get_text(const json_t *object, const char *key, const char *where,
                           const char **out, rg_error *err) RG_MUST_USE;
rg_status rg_json_get_int(const json_t *object, const char *key, const char *where, int64_t *out,
                          rg_error *err) RG_MUST_USE;
rg_status rg_json_get_double(const json_t *object, const char *key, const char *where, double *out,
                             rg_error *err) RG_MUST_USE;
json_t *rg_json_get_array(const json_t *object, const char *key, const char *where, rg_error *err);
json_t *rg_json_get_object(const json_t *object, const char *key, const char *where, rg_error *err);

/*
 * A format of ours says what it is: {"format": NAME, "version": "MAJOR.MINOR"}. Another name is
 * RG_ERR_FORMAT; a newer major is refused by name (RG_ERR_UNSUPPORTED, both versions and `where` in
 * the text); a newer minor is read.
 */
rg_status rg_json_check_format(const json_t *object, const char *format, int64_t major,
                               const char *where, rg_error *err) RG_MUST_USE;

#endif
