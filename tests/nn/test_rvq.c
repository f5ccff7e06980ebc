/*
 * The quantizer's codebooks: k-means finds clusters, averages follow, dead entries come back.
 */
#include "nn/rvq.h"

#include "nn/kmeans.h"
#include "test.h"

enum { DIM = 4, ENTRIES = 16, VECTORS = 256, BOOKS = 2 };

typedef struct fixture {
    rg_pool *pool;
    rg_exec *ex;
    rg_params *params;
    rg_quantizer *q;
} fixture;

static fixture make(int32_t threads, int32_t entries, int32_t books)
{
    rg_error err = {0};
    fixture f = {.pool = rg_pool_create(threads, 0, false, &err)};
    f.ex = rg_exec_create(
        &(rg_exec_options){.kernels = rg_kernels_cpu(&err), .pool = f.pool, .seed = 1}, &err);
    ck_assert_msg(f.ex != NULL, "%s", err.text);
    f.params = rg_params_create(&err);
    f.q = rg_quantizer_declare(f.params, "quantizer.", books, entries, DIM);
    RG_ASSERT_OK(rg_params_finish(f.params, f.ex, 1, true, &err), &err);
    return f;
}

static void drop(fixture *f)
{
    rg_quantizer_destroy(f->q);
    rg_params_destroy(f->params);
    rg_exec_destroy(f->ex);
    rg_pool_destroy(f->pool);
}

/* n vectors around `centres` well separated points, `spread` wide. */
static void cluster(float *out, int64_t n, int32_t centres, float spread, uint64_t step)
{
    rg_rng rng = rg_rng_make(5, step);
    for (int64_t i = 0; i < n; i++) {
        int32_t c = (int32_t)(i % centres);
        for (int32_t d = 0; d < DIM; d++) {
            float at = (float)((c >> d) & 1) * 8 + (float)(c / 16) * 16;
            out[i * DIM + d] = at + spread * (float)rg_rng_normal(&rng);
        }
    }
}

START_TEST(kmeans_finds_separate_clusters)
{
    fixture f = make(1, ENTRIES, 1);
    float x[VECTORS * DIM], centres[4 * DIM], counts[4];
    int32_t codes[VECTORS];
    cluster(x, VECTORS, 4, 0.1F, 0);
    /* Lloyd's rounds may stop in a poor corner from some starts; they must not from all. */
    double best = INFINITY;
    for (uint64_t start = 0; start < 8; start++) {
        ck_assert_int_eq(
            rg_kmeans(f.ex, x, VECTORS, DIM, 4, 50, rg_rng_make(start, 0), centres, counts, codes),
            RG_OK);
        double error = 0, total = 0;
        for (int64_t i = 0; i < VECTORS * DIM; i++) {
            double d = (double)x[i] - (double)centres[codes[i / DIM] * DIM + i % DIM];
            error += d * d / VECTORS;
        }
        for (int32_t k = 0; k < 4; k++) total += (double)counts[k];
        ck_assert_double_eq(total, VECTORS);
        best = fmin(best, error);
    }
    RG_ASSERT_NEAR(best, 4 * 0.01, 0.01);
    drop(&f);
}
END_TEST

START_TEST(kmeans_takes_fewer_vectors_than_centres_and_refuses_nan)
{
    fixture f = make(1, ENTRIES, 1);
    float x[3 * DIM], centres[8 * DIM], counts[8];
    int32_t codes[3];
    cluster(x, 3, 3, 0.1F, 0);
    ck_assert_int_eq(rg_kmeans(f.ex, x, 3, DIM, 8, 50, rg_rng_make(1, 0), centres, counts, codes),
                     RG_OK);
    for (int32_t i = 0; i < 3 * DIM; i++) {
        RG_ASSERT_NEAR((double)centres[codes[i / DIM] * DIM + i % DIM], (double)x[i], 1e-6);
    }
    x[5] = NAN;
    ck_assert_int_eq(rg_kmeans(f.ex, x, 3, DIM, 8, 50, rg_rng_make(1, 0), centres, counts, codes),
                     RG_ERR_NUMERIC);
    ck_assert(strstr(f.ex->error.text, "vector 1") != NULL);
    drop(&f);
}
END_TEST

/* As many centres as vectors: each is drawn once, so nothing is left over. Copies of one vector
 * leave centres without any: they stay. */
