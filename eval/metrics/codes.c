/*
 * Code usage and n-gram baselines (codes.h).
 */
#include "eval/metrics/codes.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

struct rg_baseline {
    int32_t entries;
    int64_t total, pairs_total, repeats;
    int64_t *single; /* (entries) */
    int64_t *before; /* (entries): pairs that begin with the token */
    int64_t *kinds;  /* (entries): different tokens seen after it */
    int32_t *pairs;  /* (entries,entries) */
};

rg_code_usage rg_usage_of(const int64_t *counts, int32_t entries)
{
    rg_code_usage usage = {.perplexity = 1};
    double total = 0;
    for (int32_t i = 0; i < entries; i++) total += (double)counts[i];
    for (int32_t i = 0; i < entries; i++) {
        if (counts[i] <= 0) continue;
        double p = (double)counts[i] / total;
        usage.used++;
        usage.entropy -= p * log2(p);
    }
    usage.perplexity = exp2(usage.entropy);
    return usage;
}

rg_baseline *rg_baseline_create(int32_t entries, rg_error *err)
{
    rg_baseline *b = calloc(1, sizeof *b);
    size_t n = (size_t)entries;
    if (b) {
        b->entries = entries;
        b->single = calloc(n, sizeof *b->single);
        b->before = calloc(n, sizeof *b->before);
        b->kinds = calloc(n, sizeof *b->kinds);
        b->pairs = calloc(n * n, sizeof *b->pairs);
        if (b->single && b->before && b->kinds && b->pairs) return b;
    }
    rg_baseline_free(b);
    rg_fail(err, RG_ERR_NOMEM, "no memory for pair counts of %d entries", entries);
    return NULL;
}

void rg_baseline_free(rg_baseline *b)
{
    if (!b) return;
    free(b->single);
    free(b->before);
    free(b->kinds);
    free(b->pairs);
    free(b);
}

static bool inside(const rg_baseline *b, int32_t token)
{
    return token >= 0 && token < b->entries;
}

void rg_baseline_fit(rg_baseline *b, const int32_t *tokens, int64_t n, int64_t stride)
{
    int32_t last = -1;
    for (int64_t i = 0; i < n; i++) {
        int32_t token = tokens[i * stride];
        if (inside(b, token)) {
            b->single[token]++;
            b->total++;
        }
        if (inside(b, token) && inside(b, last)) {
            int32_t *pair = &b->pairs[(int64_t)last * b->entries + token];
            b->kinds[last] += *pair == 0;
            (*pair)++;
            b->before[last]++;
            b->pairs_total++;
            b->repeats += token == last;
        }
        last = token;
    }
}

static double unigram(const rg_baseline *b, int32_t token)
{
    return ((double)b->single[token] + 0.5) / ((double)b->total + 0.5 * b->entries);
}

static double bigram(const rg_baseline *b, int32_t last, int32_t token)
{
    if (!inside(b, last) || b->before[last] == 0) return unigram(b, token);
    double seen = (double)b->before[last], kinds = (double)b->kinds[last];
    return ((double)b->pairs[(int64_t)last * b->entries + token] + kinds * unigram(b, token)) /
           (seen + kinds);
}

static double copy_last(const rg_baseline *b, int32_t last, int32_t token)
{
    if (!inside(b, last)) return unigram(b, token);
    double repeat = ((double)b->repeats + 0.5) / ((double)b->pairs_total + 1),
           other = 1 - unigram(b, last);
    return token == last ? repeat : (1 - repeat) * unigram(b, token) / (other > 0 ? other : 1);
}

rg_baseline_bits rg_baseline_score(const rg_baseline *b, const int32_t *tokens, int64_t n,
                                   int64_t stride)
{
    rg_baseline_bits bits = {0};
    int32_t last = -1;
    for (int64_t i = 0; i < n; i++) {
        int32_t token = tokens[i * stride];
        if (inside(b, token)) {
            bits.unigram -= log2(unigram(b, token));
            bits.bigram -= log2(bigram(b, last, token));
            bits.copy -= log2(copy_last(b, last, token));
            bits.n++;
        }
        last = token;
    }
    double scale = bits.n > 0 ? 1.0 / (double)bits.n : NAN;
    bits.unigram *= scale;
    bits.bigram *= scale;
    bits.copy *= scale;
    return bits;
}
