/*
 * Fréchet distance of two Gaussians (distribution.h): |m1 - m2|^2 + tr C1 + tr C2 - 2 tr sqrt(C1
 * C2), where tr sqrt(C1 C2) is the sum of roots of the eigenvalues of S C2 S, S = sqrt(C1).
 *
 * One idea: both eigenproblems are symmetric, so Jacobi rotations in double precision do.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "eval/metrics/distribution.h"

enum { D = RG_EMBEDDING_SIZE, SWEEPS = 40 };
typedef double matrix[D][D];

static void moments(const rg_embeddings *set, double mean[D], matrix c)
{
    memset(mean, 0, D * sizeof(double));
    memset(c, 0, sizeof(matrix));
    for (int64_t r = 0; r < set->n; r++)
        for (int i = 0; i < D; i++) mean[i] += set->rows[r * D + i] / (double)set->n;
    for (int64_t r = 0; r < set->n; r++) {
        const float *row = set->rows + r * D;
        for (int i = 0; i < D; i++)
            for (int j = 0; j <= i; j++) c[i][j] += (row[i] - mean[i]) * (row[j] - mean[j]);
    }
    for (int i = 0; i < D; i++)
        for (int j = 0; j <= i; j++) c[i][j] = c[j][i] = c[i][j] / (double)(set->n - 1);
}

/* Zeroes a[p][q] by a rotation, in a and in the vectors v (columns). */
static void rotate(matrix a, matrix v, int p, int q)
{
    if (fabs(a[p][q]) < 1e-300) return;
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]),
           t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1)),
           c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < D; k++) {
        double x = a[k][p], y = a[k][q];
        a[k][p] = c * x - s * y;
        a[k][q] = s * x + c * y;
    }
    for (int k = 0; k < D; k++) {
        double x = a[p][k], y = a[q][k];
        a[p][k] = c * x - s * y;
        a[q][k] = s * x + c * y;
        x = v[k][p];
        y = v[k][q];
        v[k][p] = c * x - s * y;
        v[k][q] = s * x + c * y;
    }
}

static double off_diagonal(matrix a)
{
    double sum = 0;
    for (int i = 0; i < D; i++)
        for (int j = 0; j < i; j++) sum += a[i][j] * a[i][j];
    return sum;
}

/* a becomes diagonal (eigenvalues), v the eigenvectors in columns. */
static void eigen(matrix a, matrix v)
{
    memset(v, 0, sizeof(matrix));
    for (int i = 0; i < D; i++) v[i][i] = 1;
    for (int sweep = 0; sweep < SWEEPS && off_diagonal(a) > 1e-22; sweep++)
        for (int p = 0; p < D; p++)
            for (int q = p + 1; q < D; q++) rotate(a, v, p, q);
}

static void multiply(matrix a, matrix b, matrix out)
{
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            double sum = 0;
            for (int k = 0; k < D; k++) sum += a[i][k] * b[k][j];
            out[i][j] = sum;
        }
}

/* c becomes its symmetric square root; v and t are room to work in. */
static void square_root(matrix c, matrix v, matrix t)
{
    eigen(c, v);
    double root[D];
    for (int i = 0; i < D; i++) root[i] = sqrt(fmax(0, c[i][i]));
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            double sum = 0;
            for (int k = 0; k < D; k++) sum += v[i][k] * root[k] * v[j][k];
            t[i][j] = sum;
        }
    memcpy(c, t, sizeof(matrix));
}

/* A reference's moments and the root of its covariance, and room for three matrices. */
typedef struct frechet {
    double mean[D], trace;
    matrix root, other, v, t;
} frechet;

static frechet *prepare(const rg_embeddings *reference, rg_error *err)
{
    frechet *f = malloc(sizeof *f);
    if (!f) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for FAD");
        return NULL;
    }
    f->trace = 0;
    moments(reference, f->mean, f->root);
    for (int i = 0; i < D; i++) f->trace += f->root[i][i];
    square_root(f->root, f->v, f->t);
    return f;
}

static double distance(frechet *f, const rg_embeddings *other)
{
    double mean[D], sum = f->trace;
    moments(other, mean, f->other);
    for (int i = 0; i < D; i++)
        sum += f->other[i][i] + (f->mean[i] - mean[i]) * (f->mean[i] - mean[i]);
    multiply(f->root, f->other, f->v);
    multiply(f->v, f->root, f->t);
    eigen(f->t, f->v);
    for (int i = 0; i < D; i++) sum -= 2 * sqrt(fmax(0, f->t[i][i]));
    return sum;
}

rg_status rg_fad(const rg_embeddings *reference, const rg_embeddings *other, double *fad,
                 rg_error *err)
{
    *fad = NAN;
    if (reference->n < 2 || other->n < 2) return RG_OK;
    frechet *f = prepare(reference, err);
    if (!f) return err->code;
    *fad = distance(f, other);
    free(f);
    return RG_OK;
}

/* ---- without the bias of small sets ---- */

enum { SIZES = 6, LEAST_ROWS = 16 };

/* Rows in a random order: the first n are a sample of n. */
static void shuffle(rg_embeddings *set, uint64_t seed)
{
    float row[D];
    rg_rng rng = rg_rng_make(seed, 0x666164);
    for (int64_t i = set->n - 1; i > 0; i--) {
        int64_t j = (int64_t)rg_rng_below(&rng, (uint64_t)i + 1);
        memcpy(row, set->rows + i * D, sizeof row);
        memcpy(set->rows + i * D, set->rows + j * D, sizeof row);
        memcpy(set->rows + j * D, row, sizeof row);
    }
}

/* Least squares y = limit + slope x. */
static void fit_line(const double *x, const double *y, int n, rg_fad_limit *out)
{
    double mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
    for (int i = 0; i < n; i++) {
        mx += x[i] / n;
        my += y[i] / n;
    }
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
        yy += (y[i] - my) * (y[i] - my);
    }
    out->slope = xy / xx;
    out->limit = my - out->slope * mx;
    out->r2 = yy > 0 ? xy * xy / (xx * yy) : 1;
}

rg_status rg_fad_infinity(const rg_embeddings *reference, const rg_embeddings *other, uint64_t seed,
                          rg_fad_limit *out, rg_error *err)
{
    double x[SIZES], y[SIZES];
    *out = (rg_fad_limit){NAN, NAN, NAN, other->n >= RG_FAD_LEAST};
    if (reference->n < 2 || other->n < LEAST_ROWS) return RG_OK;
    rg_embeddings sample = {.n = other->n, .capacity = other->n};
    size_t bytes = (size_t)(other->n * D) * sizeof(float);
    sample.rows = malloc(bytes);
    frechet *f = sample.rows ? prepare(reference, err) : NULL;
    if (f) {
        memcpy(sample.rows, other->rows, bytes);
        shuffle(&sample, seed);
        for (int i = 0; i < SIZES; i++) {
            sample.n = other->n * (SIZES - 1 + 3 * i) / (4 * (SIZES - 1)); /* a quarter to all */
            x[i] = 1 / (double)sample.n;
            y[i] = distance(f, &sample);
        }
        fit_line(x, y, SIZES, out);
    }
    free(sample.rows);
    rg_status status = f ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for FAD");
    free(f);
    return status;
}
