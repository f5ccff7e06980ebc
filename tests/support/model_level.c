/*
 * The AMX level on the model of its tile unit (model_level.h).
 *
 * One idea: an rg_isa and a table of slots are values, so a level can be put together here.
 */
#include "model_level.h"

#include <pthread.h>

#include "tile_model.h"

#define UNIT_CONFIGURE(p) rg_tile_model_configure(p)
#define UNIT_RELEASE() rg_tile_model_release()
#define UNIT_ZERO(t) rg_tile_model_zero(t)
#define UNIT_LOAD(t, p, pitch) rg_tile_model_load(t, p, pitch)
#define UNIT_STORE(t, p, pitch) rg_tile_model_store(t, p, pitch)
#define UNIT_MULTIPLY(c, a, b) rg_tile_model_multiply(c, a, b)
#include "kernels/cpu/gemm_amx.inc"

const rg_tiles rg_model_tiles = {
    .mr = BLOCK, .k_step = STEP, .width = {32, 16, 0}, .tile = {pairs_32, pairs_16}};

/* A level's tiles are as wide as each other at the widest: AVX2's are 16 columns wide. */
static const rg_tiles narrow = {.mr = BLOCK, .k_step = STEP, .width = {16, 0}, .tile = {pairs_16}};

static rg_isa model;
#define RG_ISA model
#include "kernels/cpu/bind.inc"

static rg_kernels table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    const rg_isa *best = rg_cpu_best_isa();
    const char *const *names = rg_kernels_cpu_levels();
    if (!best) return;
    model = *best;
    model.name = "amx-model";
    model.fast = RG_BF16;
    model.bf16 = best->f32->width[0] == rg_model_tiles.width[0] ? &rg_model_tiles : &narrow;
    while (names[1]) names++;
    table = *rg_kernels_cpu_level(*names);
    fill_products(&table);
}

const rg_isa *rg_model_isa(void)
{
    pthread_once(&once, fill);
    return model.name ? &model : NULL;
}

const rg_kernels *rg_model_kernels(void)
{
    return rg_model_isa() ? &table : NULL;
}

const rg_kernels *rg_test_level(int i)
{
    const char *const *names = rg_kernels_cpu_levels();
    int levels = 0;
    while (names[levels]) levels++;
    if (i < levels) return rg_kernels_cpu_level(names[i]);
    return i == levels ? rg_model_kernels() : NULL;
}
