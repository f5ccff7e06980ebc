/*
 * Numbers of 16 and 32 bits in memory, as the stand-ins of libraries read and write them.
 *
 * One idea: everything is computed in float and rounded once, to the nearest, ties to even.
 */
#ifndef CUEMU_EMU_NUMBERS_H
#define CUEMU_EMU_NUMBERS_H

#include <library_types.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float from_half(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    const float sign = h >> 15 ? -1.0F : 1.0F;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexpf((float)fraction, -24);
    return sign * ldexpf((float)(1024 + fraction), exponent - 25);
}

/* To the nearest, ties to even. */
static inline uint16_t to_half(float v)
{
    const uint16_t sign = signbit(v) ? 0x8000 : 0;
    if (isnan(v)) return 0x7e00;
    if (v == 0) return sign;
    if (fabsf(v) >= 65520) return (uint16_t)(sign | 0x7c00);
    int exponent = 0;
    (void)frexpf(v, &exponent); /* |v| is in [2^(exponent-1), 2^exponent) */
    if (exponent < -13) exponent = -13;
    const int steps = (int)rintf(ldexpf(fabsf(v), 11 - exponent)); /* of the last bit */
    return (uint16_t)(sign | (steps + (exponent + 13) * 1024));    /* 2048 carries over by itself */
}

static inline float from_bf16(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline uint16_t to_bf16(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (isnan(v)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float get(const char *p, uint64_t i, cudaDataType_t type)
{
    float v = 0;
    uint16_t h = 0;
    if (type == CUDA_R_32F)
        memcpy(&v, p + 4 * i, sizeof v);
    else
        memcpy(&h, p + 2 * i, sizeof h);
    return type == CUDA_R_32F ? v : type == CUDA_R_16F ? from_half(h) : from_bf16(h);
}

static inline void put(char *p, uint64_t i, cudaDataType_t type, float v)
{
    const uint16_t h = type == CUDA_R_16F ? to_half(v) : to_bf16(v);
    if (type == CUDA_R_32F)
        memcpy(p + 4 * i, &v, sizeof v);
    else
        memcpy(p + 2 * i, &h, sizeof h);
}

#endif
