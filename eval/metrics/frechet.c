/*
 * Fréchet distance of two Gaussians (distribution.h): |m1 - m2|^2 + tr C1 + tr C2 - 2 tr sqrt(C1
 * C2), where tr sqrt(C1 C2) is the sum of roots of the eigenvalues of S C2 S, S = sqrt(C1).
 *
 * One idea: both eigenproblems are symmetric, so Jacobi rotations in double precision do.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

rg_status rg_fad(const rg_embeddings *reference, const rg_embeddings *other, double *fad,
                 rg_error *err)
{
    *fad = NAN;
    if (reference->n < 2 || other->n < 2) return RG_OK;
    matrix *m = malloc(4 * sizeof(matrix));
    if (!m) return rg_fail(err, RG_ERR_NOMEM, "no memory for FAD");
    double mean1[D], mean2[D], sum = 0;
    moments(reference, mean1, m[0]);
    moments(other, mean2, m[1]);
    for (int i = 0; i < D; i++)
        sum += m[0][i][i] + m[1][i][i] + (mean1[i] - mean2[i]) * (mean1[i] - mean2[i]);
    square_root(m[0], m[2], m[3]);
    multiply(m[0], m[1], m[2]);
    multiply(m[2], m[0], m[3]);
    eigen(m[3], m[2]);
    for (int i = 0; i < D; i++) sum -= 2 * sqrt(fmax(0, m[3][i][i]));
    free(m);
    *fad = sum;
    return RG_OK;
}
