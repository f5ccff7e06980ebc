/*
 * Shapes, data types and the half-precision conversions (tensor.h).
 *
 * One idea: everything here is a pure function of small values; no memory is owned or taken.
 * Not here: making tensors (exec.c), computing with them (src/ops).
 */
#include "engine/tensor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

rg_shape rg_shape_of(int32_t ndim, const int64_t *dims)
{
    assert(ndim >= 0 && ndim <= RG_MAX_DIMS);
    rg_shape shape = {.ndim = ndim};
    for (int32_t i = 0; i < ndim; i++) shape.dim[i] = dims[i];
    return shape;
}

int64_t rg_shape_count(rg_shape shape)
{
    int64_t n = 1;
    for (int32_t i = 0; i < shape.ndim; i++) n *= shape.dim[i];
    return n;
}

int64_t rg_shape_rows(rg_shape shape)
{
    int64_t n = 1;
    for (int32_t i = 0; i + 1 < shape.ndim; i++) n *= shape.dim[i];
    return n;
}

int64_t rg_shape_last(rg_shape shape)
{
    return shape.ndim ? shape.dim[shape.ndim - 1] : 1;
}

bool rg_shape_equal(rg_shape a, rg_shape b)
{
    if (a.ndim != b.ndim) return false;
    for (int32_t i = 0; i < a.ndim; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

const char *rg_shape_text(rg_shape shape, char out[96])
{
    size_t n = (size_t)snprintf(out, 96, "(");
    for (int32_t i = 0; i < shape.ndim; i++)
        n += (size_t)snprintf(out + n, 96 - n, i ? ",%" PRId64 : "%" PRId64, shape.dim[i]);
    snprintf(out + n, 96 - n, ")");
    return out;
}

static const struct {
    size_t bytes;
    const char *text;
} dtypes[RG_DTYPE_COUNT] = {
#define X(name, bytes, text) [RG_##name] = {bytes, text},
    RG_DTYPES(X)
#undef X
};

size_t rg_dtype_size(rg_dtype type)
{
    assert(type < RG_DTYPE_COUNT);
    return dtypes[type].bytes;
}

const char *rg_dtype_text(rg_dtype type)
{
    return type < RG_DTYPE_COUNT ? dtypes[type].text : "?";
}

bool rg_dtype_parse(const char *text, rg_dtype *out)
{
    for (int i = 0; i < RG_DTYPE_COUNT; i++) {
        if (strcmp(text, dtypes[i].text) != 0) continue;
        *out = (rg_dtype)i;
        return true;
    }
    return false;
}

static uint32_t bits_of(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

float rg_bf16_to_float(uint16_t v)
{
    return float_of((uint32_t)v << 16);
}

uint16_t rg_bf16_from_float(float v)
{
    uint32_t u = bits_of(v);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40); /* quiet NaN */
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

float rg_f16_to_float(uint16_t v)
{
    uint32_t sign = (uint32_t)(v & 0x8000u) << 16, exponent = v >> 10 & 31, mantissa = v & 0x3ffu;
    if (exponent == 31) return float_of(sign | 0x7f800000u | mantissa << 13);
    if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    float tiny = (float)mantissa * 0x1p-24f; /* zero and subnormals: exact */
    return sign ? -tiny : tiny;
}

/* v shifted right by n with rounding to nearest, ties to even. */
static uint32_t shift_round(uint32_t v, uint32_t n)
{
    uint32_t kept = v >> n, rest = v & ((1u << n) - 1), half = 1u << (n - 1);
    return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t rg_f16_from_float(float v)
{
    uint32_t u = bits_of(v), sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x47800000u) return (uint16_t)(sign | 0x7c00u); /* 65536 and more: infinity */
    if (magnitude >= 0x38800000u) /* a carry may reach infinity */
        return (uint16_t)(sign | (shift_round(magnitude, 13) - (112u << 10)));
    uint32_t exponent = magnitude >> 23;
    if (exponent < 102) return (uint16_t)sign; /* below half of the smallest subnormal */
    uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    return (uint16_t)(sign | shift_round(mantissa, 126 - exponent));
}
