/*
 * Choosing a token from logits: guidance, temperature, top-k, top-p.
 *
 * One idea: the random number of a cell is a pure function of (seed, role, frame, codebook), so
 * neither order nor threads nor what else is generated change a choice.
 */
#ifndef RG_GENERATE_SAMPLING_H
#define RG_GENERATE_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

enum { RG_MAX_CLASSES = 8192 };

typedef struct rg_sampling {
    double temperature;                           /* 0: the most likely token */
    int32_t top_k;                                /* 0: all */
    double top_p;                                 /* 0 or 1: all */
    double guidance_context, guidance_conditions; /* 1: off */
} rg_sampling;

/* Temperature 1 and top-k 250 as in MusicGen (arXiv 2306.05284), no top-p, guidance 1.5 and 2.5. */
rg_sampling rg_sampling_defaults(void);

/* Whether every number is one that sampling can go by: none negative, top_p at most 1, temperature
 * and guidance at most 100. */
bool rg_sampling_valid(const rg_sampling *sampling);

/* Uniform in [0,1) of one cell. */
double rg_cell_uniform(uint64_t seed, const char *role, int64_t frame, int32_t book);

/* out (n) = none + g_ctx (context - none) + g_cond (full - context); any two may be the same row.
 * */
void rg_guide(const float *full, const float *context, const float *none, int64_t n,
              const rg_sampling *sampling, float *out);

/* The token for a uniform u; logits (n), n <= RG_MAX_CLASSES, at least one finite. */
int32_t rg_sample_token(const float *logits, int32_t n, const rg_sampling *sampling, double u);

#endif
