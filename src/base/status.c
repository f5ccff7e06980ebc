/*
 * Status codes and the error slot (status.h).
 *
 * One idea: the first error wins, and its text is always whole or visibly cut with "...".
 */
#include "base/status.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#undef rg_fail

static const char *const status_texts[] = {
#define X(name, text) [RG_##name] = (text),
    RG_STATUSES(X)
#undef X
};

static void mark_cut(char *text, size_t size)
{
    memcpy(text + size - 4, "...", 4);
}

rg_status rg_vfail(rg_error *err, rg_status code, const char *fmt, va_list args)
{
    assert(code != RG_OK);
    if (!err || err->code != RG_OK) return code;
    err->code = code;
    int n = rg_vformat(err->text, sizeof err->text, fmt, args);
    if (n < 0) rg_copy_text(err->text, sizeof err->text, rg_status_text(code));
    if (n >= (int)sizeof err->text) mark_cut(err->text, sizeof err->text);
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
    if (n >= (int)sizeof err->text) mark_cut(err->text, sizeof err->text);
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
