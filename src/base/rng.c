/*
 * Philox 4x32-10 and what is drawn from it (rng.h).
 *
 * One idea: rg_rng.counter counts 32-bit words; word w of a stream is word w % 4 of block w / 4.
 * The bulk fills start at a whole block and spend one block on four numbers.
 */
#include "base/rng.h"

#include <math.h>

#include "base/philox.h"

static const double tau = 6.283185307179586;

void rg_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4])
{
    rg_philox_block(seed, stream, counter, out);
}

uint64_t rg_rng_stream(uint64_t a, uint64_t b, uint64_t c)
{
    uint32_t out[4];
    rg_philox(a, b, c, out);
    return (uint64_t)out[1] << 32 | out[0];
}

rg_rng rg_rng_make(uint64_t seed, uint64_t stream)
{
    return (rg_rng){.seed = seed, .stream = stream};
}

uint32_t rg_rng_u32(rg_rng *rng)
{
    uint32_t out[4];
    rg_philox(rng->seed, rng->stream, rng->counter / 4, out);
    return out[rng->counter++ % 4];
}

static uint64_t next_u64(rg_rng *rng)
{
    uint64_t high = rg_rng_u32(rng);
    return high << 32 | rg_rng_u32(rng);
}

uint64_t rg_rng_below(rg_rng *rng, uint64_t n)
{
    if (n == 0) return 0;
    uint64_t uneven = (0 - n) % n; /* 2^64 mod n: so many of the smallest values are refused */
    uint64_t v;
    do {
        v = next_u64(rng);
    } while (v < uneven);
    return v % n;
}

static double unit(uint64_t word)
{
    return (double)(word >> 11) * 0x1p-53;
}

double rg_rng_uniform(rg_rng *rng)
{
    return unit(next_u64(rng));
}

/* The next four words: one block, where the counter stands at its start. */
static void next_words(rg_rng *rng, uint32_t words[4])
{
    if (rng->counter % 4 == 0) {
        rg_philox(rng->seed, rng->stream, rng->counter / 4, words);
        rng->counter += 4;
    } else {
        for (int i = 0; i < 4; i++) words[i] = rg_rng_u32(rng);
    }
}

double rg_rng_normal(rg_rng *rng)
{
    uint32_t w[4];
    next_words(rng, w);
    const double radius = 1.0 - unit((uint64_t)w[0] << 32 | w[1]); /* (0,1]: its log is finite */
    const double angle = unit((uint64_t)w[2] << 32 | w[3]);
    return sqrt(-2.0 * log(radius)) * cos(tau * angle);
}

/* The next whole block of words; the counter moves to its end. */
static void next_block(rg_rng *rng, uint32_t words[4])
{
    uint64_t block = rng->counter / 4 + (rng->counter % 4 != 0);
    rg_philox(rng->seed, rng->stream, block, words);
    rng->counter = block * 4 + 4;
}

static void normal_pair(uint32_t a, uint32_t b, double out[2])
{
    double radius = sqrt(-2.0 * log(((double)a + 1.0) * 0x1p-32));
    double angle = tau * ((double)b * 0x1p-32);
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

void rg_rng_fill_normal(rg_rng *rng, float *out, int64_t n, float mean, float deviation)
{
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t words[4];
        double z[4];
        next_block(rng, words);
        normal_pair(words[0], words[1], z);
        normal_pair(words[2], words[3], z + 2);
        for (int64_t k = 0; k < 4 && i + k < n; k++)
            out[i + k] = (float)((double)mean + (double)deviation * z[k]);
    }
}

void rg_rng_fill_uniform(rg_rng *rng, float *out, int64_t n, float low, float high)
{
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t words[4];
        next_block(rng, words);
        for (int64_t k = 0; k < 4 && i + k < n; k++) {
            double u = (double)(words[k] >> 8) * 0x1p-24;
            float v = (float)((double)low + ((double)high - (double)low) * u);
            out[i + k] = v < high || low == high ? v : nextafterf(high, low); /* [low,high) */
        }
    }
}
