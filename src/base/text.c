/*
 * Growing text, numbers without locale, near names (text.h).
 *
 * One idea: formatting runs under a "C" locale of the calling thread, so that a program in de_DE
 * writes the same bytes.
 */
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

int rg_vformat(char *out, size_t size, const char *fmt, va_list args)
{
    pthread_once(&c_locale_once, make_c_locale);
    locale_t before = uselocale(c_locale); /* (locale_t)0 when it could not be made: no change */
    int n = vsnprintf(out, size, fmt, args);
    uselocale(before);
    return n;
}

int rg_format(char *out, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = rg_vformat(out, size, fmt, args);
    va_end(args);
    return n;
}

/* ---- growing text ---- */

void rg_text_init(rg_text *text, size_t limit)
{
    *text = (rg_text){.limit = limit};
}

void rg_text_free(rg_text *text)
{
    free(text->data);
    *text = (rg_text){.limit = text->limit};
}

/* Room for `more` bytes and the terminator; marks the text bad when there is none. */
static bool make_room(rg_text *text, size_t more)
{
    if (text->bad) return false;
    if (more > text->limit || text->n > text->limit - more) {
        text->bad = true;
        return false;
    }
    size_t need = text->n + more + 1;
    if (need <= text->capacity) return true;
    size_t capacity = text->capacity ? text->capacity : 128;
    while (capacity < need) capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->bad = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void rg_text_add_n(rg_text *text, const char *s, size_t n)
{
    if (!make_room(text, n)) return;
    if (n) memcpy(text->data + text->n, s, n);
    text->n += n;
    text->data[text->n] = 0;
}

void rg_text_add(rg_text *text, const char *s)
{
    rg_text_add_n(text, s, strlen(s));
}

void rg_text_printf(rg_text *text, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = rg_vformat(NULL, 0, fmt, args);
    if (n < 0) text->bad = true;
    if (n >= 0 && make_room(text, (size_t)n)) {
        rg_vformat(text->data + text->n, (size_t)n + 1, fmt, again);
        text->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

rg_status rg_text_status(const rg_text *text, rg_error *err)
{
    if (!text->bad) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "a text of over %zu bytes does not fit (limit %zu)", text->n,
                   text->limit);
}

bool rg_copy_text(char *out, size_t size, const char *s)
{
    if (size == 0) return false;
    size_t n = strlen(s);
    bool fits = n < size;
    if (!fits) n = size - 1;
    while (!fits && n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80) n--; /* whole characters */
    memmove(out, s, n);
    out[n] = 0;
    return fits;
}

/* ---- numbers ---- */

bool rg_parse_double(const char *s, double *out)
{
    /* strtod takes hexadecimal, "inf", "nan" and leading blanks too; a config should not */
    if (s[0] == 0 || s[strspn(s, "+-.0123456789eE")] != 0) return false;
    pthread_once(&c_locale_once, make_c_locale);
    char *end;
    double v = c_locale ? strtod_l(s, &end, c_locale) : strtod(s, &end);
    if (end == s || *end || !isfinite(v)) return false;
    *out = v;
    return true;
}

bool rg_parse_int(const char *s, int64_t *out)
{
    bool negative = *s == '-';
    if (*s == '-' || *s == '+') s++;
    if (!*s) return false;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, v = 0;
    for (; *s; s++) {
        if (*s < '0' || *s > '9') return false;
        uint64_t digit = (uint64_t)(*s - '0');
        if (v > (limit - digit) / 10) return false;
        v = v * 10 + digit;
    }
    if (negative)
        *out = v > (uint64_t)INT64_MAX ? INT64_MIN : -(int64_t)v;
    else
        *out = (int64_t)v;
    return true;
}

const char *rg_format_double(double v, char out[32])
{
    /* 15 digits give back any decimal of up to 15 digits; the rest needs 16 or 17 */
    for (int digits = 15; digits <= 17; digits++) {
        rg_format(out, 32, "%.*g", digits, v);
        double back;
        if (rg_parse_double(out, &back) && back == v) break;
    }
    return out;
}

/* ---- near names ---- */

enum { LONGEST_NAME = 64 };

/* Edit distance with swaps of neighbours counted once; texts over LONGEST_NAME are far apart. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST_NAME || m > LONGEST_NAME) return LONGEST_NAME;
    size_t rows[3][LONGEST_NAME + 1];
    size_t *old = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++) last[j] = old[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && old[j - 2] + 1 < best) best = old[j - 2] + 1;
            now[j] = best;
        }
        size_t *oldest = old;
        old = last;
        last = now;
        now = oldest;
    }
    return last[m];
}

const char *rg_nearest_name(const char *word, const char *const *names, size_t n)
{
    size_t limit = 1 + strlen(word) / 4, best = limit + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(word, names[i]);
        if (d < best && d < strlen(names[i])) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}
