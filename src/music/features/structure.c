/*
 * Sections by novelty (structure.h).
 */
#include "music/features/structure.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { REACH = 4 };
/* Bars of one section differ by less than this from their neighbours. */
static const double least_novelty = 0.05, clear_novelty = 0.4;

/* 1 - cosine of the sums of REACH rows before and behind row i. */
static double novelty_at(const float *rows, int64_t n, int32_t width, int64_t i)
{
    double ab = 0, aa = 0, bb = 0;
    for (int32_t c = 0; c < width; c++) {
        double a = 0, b = 0;
        for (int64_t k = 1; k <= REACH; k++) {
            if (i - k >= 0) a += rows[(i - k) * width + c];
            if (i + k - 1 < n) b += rows[(i + k - 1) * width + c];
        }
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    if (!(aa > 0) || !(bb > 0)) return aa > 0 || bb > 0;
    return 1 - ab / sqrt(aa * bb);
}

static bool is_boundary(const double *novelty, int64_t n, int64_t i, double least)
{
    if (!(novelty[i] > least)) return false;
    for (int64_t k = i - REACH + 1; k < i + REACH; k++)
        if (k >= 0 && k < n && (novelty[k] > novelty[i] || (k < i && novelty[k] == novelty[i])))
            return false;
    return true;
}

rg_status rg_sections_of(const float *rows, int64_t n, int32_t width, const double *starts_s,
                         double end_s, rg_section **sections, int64_t *count, rg_error *err)
{
    double *novelty = calloc((size_t)n + 1, sizeof *novelty), sum = 0, square = 0;
    *sections = calloc((size_t)(n / REACH + 2), sizeof **sections);
    *count = 0;
    if (!novelty || !*sections) {
        free(novelty);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for sections");
    }
    for (int64_t i = REACH; i + REACH <= n; i++) {
        novelty[i] = novelty_at(rows, n, width, i);
        sum += novelty[i];
        square += novelty[i] * novelty[i];
    }
    double mean = sum / fmax(1, (double)n),
           least = mean + sqrt(fmax(0, square / fmax(1, (double)n) - mean * mean));
    (*sections)[(*count)++] = (rg_section){0, end_s, 1};
    for (int64_t i = REACH; i + REACH <= n; i++) {
        if (!is_boundary(novelty, n, i, fmax(least, least_novelty))) continue;
        (*sections)[*count - 1].end_s = starts_s[i];
        (*sections)[(*count)++] =
            (rg_section){starts_s[i], end_s, fmin(1, novelty[i] / clear_novelty)};
    }
    free(novelty);
    return RG_OK;
}
