/*
 * A growing text with a mandatory limit, and the few string helpers C lacks.
 *
 * One idea: once an append fails (limit or memory) the text is marked bad and further appends do
 * nothing, so a whole document is written without checks and tested once at the end.
 * Not here: parsing of formats; locale (numbers are always written and read with a point).
 */
#ifndef RG_BASE_TEXT_H
#define RG_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rg_text {
    char *data; /* always 0-terminated once non-NULL */
    size_t n, capacity, limit;
    bool bad;
} rg_text;

void rg_text_init(rg_text *text, size_t limit);
void rg_text_free(rg_text *text); /* empty then, and good again */
void rg_text_add(rg_text *text, const char *s);
void rg_text_add_n(rg_text *text, const char *s, size_t n);
void rg_text_printf(rg_text *text, const char *fmt, ...) RG_PRINTF(2, 3);
rg_status rg_text_status(const rg_text *text,
                         rg_error *err) RG_MUST_USE; /* RG_ERR_NOMEM when bad */

/* snprintf and vsnprintf that write a point in numbers whatever the locale is. */
int rg_format(char *out, size_t size, const char *fmt, ...) RG_PRINTF(3, 4);
int rg_vformat(char *out, size_t size, const char *fmt, va_list args) RG_PRINTF(3, 0);

/* Copies with truncation (between UTF-8 characters), always terminated; returns false when it did
 * not fit. */
bool rg_copy_text(char *out, size_t size, const char *s);

/* Locale-free numbers; false when s is not wholly one finite number. */
bool rg_parse_double(const char *s, double *out);
bool rg_parse_int(const char *s, int64_t *out);

/* Shortest form that reads back the same, with a point in every locale. `out` needs 32 bytes. */
const char *rg_format_double(double v, char out[32]);

/* Among n names the one nearest to `word` by edit distance, or NULL when none is near. */
const char *rg_nearest_name(const char *word, const char *const *names, size_t n);

#endif
