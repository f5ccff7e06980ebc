/*
 * Status codes and the error slot: how every floor of the house says that something went wrong.
 *
 * One idea: a function returns an rg_status, and the text that a person needs goes into an rg_error
 * that the caller owns. The slot is sticky: the first error stays, later ones are dropped.
 * Not here: printing (the command line does that) and exiting (only main() does that).
 */
#ifndef RG_BASE_STATUS_H
#define RG_BASE_STATUS_H

#include <stdarg.h>

/* Headers that CUDA files (C++) include have C linkage there. */
#ifdef __cplusplus
#define RG_C_BEGIN extern "C" {
#define RG_C_END }
#else
#define RG_C_BEGIN
#define RG_C_END
#endif

RG_C_BEGIN

/* name, what it means to a person */
#define RG_STATUSES(X)                               \
    X(OK, "no error")                                \
    X(ERR_SHAPE, "shapes do not fit")                \
    X(ERR_DTYPE, "wrong data type")                  \
    X(ERR_NOMEM, "out of memory")                    \
    X(ERR_IO, "input or output failed")              \
    X(ERR_FORMAT, "file is malformed")               \
    X(ERR_CONFIG, "configuration is wrong")          \
    X(ERR_USAGE, "command line is wrong")            \
    X(ERR_MISMATCH, "things do not belong together") \
    X(ERR_NUMERIC, "a value is not finite")          \
    X(ERR_DEVICE, "device failed")                   \
    X(ERR_UNSUPPORTED, "not supported")              \
    X(ERR_CANCELLED, "stopped on request")

typedef enum rg_status {
#define X(name, text) RG_##name,
    RG_STATUSES(X)
#undef X
} rg_status;

enum { RG_ERROR_TEXT = 512 };

/*
 * The first error seen; zero-initialised means none. Owned by the caller, no allocation. The text
 * is one line: control characters (a file's own, say) stand there as '?'.
 */
typedef struct rg_error {
    rg_status code;
    char text[RG_ERROR_TEXT];
} rg_error;

#define RG_MUST_USE __attribute__((warn_unused_result))
#define RG_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/*
 * Records an error unless one is recorded already, and returns `code`, so that a caller can write
 * `return rg_fail(err, RG_ERR_FORMAT, "%s: ...", path)`. Text longer than the slot is cut with
 * "...". `err` may be NULL: then only the code is returned.
 */
rg_status rg_fail(rg_error *err, rg_status code, const char *fmt, ...) RG_PRINTF(3, 4);
rg_status rg_vfail(rg_error *err, rg_status code, const char *fmt, va_list args);

#ifdef __clang_analyzer__ /* which cannot see that rg_fail returns its code */
#define rg_fail(err, code, ...) ((void)(rg_fail)(err, code, __VA_ARGS__), (code))
#endif

/* Puts "prefix: " before the text of a recorded error (a file name in front of a parser's message).
 */
void rg_error_prefix(rg_error *err, const char *fmt, ...) RG_PRINTF(2, 3);
void rg_error_clear(rg_error *err);

/* "no error", "shapes do not fit", ...; never NULL. */
const char *rg_status_text(rg_status status);

/* Returns from the calling function when `expr` is not RG_OK. */
#define RG_TRY(expr)                          \
    do {                                      \
        rg_status rg_try_ = (expr);           \
        if (rg_try_ != RG_OK) return rg_try_; \
    } while (0)

RG_C_END

#endif
