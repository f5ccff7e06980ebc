/*
 * Token sampling (sampling.h).
 *
 * One idea: the order of tokens is needed only as far as the draw goes. The k largest logits are
 * found by counting digits, made a heap, and taken from it until the sum of their probabilities
 * passes the random number.
 */
#include "generate/sampling.h"

#include <assert.h>
#include <math.h>
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

/* The order of logits as that of whole numbers; what is not a number is least. */
static uint32_t order_of(float logit)
{
    uint32_t bits;
    logit = isnan(logit) ? -INFINITY : logit + 0.0F; /* -0 is 0 */
    memcpy(&bits, &logit, sizeof bits);
    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

/* How likely a token is, as a number to sort by: larger is likelier, the smaller token on ties. */
static uint64_t rank_of(float logit, int32_t token)
{
    return (uint64_t)order_of(logit) << 32 | (uint32_t)~token;
}

static int32_t token_of(uint64_t rank)
{
    return (int32_t) ~(uint32_t)rank;
}

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* The digit of the k-th largest of n digits. */
static int32_t find_digit(const uint16_t *digits, int32_t n, int32_t k)
{
    int32_t count[DIGITS] = {0}, digit = DIGITS;
    for (int32_t i = 0; i < n; i++) count[digits[i]]++;
    while (k > 0) k -= count[--digit];
    return digit;
}

/* Ranks of tokens among which the k likeliest are, by the first digit alone; returns how many. */
static int32_t collect(const float *logits, int32_t n, int32_t k, uint64_t *ranks)
{
    uint16_t digits[RG_MAX_CLASSES];
    int32_t found = 0;
    for (int32_t i = 0; i < n; i++)
        digits[i] = (uint16_t)(order_of(logits[i]) >> (32 - DIGIT_BITS));
    const int32_t least = k < n ? find_digit(digits, n, k) : 0;
    for (int32_t i = 0; i < n; i++) {
        ranks[found] = rank_of(logits[i], i);
        found += digits[i] >= least;
    }
    return found;
}

/* Moves the k largest of a (n), all different, to its front: digit by digit. */
static void select_largest(uint64_t *a, int32_t n, int32_t k)
{
    uint64_t same[RG_MAX_CLASSES];
    uint16_t digits[RG_MAX_CLASSES];
    for (int shift = 64 - DIGIT_BITS; k < n; shift -= DIGIT_BITS) {
        int32_t front = 0, n_same = 0;
        if (shift < 0) shift = 0;
        for (int32_t i = 0; i < n; i++) digits[i] = (uint16_t)(a[i] >> shift & (DIGITS - 1));
        const int32_t digit = find_digit(digits, n, k);
        for (int32_t i = 0; i < n; i++)
            if (digits[i] > digit)
                a[front++] = a[i];
            else if (digits[i] == digit)
                same[n_same++] = a[i];
        memcpy(a + front, same, (size_t)n_same * sizeof *a);
        a += front, k -= front, n = n_same;
    }
}

/* The largest of a heap below `at` goes down to its place. */
static void sift(uint64_t *heap, int32_t n, int32_t at)
{
    const uint64_t rank = heap[at];
    for (int32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1] > heap[child]) child++;
        if (heap[child] < rank) break;
        heap[at] = heap[child];
    }
    heap[at] = rank;
}

static void make_heap(uint64_t *heap, int32_t n)
{
    for (int32_t i = n / 2; i-- > 0;) sift(heap, n, i);
}

static uint64_t take_largest(uint64_t *heap, int32_t n)
{
    const uint64_t largest = heap[0];
    heap[0] = heap[n - 1];
    sift(heap, n - 1, 0);
    return largest;
}

/* Unnormalised, against the likeliest. */
static double weight_of(float logit, float best, double temperature)
{
    return isfinite(logit) ? exp(((double)logit - best) / temperature) : 0;
}

/*
 * Draws from a heap of n tokens by u. From the likeliest down, until the sum of weights passes u of
 * all (or top_p of all; then u of those): what is unlikely is never put in order.
 */
static int32_t draw(uint64_t *heap, int32_t n, const float *logits, const rg_sampling *s, double u)
{
    const bool nucleus = s->top_p > 0 && s->top_p < 1;
    const int32_t likeliest = token_of(heap[0]);
    const float best = logits[likeliest];
    int32_t token[RG_MAX_CLASSES], kept = 0;
    double weight[RG_MAX_CLASSES], total = 0, sum = 0;
    for (int32_t i = 0; i < n; i++)
        total += weight_of(logits[token_of(heap[i])], best, s->temperature);
    const double enough = nucleus ? s->top_p * total : total;
    while (kept < n && (kept == 0 || sum < enough)) {
        token[kept] = token_of(take_largest(heap, n - kept));
        weight[kept] = weight_of(logits[token[kept]], best, s->temperature);
        sum += weight[kept++];
        if (!nucleus && sum > u * total) return token[kept - 1];
    }
    const double point = u * sum;
    sum = 0;
    for (int32_t i = 0; i < kept; i++)
        if ((sum += weight[i]) > point) return token[i];
    return likeliest; /* rounding left u above the sum */
}

static int32_t likeliest_of(const float *logits, int32_t n)
{
    int32_t best = 0;
    uint32_t most = order_of(logits[0]);
    for (int32_t i = 1; i < n; i++) {
        const uint32_t order = order_of(logits[i]);
        if (order > most) most = order, best = i;
    }
    return best;
}

int32_t rg_sample_token(const float *logits, int32_t n, const rg_sampling *sampling, double u)
{
    uint64_t ranks[RG_MAX_CLASSES] = {0}; /* the compiler cannot know that n > 0 */
    assert(n > 0 && n <= RG_MAX_CLASSES);
    if (!(sampling->temperature > 0)) return likeliest_of(logits, n);
    const int32_t kept = sampling->top_k > 0 && sampling->top_k < n ? sampling->top_k : n;
    select_largest(ranks, collect(logits, n, kept, ranks), kept);
    make_heap(ranks, kept);
    return draw(ranks, kept, logits, sampling, u);
}
