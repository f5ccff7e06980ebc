/*
 * Token sampling (sampling.h).
 */
#include "generate/sampling.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"

rg_sampling rg_sampling_defaults(void)
{
    return (rg_sampling){
        .temperature = 1, .top_k = 250, .guidance_context = 1.5, .guidance_conditions = 2.5};
}

bool rg_sampling_valid(const rg_sampling *s)
{
    const double high = 100;
    return s->temperature >= 0 && s->temperature <= high && s->top_k >= 0 && s->top_p >= 0 &&
           s->top_p <= 1 && s->guidance_context >= 0 && s->guidance_context <= high &&
           s->guidance_conditions >= 0 && s->guidance_conditions <= high;
}

double rg_cell_uniform(uint64_t seed, const char *role, int64_t frame, int32_t book)
{
    uint32_t out[4];
    uint64_t name = rg_xxh3(role, strlen(role));
    rg_philox(seed, rg_rng_stream(name, (uint64_t)book, 0), (uint64_t)frame, out);
    uint64_t bits = (uint64_t)out[0] << 32 | out[1];
    return (double)(bits >> 11) * 0x1p-53;
}

void rg_guide(const float *full, const float *context, const float *none, int64_t n,
              const rg_sampling *sampling, float *out)
{
    float g_ctx = (float)sampling->guidance_context, g_cond = (float)sampling->guidance_conditions;
    for (int64_t i = 0; i < n; i++)
        out[i] = none[i] + g_ctx * (context[i] - none[i]) + g_cond * (full[i] - context[i]);
}

typedef struct choice {
    float logit;
    int32_t token;
} choice;

/* Most likely first; the smaller token on ties; what is not a number last. */
static int by_likelihood(const void *a, const void *b)
{
    const choice *x = a, *y = b;
    float lx = isnan(x->logit) ? -INFINITY : x->logit, ly = isnan(y->logit) ? -INFINITY : y->logit;
    if (lx != ly) return lx < ly ? 1 : -1;
    return (x->token > y->token) - (x->token < y->token);
}

/* How many of the sorted choices top-k and top-p leave; p (n) receives their probabilities. */
static int32_t keep_likely(const choice *sorted, int32_t n, const rg_sampling *s, double *p)
{
    int32_t kept = s->top_k > 0 && s->top_k < n ? s->top_k : n;
    double total = 0, reached = 0;
    for (int32_t i = 0; i < kept; i++) {
        double z = ((double)sorted[i].logit - sorted[0].logit) / s->temperature;
        p[i] = isfinite(sorted[i].logit) ? exp(z) : 0;
        total += p[i];
    }
    for (int32_t i = 0; i < kept; i++) p[i] /= total;
    if (!(s->top_p > 0 && s->top_p < 1)) return kept;
    for (int32_t i = 0; i < kept; i++) {
        reached += p[i];
        if (reached >= s->top_p) kept = i + 1;
    }
    for (int32_t i = 0; i < kept; i++) p[i] /= reached;
    return kept;
}

int32_t rg_sample_token(const float *logits, int32_t n, const rg_sampling *sampling, double u)
{
    choice sorted[RG_MAX_CLASSES];
    double p[RG_MAX_CLASSES], sum = 0;
    assert(n > 0 && n <= RG_MAX_CLASSES);
    for (int32_t i = 0; i < n; i++) sorted[i] = (choice){logits[i], i};
    qsort(sorted, (size_t)n, sizeof *sorted, by_likelihood);
    if (!(sampling->temperature > 0)) return sorted[0].token;
    int32_t kept = keep_likely(sorted, n, sampling, p);
    for (int32_t i = 0; i < kept; i++)
        if ((sum += p[i]) > u) return sorted[i].token;
    return sorted[0].token; /* rounding left u above the sum */
}
