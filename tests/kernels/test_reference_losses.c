/*
 * Facts about the reference kernels of audio, losses, the quantizer and the optimizer.
 *
 * One idea: as in test_reference.c, values by hand, independent formulas and invariants.
 */
#include "kernel_facts.h"
#include "kernels/gpu.h"

#define RVQ_TENSORS(x_, books_, codes_, q_, commit_, dcommit_) \
    .x = x_, .books = books_, .codes = codes_, .q = q_, .commit = commit_, .dcommit = dcommit_
#define RVQ_SIZES(rows_, dim_, entries_, books, used) \
    .rows = rows_, .dim = dim_, .entries = entries_, .n_books = books, .n_q = used
#define STFT_SIZES(batch_, in, frames_, length, hop_) \
    .batch = batch_, .t_in = in, .frames = frames_, .n_fft = length, .hop = hop_
#define PADS(left, right, mode) .pad_left = left, .pad_right = right, .pad_mode = mode

START_TEST(test_softmax_ce)
{
    const double logits[] = {0, 0, 0, 0, /**/ 1, 2, 3, 4, /**/ 1000, 0, 0, NAN, /**/ 0, 700, 0, 0};
    const int32_t targets[] = {2, 0, -1, 1};
    const float weight[] = {1, 2, 5, 1};
    double loss[1], nll[4], d[16];
    rg_softmax_ce_args a = {.logits = logits,
                            .targets = targets,
                            .weight = weight,
                            .loss = loss,
                            .nll = nll,
                            .dlogits = d,
                            .rows = 4,
                            .classes = 4};
    RUN(softmax_ce, &a);
    const double first = log(4), second = log(1 + exp(1) + exp(2) + exp(3));
    EXPECT(nll, first, second, 0, 0);
    EXPECT(loss, (first + 2 * second) / 4);
    EXPECT(d, 0.0625, 0.0625, -0.1875, 0.0625);
    for (int m = 0; m < 4; m++)
        RG_ASSERT_NEAR(d[m * 4] + d[m * 4 + 1] + d[m * 4 + 2] + d[m * 4 + 3], 0, 1e-15);
    RG_ASSERT_NEAR(d[4], 0.5 * (exp(-second) - 1), 1e-12);
    RG_ASSERT_NEAR(d[7], 0.5 * exp(3 - second), 1e-12);
    EXPECT(d + 8, 0, 0, 0, 0); /* an ignored row, whatever it holds */
    a.weight = NULL;
    RUN(softmax_ce, &a);
    EXPECT(loss, (first + second) / 3);
}
END_TEST

START_TEST(test_softmax_ce_edges)
{
    const double logits[] = {1, 2, 3};
    int32_t targets[] = {-1};
    double loss[1] = {7}, d[3] = {7, 7, 7};
    rg_softmax_ce_args a = {
        .logits = logits, .targets = targets, .loss = loss, .dlogits = d, .rows = 1, .classes = 3};
    RUN(softmax_ce, &a);
    EXPECT(loss, 0);
    EXPECT(d, 0, 0, 0);
    targets[0] = 3;
    rg_kernel_ctx *ctx = facts_ctx();
    ck_assert_int_eq(facts_k()->softmax_ce(ctx, &a), RG_ERR_SHAPE);
    ck_assert_str_eq(ctx->error->text, "target 3 at row 0: there are 3 classes");
    a.rows = 0, loss[0] = 7;
    RUN(softmax_ce, &a);
    EXPECT(loss, 0);
}
END_TEST

START_TEST(test_rvq_by_hand)
{
    const double x[] = {2.9, 0.2, -1, -1}, books[] = {0, 0, 3, 0, -2, -2, /**/ 0, 0.5, 1, 1, 1, 1};
    int32_t codes[] = {7, 7, 9, 7, 7, 9};
    double q[4], commit[1], dcommit[4], residuals[8];
    rg_rvq_args a = {RVQ_TENSORS(x, books, codes, q, commit, dcommit), RVQ_SIZES(2, 2, 3, 3, 2),
                     .residuals = residuals};
    RUN(rvq, &a); /* the second row ties between entries 0 and 2 of the first book */
    const int32_t want[] = {1, 0, 9, 0, 0, 9};
    ck_assert_mem_eq(codes, want, sizeof want);
    EXPECT(q, 3, 0.5, 0, 0.5);
    EXPECT(residuals, 2.9, 0.2, -1, -1, -0.1, 0.2, -1, -1);
    /* left over: (-0.1 0.2)(-0.1 -0.3); (-1 -1)(-1 -1.5) */
    EXPECT(commit, (0.01 + 0.04 + 0.01 + 0.09 + 1 + 1 + 1 + 2.25) / 8);
    EXPECT(dcommit, -0.2 / 4, -0.1 / 4, -2.0 / 4, -2.5 / 4);
}
END_TEST

