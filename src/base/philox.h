/*
 * One round of Philox 4x32-10, to be written into loops (Salmon et al., "Parallel random numbers:
 * as easy as 1, 2, 3", 2011, section 3.3).
 *
 * One idea: the generator's arithmetic stands here once; rng.c runs it on one block, kernels on as
 * many blocks as a vector is wide, or on one per thread of a device (which defines
 * RG_PHILOX_INLINE as its compiler wants it). Not here: anything that a caller outside of such
 * loops wants.
 */
#ifndef RG_BASE_PHILOX_H
#define RG_BASE_PHILOX_H

#include <stdint.h>

enum { RG_PHILOX_ROUNDS = 10 };

#ifndef RG_PHILOX_INLINE
#define RG_PHILOX_INLINE static inline __attribute__((always_inline))
#endif

/* The state c and the round's key; the key of the next round is rg_philox_next_key. */
RG_PHILOX_INLINE void rg_philox_round(uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3,
                                      const uint32_t key[2])
{
    const uint64_t product0 = (uint64_t)0xD2511F53u * *c0, product1 = (uint64_t)0xCD9E8D57u * *c2;
    *c0 = (uint32_t)(product1 >> 32) ^ *c1 ^ key[0];
    *c1 = (uint32_t)product1;
    *c2 = (uint32_t)(product0 >> 32) ^ *c3 ^ key[1];
    *c3 = (uint32_t)product0;
}

RG_PHILOX_INLINE void rg_philox_next_key(uint32_t key[2])
{
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
}

/* The four words of block `counter` of a stream. */
RG_PHILOX_INLINE void rg_philox_block(uint64_t seed, uint64_t stream, uint64_t counter,
                                      uint32_t out[4])
{
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    out[0] = (uint32_t)counter;
    out[1] = (uint32_t)(counter >> 32);
    out[2] = (uint32_t)stream;
    out[3] = (uint32_t)(stream >> 32);
    for (int round = 0; round < RG_PHILOX_ROUNDS; round++) {
        rg_philox_round(&out[0], &out[1], &out[2], &out[3], key);
        rg_philox_next_key(key);
    }
}

#endif
