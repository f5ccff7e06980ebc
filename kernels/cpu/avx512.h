/*
 * What the levels above AVX-512 take from it: its fp32 tiles, and those for narrow weights.
 */
#ifndef RG_KERNELS_CPU_AVX512_H
#define RG_KERNELS_CPU_AVX512_H

#include "kernels/cpu/cpu.h"

extern const rg_tiles rg_tiles_avx512;
void rg_weight_tile_avx512(const rg_tile *t);
void rg_byte_tile_avx512(const rg_tile *t);
double rg_burst_avx512(int64_t loops);

#endif