START_TEST(test_rvq_fixed)
{
    const double x[] = {1, 1}, books[] = {0.5, 0, 2, 2, /**/ 0.25, 1, 3, 3};
    int32_t codes[] = {0, -1};
    double q[2], commit[1], dcommit[2];
    rg_rvq_args a = {RVQ_TENSORS(x, books, codes, q, commit, dcommit), RVQ_SIZES(1, 2, 2, 2, 2),
                     .fixed_codes = true};
    RUN(rvq, &a);
    EXPECT(q, 0.5, 0);
    EXPECT(commit, 1.25 / 4);
    EXPECT(dcommit, 0.25, 0.5);
    codes[0] = -1, codes[1] = 1; /* the chain ends at its first negative code */
    RUN(rvq, &a);
    EXPECT(q, 0, 0);
    EXPECT(commit, 0);
    codes[0] = 2;
    rg_kernel_ctx *ctx = facts_ctx();
    ck_assert_int_eq(facts_k()->rvq(ctx, &a), RG_ERR_SHAPE);
    ck_assert_str_eq(ctx->error->text, "code 2 at row 0, book 0: the book has 2 entries");
    a.fixed_codes = false, a.entries = 0;
    ck_assert_int_eq(facts_k()->rvq(facts_ctx(), &a), RG_ERR_SHAPE);
    a.rows = 0, commit[0] = 7;
    RUN(rvq, &a);
    EXPECT(commit, 0);
    a.rows = 1, a.n_q = 0; /* no book: nothing coded, nothing committed */
    RUN(rvq, &a);
    EXPECT(q, 0, 0);
    EXPECT(dcommit, 0, 0);
}
END_TEST

/* d commit / dx by differences, codes held. */
START_TEST(test_rvq_gradient)
{
    enum { N = 3, D = 4, V = 5, K = 3 };
    double x[N * D], books[K * V * D], q[N * D], commit[2], dcommit[N * D];
    int32_t codes[N * K];
    facts_random(x, COUNT(x), 1), facts_random(books, COUNT(books), 2);
    rg_rvq_args a = {RVQ_TENSORS(x, books, codes, q, commit, dcommit), RVQ_SIZES(N, D, V, K, K)};
    RUN(rvq, &a);
    a.fixed_codes = true, a.dcommit = NULL;
    for (int i = 0; i < N * D; i++) {
        const double kept = x[i], h = 1e-4;
        for (int side = 0; side < 2; side++) {
            x[i] = kept + (side ? h : -h);
            a.commit = &commit[side];
            RUN(rvq, &a);
        }
        x[i] = kept;
        RG_ASSERT_NEAR((commit[1] - commit[0]) / (2 * h), dcommit[i], 1e-9);
    }
}
END_TEST

/* Sample i of a signal as the STFT sees it: padded, then zeros. */
static double padded(const double *x, int t, int i, int left, int right, rg_pad mode)
{
    if (i < -left || i >= t + right) return 0;
    if (i < 0) return mode == RG_PAD_REFLECT ? x[-i] : 0;
    if (i >= t) return mode == RG_PAD_REFLECT ? x[t - 2 - (i - t)] : 0;
    return x[i];
}

