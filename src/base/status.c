/*
 * Status codes and the error slot (status.h).
 *
 * One idea: the first error wins, and its text is one line of printable characters, whole or
 * visibly cut with "...", whatever names and bytes of foreign files went into it.
 */
#include "base/status.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#undef rg_fail

static const char *const status_texts[] = {
#define X(name, text) [RG_##name] = (text),
    RG_STATUSES(X)
#undef X
};

static bool is_control(const unsigned char *at)
{
    return *at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
}

/* `length`: of the text that was wanted. Controls, C1 in UTF-8 among them, show as '?'. */
static void finish(char *text, size_t size, size_t length)
{
    if (length >= size) memcpy(text + size - 4, "...", 4);
    for (unsigned char *at = (unsigned char *)text; *at; at++) {
        if (!is_control(at)) continue;
        if (*at == 0xc2) *at++ = '?';
        *at = '?';
    }
}

rg_status rg_vfail(rg_error *err, rg_status code, const char *fmt, va_list args)
{
    assert(code != RG_OK);
    if (!err || err->code != RG_OK) return code;
    err->code = code;
    int n = rg_vformat(err->text, sizeof err->text, fmt, args);
    if (n < 0) rg_copy_text(err->text, sizeof err->text, rg_status_text(code));
    finish(err->text, sizeof err->text, n < 0 ? 0 : (size_t)n);
    return code;
}

rg_status rg_fail(rg_error *err, rg_status code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    rg_status status = rg_vfail(err, code, fmt, args);
    va_end(args);
    return status;
}

void rg_error_prefix(rg_error *err, const char *fmt, ...)
{
    if (!err || err->code == RG_OK) return;
    char old[RG_ERROR_TEXT];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, fmt);
    int n = rg_vformat(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (n < 0) n = 0;
    if (n < (int)sizeof err->text)
        n += rg_format(err->text + n, sizeof err->text - (size_t)n, "%s%s", n ? ": " : "", old);
    finish(err->text, sizeof err->text, (size_t)n);
}

void rg_error_clear(rg_error *err)
{
    if (!err) return;
    err->code = RG_OK;
    err->text[0] = 0;
}

const char *rg_status_text(rg_status status)
{
    size_t n = sizeof status_texts / sizeof status_texts[0];
    return (size_t)status < n ? status_texts[status] : "unknown status";
}
