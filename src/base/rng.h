/*
 * Random numbers by counter: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1,
 * 2, 3", 2011).
 *
 * One idea: a number is a pure function of (seed, stream, counter). Nothing depends on who asked
 * before, so order and threads never change bits, and a checkpoint stores two integers. Not here:
 * cryptography.
 */
#ifndef RG_BASE_RNG_H
#define RG_BASE_RNG_H

#include <stdint.h>

/* A position in one stream of one seed; copy it to fork, store it to resume. */
typedef struct rg_rng {
    uint64_t seed, stream, counter;
} rg_rng;

/* One block of the generator: four 32-bit words for (seed, stream, counter). */
void rg_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);

/* A stream number from parts such as (step, operator, role); any change gives an unrelated stream.
 */
uint64_t rg_rng_stream(uint64_t a, uint64_t b, uint64_t c);

rg_rng rg_rng_make(uint64_t seed, uint64_t stream);
uint32_t rg_rng_u32(rg_rng *rng);
uint64_t rg_rng_below(rg_rng *rng, uint64_t n); /* uniform in [0,n); 0 when n is 0; unbiased */
double rg_rng_uniform(rg_rng *rng);             /* [0,1) */
double rg_rng_normal(rg_rng *rng);              /* mean 0, deviation 1 (Box-Muller) */

/* n numbers, independent of any earlier ones of the same stream object being consumed elsewhere. */
void rg_rng_fill_normal(rg_rng *rng, float *out, int64_t n, float mean, float deviation);
void rg_rng_fill_uniform(rg_rng *rng, float *out, int64_t n, float low, float high);

#endif
