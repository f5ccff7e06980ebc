/*
 * The AMX level on the model of its tile unit: the highest vector level of this CPU, its products
 * of bf16 operands by kernels/cpu/gemm_amx.inc compiled against tile_model.h.
 *
 * One idea: above the tiles nothing knows about the unit, so what holds for this level (operators,
 * gradients, threads) holds for the unit's.
 */
#ifndef RG_TESTS_MODEL_LEVEL_H
#define RG_TESTS_MODEL_LEVEL_H

#include "kernels/cpu/cpu.h"

/* The tiles, 32 and 16 columns wide. */
extern const rg_tiles rg_model_tiles;

/* NULL where the CPU has no vector level. */
const rg_isa *rg_model_isa(void);
const rg_kernels *rg_model_kernels(void);

/* Level i of those to test: those of the CPU, from the lowest, then the model's; then NULL. */
const rg_kernels *rg_test_level(int i);

#endif
