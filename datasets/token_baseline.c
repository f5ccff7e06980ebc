/*
 * Unigram and bigram counts of tokens (token_baseline.h).
 */
#include "datasets/token_baseline.h"

#include <math.h>
#include <stdlib.h>

typedef struct counts {
    int64_t entries, total;
    uint32_t *one;   /* (V) */
    uint32_t *two;   /* (V,V): before, now */
    uint32_t *past;  /* (V): pairs that begin so */
    uint32_t *kinds; /* (V): distinct codes after it */
} counts;

struct rg_token_baseline {
    int32_t n_roles, books[RG_MAX_ROLES];
    counts of[RG_MAX_ROLES][RG_TRACK_BOOKS];
};

static bool make_counts(counts *c, int64_t entries)
{
    size_t v = (size_t)entries;
    c->entries = entries;
    c->one = calloc(v * (v + 3), sizeof *c->one);
    if (!c->one) return false;
    c->past = c->one + v;
    c->kinds = c->past + v;
    c->two = c->kinds + v;
    return true;
}

static void count_song(counts *c, const uint16_t *codes, int64_t frames, int64_t books, int64_t q)
{
    for (int64_t t = 0; t < frames; t++) {
        uint16_t v = codes[t * books + q];
        c->one[v]++;
        c->total++;
        if (t == 0) continue;
        uint16_t u = codes[(t - 1) * books + q];
        c->kinds[u] += c->two[u * c->entries + v]++ == 0;
        c->past[u]++;
    }
}

rg_token_baseline *rg_token_baseline_fit(const rg_tokens *tokens, const rg_store *store,
                                         rg_split split, rg_error *err)
{
    rg_token_baseline *b = calloc(1, sizeof *b);
    bool good = b != NULL;
    for (int32_t r = 0; good && r < rg_tokens_roles(tokens); r++) {
        const rg_token_role *role = rg_tokens_role(tokens, r);
        b->n_roles = r + 1;
        b->books[r] = role->books;
        for (int32_t q = 0; good && q < role->books; q++) {
            good = make_counts(&b->of[r][q], role->entries);
            for (int64_t i = 0; good && i < rg_tokens_songs(tokens); i++) {
                const rg_token_song *s = rg_tokens_song(tokens, i);
                if (s->codes[r] && rg_store_song(store, s->song)->split == split)
                    count_song(&b->of[r][q], s->codes[r], s->frames, role->books, q);
            }
        }
    }
    if (good) return b;
    rg_fail(err, RG_ERR_NOMEM, "no memory for the bigram counts");
    rg_token_baseline_free(b);
    return NULL;
}

void rg_token_baseline_free(rg_token_baseline *baseline)
{
    if (!baseline) return;
    for (int32_t r = 0; r < RG_MAX_ROLES; r++)
        for (int32_t q = 0; q < RG_TRACK_BOOKS; q++) free(baseline->of[r][q].one);
    free(baseline);
}

static double unigram(const counts *c, int32_t v)
{
    return (c->one[v] + 0.5) / ((double)c->total + 0.5 * (double)c->entries);
}

double rg_token_unigram_bits(const rg_token_baseline *baseline, int32_t role, int32_t book,
                             int32_t v)
{
    return -log2(unigram(&baseline->of[role][book], v));
}

double rg_token_bigram_bits(const rg_token_baseline *baseline, int32_t role, int32_t book,
                            int32_t before, int32_t v)
{
    const counts *c = &baseline->of[role][book];
    double p = unigram(c, v);
    if (before < 0) return -log2(p);
    double weight = 0.5 * c->kinds[before] + 1;
    return -log2((c->two[before * c->entries + v] + weight * p) / (c->past[before] + weight));
}

int64_t rg_token_baseline_measure(const rg_token_baseline *baseline, const rg_track_batch *batch,
                                  int32_t item, double *unigram_bits, double *bigram_bits)
{
    int32_t role = batch->target, books = baseline->books[role];
    int64_t at = (int64_t)item * batch->frames, n = 0;
    const int32_t *codes = batch->codes[role] + at * books;
    for (int64_t t = 0; t < batch->frames; t++) {
        if (!batch->cells[at + t]) continue;
        n++;
        for (int32_t q = 0; q < books; q++) {
            int32_t before = t > 0 ? codes[(t - 1) * books + q] : -1, v = codes[t * books + q];
            unigram_bits[q] += rg_token_unigram_bits(baseline, role, q, v);
            bigram_bits[q] += rg_token_bigram_bits(baseline, role, q, before, v);
        }
    }
    return n;
}