START_TEST(test_stft_naive)
{
    enum { B = 2, T = 23, N = 12, HOP = 5, F = 6, BINS = N / 2 + 1 };
    double x[B * T], y[B * F * BINS * 2];
    facts_random(x, COUNT(x), 1);
    for (int mode = 0; mode < RG_PAD_COUNT; mode++) {
        rg_stft_args a = {STFT_SIZES(B, T, F, N, HOP), PADS(3, 4, (rg_pad)mode), .x = x, .y = y,
                          .scale = 0.7};
        RUN(stft.forward, &a);
        for (int i = 0; i < B * F * BINS; i++) {
            const int b = i / (F * BINS), f = i / BINS % F, k = i % BINS;
            double re = 0, im = 0;
            for (int j = 0; j < N; j++) {
                const double s = padded(x + b * T, T, f * HOP - 3 + j, 3, 4, (rg_pad)mode) *
                                 sin(M_PI * j / N) * sin(M_PI * j / N) * 0.7;
                re += s * cos(2 * M_PI * j * k / N), im -= s * sin(2 * M_PI * j * k / N);
            }
            RG_ASSERT_NEAR(y[2 * i], re, 1e-12);
            RG_ASSERT_NEAR(y[2 * i + 1], im, 1e-12);
        }
    }
}
END_TEST

/* <stft x, y> = <x, stft' y>. */
START_TEST(test_stft_adjoint)
{
    enum { T = 50, N = 16, F = 12, NY = F * (N / 2 + 1) * 2 };
    double x[T], y[NY], sx[NY], sy[T];
    facts_random(x, T, 1), facts_random(y, NY, 2);
    rg_stft_grad_args g = {.fwd = {STFT_SIZES(1, T, F, N, 4), PADS(6, 6, RG_PAD_REFLECT), .x = x,
                                   .y = sx, .scale = 0.3},
                           .dy = y,
                           .dx = sy};
    RUN(stft.forward, &g.fwd);
    RUN(stft.grad, &g);
    RG_ASSERT_NEAR(facts_dot(sx, y, NY), facts_dot(x, sy, T), 1e-12);
}
END_TEST

/* A constant has N/2 in bin 0, -N/4 in bin 1 and nothing above; power, bank and logarithm. */
START_TEST(test_spectrogram)
{
    enum { N = 8, BINS = 5 };
    double x[N], y[BINS], log_y[2], banded[2];
    const double bank[BINS * 2] = {1, 0, 0, 10, 0, 0, 0, 0, 0.5, 0};
    for (int i = 0; i < N; i++) x[i] = 2;
    rg_spectrogram_args a = {.stft = {STFT_SIZES(1, N, 1, N, N), .x = x, .scale = 0.5},
                             .power = 2,
                             .log_floor = 0.25,
                             .y = y};
    RUN(spectrogram.forward, &a);
    EXPECT(y, 16, 4, 0, 0, 0);
    a.power = 1;
    RUN(spectrogram.forward, &a);
    EXPECT(y, sqrt(16 + 1e-12), sqrt(4 + 1e-12), 1e-6, 1e-6, 1e-6);
    a.power = 2, a.bank = bank, a.n_bands = 2, a.y = banded, a.log_y = log_y;
    RUN(spectrogram.forward, &a);
    EXPECT(banded, 16, 40);
    EXPECT(log_y, log10(16.25), log10(40.25));
}
END_TEST

START_TEST(test_distance)
{
    const double a[] = {1, 2, -3, 0}, b[] = {0, 4, -3, 2}, dy[] = {8};
    double y[1], da[4];
    rg_distance_grad_args g = {
        .fwd = {.a = a, .b = b, .y = y, .batch = 2, .n = 2, .eps = 0.5}, .dy = dy, .da = da};
    RUN(distance.forward, &g.fwd);
    EXPECT(y, 5.0 / 4);
    RUN(distance.grad, &g);
    EXPECT(da, 2, -2, 0, -2);
    g.fwd.kind = RG_DISTANCE_MSE;
    RUN(distance.forward, &g.fwd);
    EXPECT(y, 9.0 / 4);
    RUN(distance.grad, &g);
    EXPECT(da, 4, -8, 0, -8);
    g.fwd.kind = RG_DISTANCE_RELATIVE_MSE;
    RUN(distance.forward, &g.fwd);
    EXPECT(y, (5.0 / 17 + 4.0 / 14) / 2);
    RUN(distance.grad, &g);
    EXPECT(da, 8.0 / 17, -16.0 / 17, 0, -16.0 / 14);
    g.fwd.kind = RG_DISTANCE_RELATIVE_L1;
    RUN(distance.forward, &g.fwd);
    EXPECT(y, (3.0 / 5 + 2.0 / 6) / 2);
    RUN(distance.grad, &g);
    EXPECT(da, 4.0 / 5, -4.0 / 5, 0, -4.0 / 6);
    g.fwd.n = 0, y[0] = 7;
    RUN(distance.forward, &g.fwd);
    EXPECT(y, 0);
}
END_TEST

