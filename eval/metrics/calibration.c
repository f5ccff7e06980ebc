/*
 * Accuracy and calibration (calibration.h).
 */
#include "eval/metrics/calibration.h"

#include <math.h>

void rg_calibration_add(rg_calibration *c, const float *logits, int32_t n, int32_t truth)
{
    int32_t best = 0;
    double sum = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    for (int32_t i = 0; i < n; i++) sum += exp((double)logits[i] - logits[best]);
    double confidence = 1 / sum;
    int bin = (int)(confidence * RG_CALIBRATION_BINS);
    if (bin >= RG_CALIBRATION_BINS) bin = RG_CALIBRATION_BINS - 1;
    c->n[bin]++;
    c->right[bin] += best == truth;
    c->confidence[bin] += confidence;
}

void rg_calibration_merge(rg_calibration *into, const rg_calibration *from)
{
    for (int i = 0; i < RG_CALIBRATION_BINS; i++) {
        into->n[i] += from->n[i];
        into->right[i] += from->right[i];
        into->confidence[i] += from->confidence[i];
    }
}

typedef struct totals {
    double n, right, confidence, apart;
} totals;

static totals add_bins(const rg_calibration *c)
{
    totals t = {0};
    for (int i = 0; i < RG_CALIBRATION_BINS; i++) {
        t.n += (double)c->n[i];
        t.right += (double)c->right[i];
        t.confidence += c->confidence[i];
        t.apart += fabs(c->confidence[i] - (double)c->right[i]);
    }
    return t;
}

double rg_calibration_top1(const rg_calibration *c)
{
    totals t = add_bins(c);
    return t.n > 0 ? t.right / t.n : NAN;
}

double rg_calibration_error(const rg_calibration *c)
{
    totals t = add_bins(c);
    return t.n > 0 ? t.apart / t.n : NAN;
}

double rg_calibration_excess(const rg_calibration *c)
{
    totals t = add_bins(c);
    return t.n > 0 ? (t.confidence - t.right) / t.n : NAN;
}
