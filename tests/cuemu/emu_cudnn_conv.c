/*
 * What cuDNN's plans compute where kernels run in the emulator (emu_cudnn.c).
 *
 * One idea: both directions are one walk over pairs of a window's cell and an output, with sums in
 * float; which of x and y is the sum decides the direction.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "cuemu_control.h"
#include "emu_cudnn.h"
#include "emu_numbers.h"

/* There under the checker: device memory that somebody wrote. */
void cuemu_check_written(const void *p, size_t n, const void *source) __attribute__((weak));

/* Numbers of the type as floats; zeros where they are to be summed. */
static float *unfold(const char *p, int64_t n, cudaDataType_t type, bool zeros)
{
    float *out = calloc((size_t)n, sizeof *out);
    if (!out) abort();
    for (int64_t i = 0; i < n && !zeros; i++) out[i] = get(p, (uint64_t)i, type);
    return out;
}

static void fold(char *p, const float *from, int64_t n, cudaDataType_t type)
{
    for (int64_t i = 0; i < n; i++) put(p, (uint64_t)i, type, from[i]);
    if (cuemu_check_written) cuemu_check_written(p, (size_t)n * 2, NULL);
}

/* One tap of one output: cell (c) of x, taps (K rows, `apart` floats from each other), out (K). */
static void meet(const cuemu_conv *v, float *cell, const float *tap, int64_t apart, float *out)
{
    for (int64_t k = 0; k < v->k; k++) {
        const float *w = tap + k * apart;
        float sum = 0;
        for (int64_t i = 0; i < v->c && v->way == 0; i++) sum += cell[i] * w[i];
        for (int64_t i = 0; i < v->c && v->way == 1; i++) cell[i] += out[k] * w[i];
        if (v->way == 0) out[k] += sum;
    }
}

static void walk(const cuemu_conv *v, float *x, const float *w, float *y)
{
    const int64_t taps = v->taps[0] * v->taps[1], outputs = v->batch * v->y[0] * v->y[1];
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t t = 0; t < taps; t++) {
            const int64_t at[2] = {o / v->y[1] % v->y[0], o % v->y[1]},
                          tap[2] = {t / v->taps[1], t % v->taps[1]};
            const int64_t b = o / v->y[1] / v->y[0];
            const int64_t r = at[0] * v->stride[0] - v->before[0] + tap[0] * v->dilation[0],
                          q = at[1] * v->stride[1] - v->before[1] + tap[1] * v->dilation[1];
            if (r < 0 || r >= v->x[0] || q < 0 || q >= v->x[1]) continue;
            meet(v, x + ((b * v->x[0] + r) * v->x[1] + q) * v->c, w + t * v->c, taps * v->c,
                 y + o * v->k);
        }
}

static void convolve(void *arg)
{
    cuemu_conv *v = arg;
    const int64_t n_x = v->batch * v->x[0] * v->x[1] * v->c,
                  n_w = v->k * v->taps[0] * v->taps[1] * v->c,
                  n_y = v->batch * v->y[0] * v->y[1] * v->k;
    float *x = unfold(v->px, n_x, v->type, v->way == 1 && !v->add),
          *w = unfold(v->pw, n_w, v->type, false),
          *y = unfold(v->py, n_y, v->type, v->way == 0 && !v->add);
    walk(v, x, w, y);
    memset(v->workspace, 0xff, (size_t)v->workspace_bytes); /* whoever keeps anything there loses */
    if (v->way == 0) fold(v->py, y, n_y, v->type);
    if (v->way == 1) fold(v->px, x, n_x, v->type);
    free(x), free(w), free(y), free(v);
}

void cuemu_enqueue_conv(cudaStream_t stream, const cuemu_conv *conv)
{
    cuemu_conv *copy = malloc(sizeof *copy);
    if (!copy) abort();
    *copy = *conv;
    cuemu_enqueue(stream, convolve, copy);
}