START_TEST(test_add_and_reduce)
{
    const double a[] = {1, 2, 3, 4, 5, 6}, b[] = {10, 20};
    double y[6], db[2] = {1, 1};
    rg_add_args args = {.a = a, .b = b, .y = y, .n = 6, .n_b = 2, .alpha = 2, .beta = -1};
    RUN(add.forward, &args);
    EXPECT(y, -8, -16, -4, -12, 0, -8);
    args.a = y, args.b = NULL; /* in place */
    RUN(add.forward, &args);
    EXPECT(y, -16, -32, -8, -24, 0, -16);
    rg_reduce_args r = {.dy = a, .db = db, .n = 6, .n_b = 2, .scale = 0.5};
    RUN(add.grad, &r);
    EXPECT(db, 4.5, 6);
    r.add_db = true;
    RUN(add.grad, &r);
    EXPECT(db, 9, 12);
}
END_TEST

START_TEST(test_copy)
{
    const double src[] = {1, 2, 3, 4, 5, 6};
    double dst[] = {9, 9, 9, 9, 9, 9, 9, 9};
    rg_copy_args a = {.src = src, .dst = dst + 1, .rows = 2, .cols = 2, .ld_src = 3, .ld_dst = 4};
    RUN(copy, &a);
    EXPECT(dst, 9, 1, 2, 9, 9, 4, 5, 9);
    a.add = true;
    RUN(copy, &a);
    EXPECT(dst, 9, 2, 4, 9, 9, 8, 10, 9);
}
END_TEST

/* The share that is kept, what is kept, and the draw as documented. */
START_TEST(test_dropout)
{
    enum { N = 40001 };
    static double x[N], y[N];
    facts_random(x, N, 1);
    rg_dropout_args a = {.x = x, .y = y, .n = N, .p = 0.25, .seed = 5, .stream = 6};
    RUN(dropout, &a);
    int kept = 0;
    for (int i = 0; i < N; i++) {
        uint32_t words[4];
        rg_philox(5, 6, (uint64_t)i / 4, words);
        const bool keep = words[i % 4] >= 1u << 30;
        RG_ASSERT_NEAR(y[i], keep ? x[i] / 0.75 : 0, 1e-12);
        kept += keep;
    }
    RG_ASSERT_NEAR((double)kept / N, 0.75, 0.01);
    a.stream = 7;
    double other[8];
    a.y = other, a.n = 8;
    RUN(dropout, &a);
    int differing = 0;
    for (int i = 0; i < 8; i++) differing += (other[i] == 0) != (y[i] == 0);
    ck_assert_int_gt(differing, 0);
    a.p = 1;
    RUN(dropout, &a);
    const double zeros[8] = {0};
    EXPECT_ALL(other, zeros, 8, 0);
}
END_TEST

/* |w[:,a,:]| = |g[a]|; the scale of v does not matter, so dv is at right angles to v. */
START_TEST(test_weight_norm)
{
    enum { O = 3, N = 4, I = 2, ALL = O * N * I };
    double v[ALL], g[N] = {1, -2, 3, 0.5}, w[ALL], w2[ALL], v2[ALL], dw[ALL], dg[N], dv[ALL];
    facts_random(v, ALL, 1), facts_random(dw, ALL, 2);
    for (int i = 0; i < ALL; i++) v2[i] = 3 * v[i];
    rg_weight_norm_args a = {
        .v = v, .g = g, .w = w, .dw = dw, .dg = dg, .dv = dv, .outer = O, .n = N, .inner = I};
    RUN(weight_norm.forward, &a);
    RUN(weight_norm.grad, &a);
    a.v = v2, a.w = w2;
    RUN(weight_norm.forward, &a);
    EXPECT_ALL(w2, w, ALL, 1e-12);
    for (int n = 0; n < N; n++) {
        double square = 0, angle = 0, along = 0;
        for (int i = 0; i < O * I; i++) {
            const int at = (i / I * N + n) * I + i % I;
            square += w[at] * w[at], angle += v[at] * dv[at], along += dw[at] * w[at] / g[n];
            ck_assert_msg(w[at] * v[at] * g[n] > 0, "w points the wrong way");
        }
        RG_ASSERT_NEAR(sqrt(square), fabs(g[n]), 1e-12);
        RG_ASSERT_NEAR(angle, 0, 1e-12);
        RG_ASSERT_NEAR(dg[n], along, 1e-12);
    }
}
END_TEST