START_TEST(kmeans_draws_without_replacement_and_keeps_empty_centres)
{
    enum { N = 40 };
    fixture f = make(1, ENTRIES, 1);
    float x[N * DIM], centres[N * DIM], counts[N];
    int32_t codes[N];
    for (uint64_t seed = 0; seed < 5; seed++) {
        cluster(x, N, N, 0.5F, seed);
        ck_assert_int_eq(
            rg_kmeans(f.ex, x, N, DIM, N, 1, rg_rng_make(seed, 0), centres, counts, codes), RG_OK);
        for (int32_t k = 0; k < N; k++) RG_ASSERT_NEAR((double)counts[k], 1, 0);
    }
    for (int32_t i = 0; i < N * DIM; i++) x[i] = (float)(i / DIM % 2) + (float)(i % DIM);
    ck_assert_int_eq(rg_kmeans(f.ex, x, N, DIM, 6, 50, rg_rng_make(1, 0), centres, counts, codes),
                     RG_OK);
    int32_t empty = 0;
    for (int32_t k = 0; k < 6; k++) {
        empty += !(counts[k] > 0);
        float first = centres[k * DIM];
        ck_assert(!(fabsf(first) > 0) || !(fabsf(first - 1) > 0)); /* one of the two vectors */
    }
    ck_assert_int_eq(empty, 4);
    drop(&f);
}
END_TEST

/* One step by hand: moving averages, Laplace smoothing, and what a dead entry becomes. */
START_TEST(a_step_follows_its_formulas)
{
    enum { V = 4, M = 8 };
    fixture f = make(1, V, 1);
    float *books = f.q->books->data, *sums = f.q->sums->data, *sizes = f.q->cluster_size->data;
    float x[M * DIM], old_sums[V * DIM], old_sizes[V] = {3, 1, 0.001F, 2};
    int32_t codes[M];
    cluster(x, M, M, 1, 3);
    for (int32_t i = 0; i < V * DIM; i++) old_sums[i] = sums[i] = (float)(i + 1);
    for (int32_t i = 0; i < M; i++) codes[i] = i % 2 ? 0 : 3; /* nobody takes 1 and 2 */
    memcpy(sizes, old_sizes, sizeof old_sizes);
    rg_quantizer_update update = {
        .decay = 0.9, .epsilon = 1e-3, .dead_threshold = 0.1, .seed = 1, .step = 1};
    int64_t revived;
    ck_assert_int_eq(rg_quantizer_learn(f.q, f.ex, codes, x, M, 1, &update, &revived), RG_OK);
    ck_assert_int_eq(revived, 1);
    double want_size[V], want_sum[V][DIM], total = 0;
    for (int32_t v = 0; v < V; v++) {
        double chosen[DIM] = {0};
        int32_t count = 0;
        for (int32_t i = 0; i < M; i++) {
            if (codes[i] != v) continue;
            count++;
            for (int32_t d = 0; d < DIM; d++) chosen[d] += (double)x[i * DIM + d];
        }
        want_size[v] = 0.9 * (double)old_sizes[v] + 0.1 * count;
        for (int32_t d = 0; d < DIM; d++)
            want_sum[v][d] = 0.9 * (double)old_sums[v * DIM + d] + 0.1 * chosen[d];
        total += want_size[v];
    }
    for (int32_t v = 0; v < V; v++) {
        if (v == 2) continue;
        double smoothed = (want_size[v] + 1e-3) / (total + V * 1e-3) * total;
        RG_ASSERT_NEAR((double)sizes[v], want_size[v], 1e-6);
        for (int32_t d = 0; d < DIM; d++) {
            RG_ASSERT_NEAR((double)sums[v * DIM + d], want_sum[v][d], 1e-5);
            RG_ASSERT_NEAR((double)books[v * DIM + d], want_sum[v][d] / smoothed, 1e-5);
        }
    }
    bool taken = false;
    for (int32_t i = 0; i < M; i++) taken |= !memcmp(books + 2 * DIM, x + i * DIM, DIM * sizeof *x);
    ck_assert(taken);
    RG_ASSERT_NEAR((double)sizes[2], (double)M / V, 0);
    RG_ASSERT_NEAR((double)sums[2 * DIM], (double)books[2 * DIM] * M / V, 1e-6);
    drop(&f);
}
END_TEST

/* One step on vectors x: search, then learn; the mean squared error before learning. */
static double step(fixture *f, const float *x, int64_t n, uint64_t number, int64_t *revived)
{
    rg_quantizer_update update = {
        .decay = 0.99, .epsilon = 1e-5, .dead_threshold = 0.1, .seed = 1, .step = number};
    rg_step_begin(f->ex, number);
    rg_tensor *in = rg_tensor_from_floats(f->ex, RG_SHAPE(1, n, DIM), x);
    rg_rvq_out out = rg_rvq(f->ex, in, f->q->books, NULL, f->q->n_books);
    ck_assert_msg(out.codes != NULL, "%s", f->ex->error.text);
    double error = 0;
    for (int64_t i = 0; i < n * DIM; i++) {
        double d = (double)x[i] - rg_tensor_get(out.quantized, i);
        error += d * d / (double)n;
    }
    ck_assert_int_eq(rg_quantizer_learn(f->q, f->ex, out.codes->data, out.residuals->data, n,
                                        f->q->n_books, &update, revived),
                     RG_OK);
    return error;
}

