/*
 * A software model of the tile unit of AMX-BF16, for kernels/cpu/gemm_amx.inc on any machine.
 *
 * One idea: the unit has the state of a thread: eight tiles of 16 rows of 64 bytes and their
 * configuration. Each function does what the instruction does, to the bit (NaN only as some NaN);
 * what would fault there ends the program here, with a line about it. Loads and stores touch
 * exactly the bytes that the instruction touches, so that valgrind and sanitizers see them.
 * Source: the operation sections of LDTILECFG, TILELOADD, TILESTORED and TDPBF16PS in Intel's
 * instruction set reference.
 */
#ifndef RG_TESTS_TILE_MODEL_H
#define RG_TESTS_TILE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

void rg_tile_model_configure(const void *config); /* 64 bytes */
void rg_tile_model_release(void);
bool rg_tile_model_is_configured(void);
void rg_tile_model_zero(int tile);
void rg_tile_model_load(int tile, const void *from, int64_t pitch); /* pitch in bytes */
void rg_tile_model_store(int tile, void *to, int64_t pitch);
/* c += a b: a rows of pairs of bf16, b rows of pairs, c floats. */
void rg_tile_model_multiply(int c, int a, int b);

#endif