/* dv by differences of <dw, w(v)>. */
START_TEST(test_weight_norm_gradient)
{
    double v[6], g[] = {1.5, -2, 0.5}, w[2][6], dw[6], dv[6];
    facts_random(v, 6, 3), facts_random(dw, 6, 4);
    rg_weight_norm_args a = {.v = v, .g = g, .dw = dw, .dv = dv, .outer = 2, .n = 3, .inner = 1};
    RUN(weight_norm.grad, &a);
    for (int i = 0; i < 6; i++) {
        const double kept = v[i], h = 1e-5;
        for (int side = 0; side < 2; side++) {
            v[i] = kept + (side ? h : -h), a.w = w[side];
            RUN(weight_norm.forward, &a);
        }
        v[i] = kept;
        RG_ASSERT_NEAR((facts_dot(dw, w[1], 6) - facts_dot(dw, w[0], 6)) / (2 * h), dv[i], 1e-8);
    }
}
END_TEST

/* The first step moves by lr against the sign of g, whatever its size; decay is apart from it. */
START_TEST(test_adamw_first_step)
{
    float w[] = {1, 1, 2}, m[3] = {0}, v[3] = {0}, ema[] = {0, 0, 0};
    float g[] = {0.5F, -8, 0};
    const uint8_t decay[] = {0, 1, 1};
    rg_adamw_now now = {.rate = 0.1F,
                        .grad_scale = 0.25F,
                        .inverse1 = 10,
                        .inverse2 = 100,
                        .ema = 0.75F,
                        .ema_rest = 0.25F,
                        .nonfinite = 99};
    rg_adamw_args a = {.w = w,
                       .m = m,
                       .v = v,
                       .ema = ema,
                       .g = g,
                       .decay = decay,
                       .n = 3,
                       .beta1 = 0.9,
                       .beta2 = 0.99,
                       .eps = 1e-9,
                       .weight_decay = 0.5,
                       .now = &now,
                       .at = 7};
    RUN(adamw, &a);
    RG_ASSERT_NEAR(w[0], 1 - 0.1, 1e-6);
    RG_ASSERT_NEAR(w[1], 1 + 0.1 - 0.1 * 0.5, 1e-6);
    RG_ASSERT_NEAR(w[2], 2 - 0.1 * 0.5 * 2, 1e-6);
    RG_ASSERT_NEAR(m[1], 0.1 * -2, 1e-7);
    RG_ASSERT_NEAR(v[1], 0.01 * 4, 1e-7);
    RG_ASSERT_NEAR(ema[0], 0.25 * 0.9, 1e-6);
    a.ema = NULL, a.decay = NULL, a.eps = 0.5;
    now.inverse1 = 1 / 0.19F, now.inverse2 = 1 / 0.0199F;
    RUN(adamw, &a); /* m 0.02375, v 0.00031093750 of w[0]; decay everywhere */
    RG_ASSERT_NEAR(m[0], 0.9 * 0.0125 + 0.1 * 0.125, 1e-7);
    RG_ASSERT_NEAR(v[0], 0.99 * 0.00015625 + 0.01 * 0.015625, 1e-8);
    RG_ASSERT_NEAR(w[0], 0.9 - 0.1 * (0.125 / (0.125 + 0.5) + 0.5 * 0.9), 1e-6);
    RG_ASSERT_NEAR(ema[0], 0.225, 1e-6);
    const float before[] = {w[0], m[1], v[2]};
    g[1] = g[2] = -INFINITY, now.skip = 1;
    RUN(adamw, &a);
    ck_assert(w[0] == before[0] && m[1] == before[1] && v[2] == before[2]);
    ck_assert_int_eq(now.nonfinite, 7 + 1);
}
END_TEST