START_TEST(codebooks_start_and_learn)
{
    fixture f = make(2, ENTRIES, BOOKS);
    static float x[VECTORS * 10 * DIM];
    int64_t revived;
    cluster(x, VECTORS * 10, ENTRIES, 1, 0);
    ck_assert(!rg_quantizer_started(f.q));
    rg_step_begin(f.ex, 0);
    ck_assert_int_eq(rg_quantizer_start(f.q, f.ex, x, VECTORS * 10, VECTORS, 3), RG_OK);
    ck_assert(rg_quantizer_started(f.q));
    double before = step(&f, x, VECTORS, 1, &revived), after = 0, perplexity;
    ck_assert_msg(before < DIM, "error %g of unit noise around %d clusters", before, ENTRIES);
    /* The clusters move away; the averages follow. */
    for (uint64_t s = 2; s < 400; s++) {
        cluster(x, VECTORS, ENTRIES, 1, s);
        for (int32_t i = 0; i < VECTORS * DIM; i++) x[i] += 3;
        after = step(&f, x, VECTORS, s, &revived);
    }
    ck_assert_msg(after < DIM, "error %g after the clusters moved", after);
    ck_assert(rg_quantizer_usage(f.q, 0, 0.1, &perplexity) >= ENTRIES - 2);
    ck_assert(perplexity > 10);
    drop(&f);
}
END_TEST

/* Half of the entries lie out of reach, with sums that would pull a replacement back there: all are
 * used again, and stay so. */
START_TEST(half_dead_codebook_recovers)
{
    fixture f = make(1, ENTRIES, 1);
    static float x[VECTORS * DIM];
    float *books = f.q->books->data, *sums = f.q->sums->data, *sizes = f.q->cluster_size->data;
    rg_rng rng = rg_rng_make(2, 2);
    for (int32_t i = 0; i < ENTRIES * DIM; i++) {
        books[i] = (float)rg_rng_normal(&rng) + (i / DIM < ENTRIES / 2 ? 0 : 1000);
        sizes[i / DIM] = i / DIM < ENTRIES / 2 ? 2.0F * VECTORS / ENTRIES : 1;
        sums[i] = books[i] * sizes[i / DIM];
    }
    int64_t revived, total = 0, late = 0;
    double perplexity;
    for (uint64_t s = 0; s < 200; s++) {
        rg_rng draw = rg_rng_make(3, s);
        for (int32_t i = 0; i < VECTORS * DIM; i++) x[i] = (float)rg_rng_normal(&draw);
        step(&f, x, VECTORS, s, &revived);
        if (s == 0) ck_assert_int_eq(revived, ENTRIES / 2);
        total += revived;
        late += s > 20 ? revived : 0;
    }
    ck_assert_int_eq(rg_quantizer_usage(f.q, 0, 0.1, &perplexity), ENTRIES);
    ck_assert_msg(perplexity > 12, "perplexity %g of %d entries", perplexity, ENTRIES);
    ck_assert_msg(late == 0, "%lld of %lld revivals came after step 20", (long long)late,
                  (long long)total);
    for (int32_t i = 0; i < ENTRIES * DIM; i++) ck_assert(fabsf(books[i]) < 10);
    drop(&f);
}
END_TEST

START_TEST(threads_do_not_change_bits)
{
    static float x[VECTORS * DIM], kept[2][BOOKS * ENTRIES * DIM];
    for (int32_t run = 0; run < 2; run++) {
        fixture f = make(run ? 3 : 1, ENTRIES, BOOKS);
        int64_t revived;
        cluster(x, VECTORS, ENTRIES, 2, 0);
        rg_step_begin(f.ex, 0);
        ck_assert_int_eq(rg_quantizer_start(f.q, f.ex, x, VECTORS, VECTORS, 3), RG_OK);
        for (uint64_t s = 1; s < 20; s++) {
            cluster(x, VECTORS, ENTRIES, 2, s);
            step(&f, x, VECTORS, s, &revived);
        }
        memcpy(kept[run], f.q->books->data, sizeof kept[run]);
        drop(&f);
    }
    ck_assert_mem_eq(kept[0], kept[1], sizeof kept[0]);
}
END_TEST

START_TEST(usage_of_counts)
{
    int64_t counts[2 * 4] = {5, 5, 5, 5, 7, 0, 0, 0}, used[2];
    double perplexity[2];
    rg_codebook_usage(counts, 2, 4, used, perplexity);
    ck_assert_int_eq(used[0], 4);
    ck_assert_int_eq(used[1], 1);
    RG_ASSERT_NEAR(perplexity[0], 4, 1e-9);
    RG_ASSERT_NEAR(perplexity[1], 1, 1e-9);
}
END_TEST

RG_TEST_MAIN("nn/rvq", 60, kmeans_finds_separate_clusters,
             kmeans_takes_fewer_vectors_than_centres_and_refuses_nan,
             kmeans_draws_without_replacement_and_keeps_empty_centres, a_step_follows_its_formulas,
             codebooks_start_and_learn, half_dead_codebook_recovers, threads_do_not_change_bits,
             usage_of_counts)