/* Of the second update: unscaled, clipped, bias corrections of t = 2, an average that begins. */
START_TEST(test_adamw_begin)
{
    rg_adamw_now now = {.lr = 0.1, .divisor = 2, .scale = 4, .step = 1, .good_steps = 2};
    double squares = 64 * 9;
    const rg_adamw_begin_args a = {.rules = {.beta1 = 0.9,
                                             .beta2 = 0.99,
                                             .clip_norm = 1.5,
                                             .ema_decay = 0.99,
                                             .scaled = true,
                                             .growth = 2,
                                             .backoff = 0.5,
                                             .interval = 3},
                                   .sum_squares = &squares,
                                   .n_sums = 1,
                                   .now = &now};
    RUN(adamw_begin, &a);
    ck_assert(!now.skip && now.step == 2 && now.good_steps == 0 && now.scale == 8);
    ck_assert(now.grad_norm == 3 && now.rate == 0.1F && now.grad_scale == 0.0625F);
    RG_ASSERT_NEAR(now.inverse1, 1 / 0.19, 1e-6);
    RG_ASSERT_NEAR(now.inverse2, 1 / 0.0199, 1e-5);
    RG_ASSERT_NEAR(now.ema, 2.0 / 11, 1e-7);
    RG_ASSERT_NEAR(now.ema_rest, 9.0 / 11, 1e-7);
    squares = NAN;
    RUN(adamw_begin, &a);
    ck_assert(now.skip && now.step == 2 && now.skipped == 1 && now.scale == 4 && now.seed == 4);
}
END_TEST

START_TEST(test_norm)
{
    float g[] = {3, -4, 0};
    double squares;
    bool finite;
    rg_norm_args a = {.g = g, .n = 3, .sum_squares = &squares, .finite = &finite};
    RUN(norm, &a);
    ck_assert(squares == 25 && finite);
    g[0] = INFINITY;
    RUN(norm, &a);
    ck_assert(!finite);
    g[0] = 3, g[2] = NAN;
    RUN(norm, &a);
    ck_assert(!finite);
    a.n = 0;
    RUN(norm, &a);
    ck_assert(squares == 0 && finite);
    double each[3] = {0};
    g[2] = 2;
    a = (rg_norm_args){.g = g, .n = 1, .ranges = 3, .sum_squares = each};
    RUN(norm, &a);
    ck_assert(each[0] == 9 && each[1] == 16 && each[2] == 4);
}
END_TEST

/* The float table is the double one rounded: sums do not drift with length. */
START_TEST(test_float_table)
{
    enum { K = 100000 };
    float *x = malloc(K * sizeof *x), y[1];
    for (int i = 0; i < K; i++) x[i] = 0.1F;
    rg_linear_args a = {.x = x, .w = x, .y = y, .rows = 1, .c_in = K, .c_out = 1};
    ck_assert_int_eq(rg_kernels_reference()->linear.forward(facts_ctx(), &a), RG_OK);
    ck_assert(y[0] == (float)(K * (double)0.1F * 0.1F));
    free(x);
    ck_assert_int_eq(rg_kernels_reference()->real, RG_F32);
    ck_assert_int_eq(rg_kernels_reference64()->real, RG_F64);
    ck_assert_int_eq((int)facts_k()->matrix.packed_size(3, 4, RG_F32), 0);
}
END_TEST

START_TEST(test_no_cuda)
{
    rg_error err = {0};
    if (rg_gpu_count(&err) > 0) return; /* this machine has one: its own tests speak */
    ck_assert_int_ne(err.code, RG_OK);
    ck_assert_msg(strstr(err.text, "cuda") != NULL, "%s", err.text);
}
END_TEST

RG_TEST_MAIN("reference losses", 60, test_softmax_ce, test_softmax_ce_edges, test_rvq_by_hand,
             test_rvq_fixed, test_rvq_gradient, test_stft_naive, test_stft_adjoint,
             test_spectrogram, test_distance, test_add_and_reduce, test_copy, test_dropout,
             test_weight_norm, test_weight_norm_gradient, test_adamw_first_step, test_adamw_begin,
             test_norm, test_float_table, test_no_cuda)
