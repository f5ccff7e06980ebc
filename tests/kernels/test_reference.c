/*
 * Facts about the reference kernels of networks: values by hand, independent formulas, invariants.
 *
 * One idea: nothing here is computed the way the kernel computes it. Gradients are checked by
 * differences in test_gradients.c; audio, quantizer and losses in test_reference_losses.c.
 */
#include "kernel_facts.h"

/* The fields that conv1d and conv_tr1d name alike; those of conv2d come in pairs. */
#define TENSORS(x_, w_, bias_, y_) .x = x_, .w = w_, .bias = bias_, .y = y_
#define CHANNELS(in, out) .c_in = in, .c_out = out
#define STEPS(batch_, in, out) .batch = batch_, .t_in = in, .t_out = out
#define HEIGHT_WIDTH(what, h, w) .what##_h = h, .what##_w = w
#define PIXELS(what, h, w) .h_##what = h, .w_##what = w

#define LSTM_WEIGHTS(w_ih_, w_hh_, bias_) .w_ih = w_ih_, .w_hh = w_hh_, .bias = bias_
#define LSTM_SIZES(batch_, steps_, in, out) \
    .batch = batch_, .steps = steps_, .c_in = in, .hidden = out

#define QKV(q_, k_, v_) .q = q_, .k = k_, .v = v_
#define PITCHES(q, k, v) .ld_q = q, .ld_k = k, .ld_v = v
#define HEADS(batch_, heads_, q, k, d) \
    .batch = batch_, .heads = heads_, .t_q = q, .t_k = k, .head_dim = d

START_TEST(test_linear)
{
    const double x[] = {1, 2, 3, -1, 0, 2}, w[] = {1, 0.5, -1, 2, 0.25, -2}, bias[] = {10, 20};
    double y[4], pre[4];
    rg_linear_args a = {.x = x, .w = w, .bias = bias, .y = y, .rows = 2, .c_in = 3, .c_out = 2};
    RUN(linear.forward, &a);
    EXPECT(y, 9.75, 18.5, 9.5, 15.5);
    a.bias = NULL, a.pre = pre, a.act = RG_ACT_ELU;
    RUN(linear.forward, &a);
    EXPECT(pre, -0.25, -1.5, -0.5, -4.5);
    EXPECT(y, expm1(-0.25), expm1(-1.5), expm1(-0.5), expm1(-4.5));
}
END_TEST

START_TEST(test_activations)
{
    const double x[] = {-2, -0.5, 0, 0.5, 1};
    double y[5];
    rg_activation_args a = {.x = x, .y = y, .n = 5, .act = RG_ACT_ELU};
    RUN(activation.forward, &a);
    EXPECT(y, -0.864664716763387, -0.393469340287367, 0, 0.5, 1);
    a.act = RG_ACT_GELU; /* x times the normal distribution's share below x */
    RUN(activation.forward, &a);
    EXPECT(y, -0.0455002638963584, -0.154268769362906, 0, 0.345731230637094, 0.841344746068543);
    a.act = RG_ACT_LEAKY_RELU, a.slope = 0.1;
    RUN(activation.forward, &a);
    EXPECT(y, -0.2, -0.05, 0, 0.5, 1);
    a.act = RG_ACT_NONE;
    RUN(activation.forward, &a);
    EXPECT_ALL(y, x, 5, 0);
}
END_TEST

/* At the kink the left derivative: at 0, ELU 1, leaky ReLU its slope; where fused, the fused one.
 * */
START_TEST(test_kinks)
{
    const double x[] = {0}, dy[] = {3};
    double dx[1];
    rg_activation_grad_args g = {
        .fwd = {.x = x, .n = 1, .act = RG_ACT_LEAKY_RELU, .slope = 0.1}, .dy = dy, .dx = dx};
    RUN(activation.grad, &g);
    EXPECT(dx, 0.3);
    g.fwd.act = RG_ACT_ELU;
    RUN(activation.grad, &g);
    EXPECT(dx, 3);
    const double minus[] = {-2}, one[] = {1};
    double y[1];
    rg_linear_args a = {.x = minus, .w = one, .y = y, .rows = 1, .c_in = 1, .c_out = 1};
    a.act = RG_ACT_LEAKY_RELU;
    RUN(linear.forward, &a);
    EXPECT(y, -2 * RG_FUSED_LEAKY_SLOPE);
}
END_TEST

START_TEST(test_conv1d_by_hand)
{
    const double x[] = {1, 2, 3, 4, 5}, w[] = {1, 10, 100}, bias[] = {0.5};
    double y[5];
    rg_conv1d_args a = {
        TENSORS(x, w, bias, y), STEPS(1, 5, 5), CHANNELS(1, 1), .kernel = 3, .stride = 1,
        .dilation = 1,          .pad_left = 2};
    RUN(conv1d.forward, &a);
    EXPECT(y, 100.5, 210.5, 321.5, 432.5, 543.5);
    a.pad_mode = RG_PAD_REFLECT;
    RUN(conv1d.forward, &a); /* 3 2 | 1 2 3 4 5 */
    EXPECT(y, 123.5, 212.5, 321.5, 432.5, 543.5);
    a.pad_left = a.pad_right = 1;
    RUN(conv1d.forward, &a); /* 2 | 1 2 3 4 5 | 4 */
    EXPECT(y, 212.5, 321.5, 432.5, 543.5, 454.5);
    a.bias = NULL, a.pad_mode = RG_PAD_ZERO, a.dilation = 2, a.stride = 2, a.t_out = 2;
    RUN(conv1d.forward, &a); /* 0 | 1 2 3 4 5 | 0 read at -1 1 3 and 1 3 5 */
    EXPECT(y, 420, 42);
}
END_TEST

START_TEST(test_conv1d_channels)
{
    const double x[] = {1, 2, /**/ -3, 4},
                 w[] = {1, 2, 3, /**/ 4, 5, 6, /**/ 7, 8, 9, /**/ 1, 0, 2};
    double y[3];
    rg_conv1d_args a = {
        TENSORS(x, w, NULL, y), STEPS(1, 2, 1), CHANNELS(2, 3), .kernel = 2, .stride = 1,
        .dilation = 1};
    RUN(conv1d.forward, &a);
    EXPECT(y, 1 + 8 - 21 + 4, 2 + 10 - 24, 3 + 12 - 27 + 8);
    a.act_in = RG_ACT_ELU;
    RUN(conv1d.forward, &a);
    EXPECT(y, 9 + 7 * expm1(-3) + 4, 12 + 8 * expm1(-3), 15 + 9 * expm1(-3) + 8);
}
END_TEST

/* conv_tr1d is the adjoint of conv1d with w's channels exchanged: <conv x, y> = <x, conv' y>. */
START_TEST(test_conv_tr1d_adjoint)
{
    enum { B = 2, T = 11, C = 3, O = 4, K = 5, S = 2, TO = 5 };
    double x[B * T * C], y[B * TO * O], w[K * C * O], w_tr[K * O * C], cx[B * TO * O],
        cy[B * T * C];
    facts_random(x, COUNT(x), 1), facts_random(y, COUNT(y), 2), facts_random(w, COUNT(w), 3);
    for (int k = 0; k < K; k++)
        for (int c = 0; c < C; c++)
            for (int o = 0; o < O; o++) w_tr[(k * O + o) * C + c] = w[(k * C + c) * O + o];
    rg_conv1d_args a = {
        TENSORS(x, w, NULL, cx), STEPS(B, T, TO), CHANNELS(C, O), .kernel = K, .stride = S,
        .dilation = 1,           .pad_left = 2};
    rg_conv_tr1d_args t = {TENSORS(y, w_tr, NULL, cy),
                           STEPS(B, TO, T),
                           CHANNELS(O, C),
                           .kernel = K,
                           .stride = S,
                           .trim_left = 2};
    RUN(conv1d.forward, &a);
    RUN(conv_tr1d.forward, &t);
    RG_ASSERT_NEAR(facts_dot(cx, y, COUNT(y)), facts_dot(x, cy, COUNT(x)), 1e-12);
}
END_TEST

START_TEST(test_conv_tr1d_by_hand)
{
    const double x[] = {1, -2}, w[] = {1, 10, 100, 1000}, bias[] = {0.5};
    double y[6];
    rg_conv_tr1d_args a = {TENSORS(x, w, bias, y), STEPS(1, 2, 6), CHANNELS(1, 1), .kernel = 4,
                           .stride = 2};
    RUN(conv_tr1d.forward, &a);
    EXPECT(y, 1.5, 10.5, 98.5, 980.5, -199.5, -1999.5);
    a.trim_left = 1, a.t_out = 3, a.act_in = RG_ACT_ELU;
    const double e = expm1(-2);
    RUN(conv_tr1d.forward, &a);
    EXPECT(y, 10.5, 100.5 + e, 1000.5 + 10 * e);
}
END_TEST

/* A conv2d with one row, or one column, is a conv1d. */
START_TEST(test_conv2d_as_conv1d)
{
    enum { T = 9, C = 2, O = 3, K = 3, TO = 5 };
    double x[T * C], w[K * C * O], bias[O], y1[TO * O], y2[TO * O];
    facts_random(x, COUNT(x), 1), facts_random(w, COUNT(w), 2), facts_random(bias, O, 3);
    rg_conv1d_args a = {
        TENSORS(x, w, bias, y1), STEPS(1, T, TO), CHANNELS(C, O), .kernel = K, .stride = 2,
        .dilation = 2,           .pad_left = 2,   .pad_right = 2};
    rg_conv2d_args row = {TENSORS(x, w, bias, y2),
                          .batch = 1,
                          CHANNELS(C, O),
                          PIXELS(in, 1, T),
                          PIXELS(out, 1, TO),
                          HEIGHT_WIDTH(kernel, 1, K),
                          HEIGHT_WIDTH(stride, 1, 2),
                          HEIGHT_WIDTH(dilation, 1, 2),
                          HEIGHT_WIDTH(pad, 0, 2)};
    rg_conv2d_args column = {TENSORS(x, w, bias, y2),
                             .batch = 1,
                             CHANNELS(C, O),
                             PIXELS(in, T, 1),
                             PIXELS(out, TO, 1),
                             HEIGHT_WIDTH(kernel, K, 1),
                             HEIGHT_WIDTH(stride, 2, 1),
                             HEIGHT_WIDTH(dilation, 2, 1),
                             HEIGHT_WIDTH(pad, 2, 0)};
    RUN(conv1d.forward, &a);
    RUN(conv2d.forward, &row);
    EXPECT_ALL(y2, y1, COUNT(y1), 1e-12);
    memset(y2, 0, sizeof y2);
    RUN(conv2d.forward, &column);
    EXPECT_ALL(y2, y1, COUNT(y1), 1e-12);
}
END_TEST

/* One lit pixel stamps the kernel, turned by half, around itself; the second item is dark. */
START_TEST(test_conv2d_stamp)
{
    double x[2 * 4 * 5] = {0}, w[6], y[2 * 4 * 5];
    for (int i = 0; i < 6; i++) w[i] = i + 1; /* (2,3) */
    x[1 * 5 + 2] = 1;
    rg_conv2d_args a = {TENSORS(x, w, NULL, y),
                        .batch = 2,
                        CHANNELS(1, 1),
                        PIXELS(in, 4, 5),
                        PIXELS(out, 4, 5),
                        HEIGHT_WIDTH(kernel, 2, 3),
                        HEIGHT_WIDTH(stride, 1, 1),
                        HEIGHT_WIDTH(dilation, 1, 1),
                        HEIGHT_WIDTH(pad, 0, 1)};
    RUN(conv2d.forward, &a);
    const double want[2 * 4 * 5] = {[1] = 6, [2] = 5, [3] = 4, [6] = 3, [7] = 2, [8] = 1};
    EXPECT_ALL(y, want, COUNT(y), 0);
}
END_TEST

START_TEST(test_lstm_step)
{
    const double x[] = {0.5}, w_ih[] = {1, 2, 3, 4}, w_hh[] = {-1, 0.5, 2, 1},
                 bias[] = {0.1, 0.2, 0.3, 0.4}, h0[] = {0.25}, c0[] = {-0.75};
    double y[1], h[1], c[1], gates[4], cells[1];
    rg_lstm_args a = {LSTM_WEIGHTS(w_ih, w_hh, bias),
                      LSTM_SIZES(1, 1, 1, 1),
                      .x = x,
                      .h0 = h0,
                      .c0 = c0,
                      .y = y,
                      .gates = gates,
                      .cells = cells,
                      .h_last = h,
                      .c_last = c};
    RUN(lstm.forward, &a);
    /* preactivations 0.35, 1.325, 2.3, 2.65 */
    const double i = 0.5866175789173301, f = 0.7900123734263975, g = 0.9800963962661914,
                 o = 0.9340109905087812;
    const double cell = f * -0.75 + i * g;
    EXPECT_ALL(gates, ((const double[]){i, f, g, o}), 4, 1e-12);
    RG_ASSERT_NEAR(cells[0], cell, 1e-12);
    RG_ASSERT_NEAR(y[0], o * tanh(cell), 1e-12);
    ck_assert(h[0] == y[0] && c[0] == cells[0]);
}
END_TEST

/* A sequence in one call is the same as step by step with the state handed on. */
START_TEST(test_lstm_sequence)
{
    enum { B = 2, T = 4, C = 3, H = 5 };
    double x[B * T * C], w_ih[C * 4 * H], w_hh[H * 4 * H], bias[4 * H], y[B * T * H], h[B * H],
        c[B * H];
    facts_random(x, COUNT(x), 1), facts_random(w_ih, COUNT(w_ih), 2);
    facts_random(w_hh, COUNT(w_hh), 3), facts_random(bias, COUNT(bias), 4);
    rg_lstm_args a = {LSTM_WEIGHTS(w_ih, w_hh, bias),
                      LSTM_SIZES(B, T, C, H),
                      .x = x,
                      .y = y,
                      .h_last = h,
                      .c_last = c};
    RUN(lstm.forward, &a);
    for (int b = 0; b < B; b++) {
        double state[2][2][H] = {0}, one[H];
        for (int t = 0; t < T; t++) {
            rg_lstm_args s = {LSTM_WEIGHTS(w_ih, w_hh, bias),  LSTM_SIZES(1, 1, C, H),
                              .x = x + (b * T + t) * C,        .h0 = state[t % 2][0],
                              .c0 = state[t % 2][1],           .y = one,
                              .h_last = state[(t + 1) % 2][0], .c_last = state[(t + 1) % 2][1]};
            RUN(lstm.forward, &s);
            EXPECT_ALL(one, y + (b * T + t) * H, H, 1e-12);
        }
        EXPECT_ALL(state[T % 2][0], h + b * H, H, 1e-12);
        EXPECT_ALL(state[T % 2][1], c + b * H, H, 1e-12);
    }
}
END_TEST

START_TEST(test_layernorm)
{
    const double x[] = {1, 2, 3, 5, 5, 5}, residual[] = {0, 0, 3, 1, 1, 1}, gain[] = {2, 1, 1},
                 bias[] = {0, 10, 0};
    double y[6], sum[6], mean[2], rstd[2];
    rg_layernorm_args a = {.x = x,
                           .residual = residual,
                           .gain = gain,
                           .bias = bias,
                           .y = y,
                           .sum = sum,
                           .mean = mean,
                           .rstd = rstd,
                           .rows = 2,
                           .channels = 3,
                           .eps = 1.0 / 3};
    RUN(layernorm.forward, &a); /* 1 2 6: mean 3, variance 14/3, plus eps 5 */
    const double r = 1 / sqrt(5);
    EXPECT(sum, 1, 2, 6, 6, 6, 6);
    EXPECT(mean, 3, 6);
    EXPECT(rstd, r, sqrt(3));
    EXPECT(y, -4 * r, 10 - r, 3 * r, 0, 10, 0);
    a.residual = NULL, a.sum = NULL, a.bias = NULL, a.eps = 1.0 / 3 + 1;
    RUN(layernorm.forward, &a); /* 1 2 3: mean 2, variance 2/3, plus eps 2 */
    EXPECT(y, -2 / sqrt(2), 0, 1 / sqrt(2), 0, 0, 0);
}
END_TEST

START_TEST(test_groupnorm)
{
    /* item 0: mean 3, variance 4; item 1: all the same */
    const double x[] = {1, 5, 5, 1, 7, 7, 7, 7}, gain[] = {2, 1}, bias[] = {0, 10};
    double y[8], mean[2], rstd[2];
    rg_groupnorm_args a = {.x = x,
                           .gain = gain,
                           .bias = bias,
                           .y = y,
                           .mean = mean,
                           .rstd = rstd,
                           .batch = 2,
                           .steps = 2,
                           .channels = 2,
                           .eps = 12};
    RUN(groupnorm.forward, &a);
    EXPECT(mean, 3, 7);
    EXPECT(rstd, 0.25, 1 / sqrt(12));
    EXPECT(y, -1, 10.5, 1, 9.5, 0, 10, 0, 10);
    const double dy[] = {1, 0, 0, 0, 0, 0, 0, 0};
    double dx[8], dgain[2], dbias[2];
    rg_groupnorm_grad_args g = {.fwd = a, .dy = dy, .dx = dx, .dgain = dgain, .dbias = dbias};
    RUN(groupnorm.grad, &g); /* e = 2 0 0 0, n = -1/2 1/2 1/2 -1/2 */
    EXPECT(dgain, -0.5, 0);
    EXPECT(dbias, 1, 0);
    EXPECT(dx, 0.34375, -0.09375, -0.09375, -0.15625, 0, 0, 0, 0);
}
END_TEST

/* One key: out is its value whatever the score, and lse is the score: the rotation by hand. */
START_TEST(test_attention_rotation)
{
    const double q[] = {1, 0, 0, 0}, k[] = {1, 0, 0, 0}, v[] = {5, 6, 7, 8}, q2[] = {0, 1, 0, 0},
                 k2[] = {0, 0, 0, 1};
    const float q_pos[] = {2.5F}, k_pos[] = {1};
    double out[4], lse[1];
    rg_attention_args a = {QKV(q, k, v),   PITCHES(4, 4, 4), HEADS(1, 1, 1, 1, 4),
                           .q_pos = q_pos, .k_pos = k_pos,   .out = out,
                           .lse = lse,     .window = -1,     .rope_base = 10000};
    RUN(attention.forward, &a);
    EXPECT(out, 5, 6, 7, 8);
    EXPECT(lse, cos(1.5) / 2); /* pair (0,2), frequency 1 */
    a.q = q2, a.k = k2;        /* pair (1,3), frequency 1/100: the key is a quarter turn ahead */
    RUN(attention.forward, &a);
    EXPECT(lse, sin(0.015) / 2);
    a.q = q, a.k = k, a.rope_base = 0;
    RUN(attention.forward, &a);
    EXPECT(lse, 0.5);
}
END_TEST

/* Weights of item b, head h, query t by the definition, from pitched q and k. */
static void naive_weights(const rg_attention_args *a, int64_t b, int64_t h, int64_t t, double *p)
{
    const double *q = a->q, *k = a->k;
    double total = 0;
    for (int64_t s = 0; s < a->t_k; s++) {
        double score = 0;
        for (int64_t d = 0; d < a->head_dim; d++)
            score += q[(b * a->t_q + t) * a->ld_q + h * a->head_dim + d] *
                     k[(b * a->t_k + s) * a->ld_k + h * a->head_dim + d];
        const double distance = (double)a->q_pos[t] - (double)a->k_pos[s];
        const bool seen = (!a->causal || distance >= 0) &&
                          (a->window < 0 || (distance <= a->window && -distance <= a->window)) &&
                          (!a->key_mask || a->key_mask[b * a->t_k + s] != 0);
        p[s] = seen ? exp(score / sqrt((double)a->head_dim)) : 0;
        total += p[s];
    }
    for (int64_t s = 0; s < a->t_k; s++) p[s] /= total > 0 ? total : 1;
}

START_TEST(test_attention_naive)
{
    enum { B = 2, H = 2, TQ = 3, TK = 4, D = 2, LQ = 5, LK = 6, LV = 7 };
    double q[B * TQ * LQ], k[B * TK * LK], v[B * TK * LV], out[B * TQ * H * D], p[TK];
    const float q_pos[] = {0, 1, 3}, k_pos[] = {0, 1, 2, 3};
    const uint8_t mask[] = {1, 0, 1, 1, 1, 1, 1, 0};
    facts_random(q, COUNT(q), 1), facts_random(k, COUNT(k), 2), facts_random(v, COUNT(v), 3);
    for (int kind = 0; kind < 12; kind++) {
        rg_attention_args a = {
            QKV(q, k, v),   PITCHES(LQ, LK, LV), HEADS(B, H, TQ, TK, D),
            .q_pos = q_pos, .k_pos = k_pos,      .key_mask = kind >= 6 ? mask : NULL,
            .out = out,     .causal = kind % 2,  .window = kind / 2 % 3 - 1};
        RUN(attention.forward, &a);
        for (int i = 0; i < B * H * TQ; i++) {
            const int b = i / (H * TQ), h = i / TQ % H, t = i % TQ;
            naive_weights(&a, b, h, t, p);
            for (int d = 0; d < D; d++) {
                double want = 0;
                for (int s = 0; s < TK; s++) want += p[s] * v[(b * TK + s) * LV + h * D + d];
                RG_ASSERT_NEAR(out[((b * TQ + t) * H + h) * D + d], want, 1e-12);
            }
        }
    }
}
END_TEST

/* Shifting all positions changes nothing; a query without a key gives zeros and -infinity. */
START_TEST(test_attention_edges)
{
    enum { T = 5, D = 4 };
    double qkv[3][T * D], first[T * D], second[T * D], lse[T];
    float positions[T];
    const uint8_t none[T] = {0};
    for (int i = 0; i < 3; i++) facts_random(qkv[i], T * D, (uint64_t)i);
    for (int t = 0; t < T; t++) positions[t] = (float)t + 100;
    rg_attention_args a = {QKV(qkv[0], qkv[1], qkv[2]),
                           PITCHES(D, D, D),
                           HEADS(1, 1, T, T, D),
                           .out = first,
                           .lse = lse,
                           .causal = true,
                           .window = -1,
                           .rope_base = 10000};
    RUN(attention.forward, &a);
    EXPECT_ALL(first, qkv[2], D, 1e-12); /* the first query sees the first key only */
    a.q_pos = a.k_pos = positions, a.out = second;
    RUN(attention.forward, &a);
    EXPECT_ALL(second, first, T * D, 1e-10);
    a.key_mask = none;
    RUN(attention.forward, &a);
    const double zeros[T * D] = {0};
    EXPECT_ALL(second, zeros, T * D, 0);
    ck_assert(isinf(lse[0]) && lse[0] < 0);
}
END_TEST

START_TEST(test_embedding)
{
    const double table[] = {1, 2, 3, 4, 5, 6, /**/ 10, 20, 30, 40, 50, 60}, dy[] = {1, 2, 4, 8};
    int32_t codes[] = {2, 0, -1, 1};
    double y[4], dtable[12];
    rg_embedding_grad_args g = {.fwd = {.codes = codes,
                                        .table = table,
                                        .y = y,
                                        .rows = 2,
                                        .books = 2,
                                        .entries = 3,
                                        .channels = 2},
                                .dy = dy,
                                .dtable = dtable};
    RUN(embedding.forward, &g.fwd);
    EXPECT(y, 15, 26, 30, 40);
    RUN(embedding.grad, &g);
    EXPECT(dtable, 0, 0, 0, 0, 1, 2, 1, 2, 4, 8, 0, 0);
    codes[3] = 3;
    rg_kernel_ctx *ctx = facts_ctx();
    ck_assert_int_eq(facts_k()->embedding.forward(ctx, &g.fwd), RG_ERR_SHAPE);
    ck_assert_str_eq(ctx->error->text, "code 3 at row 1, book 1: the book has 3 entries");
    ck_assert_int_eq(facts_k()->embedding.grad(facts_ctx(), &g), RG_ERR_SHAPE);
}
END_TEST

/* A scratch arena that is too small is an error that says so, in every slot that needs scratch. */
START_TEST(test_scratch_exhausted)
{
    rg_error error = {0};
    rg_kernel_ctx ctx = {.scratch = rg_arena_create(4096, "tiny", &error), .error = &error};
    double *x = calloc(1 << 16, sizeof *x);
    rg_conv1d_args a = {
        TENSORS(x, x, NULL, x), STEPS(1, 1 << 15, 1), CHANNELS(1, 1), .kernel = 1, .stride = 1,
        .dilation = 1};
    ck_assert_int_eq(facts_k()->conv1d.forward(&ctx, &a), RG_ERR_NOMEM);
    ck_assert_msg(strstr(error.text, "scratch") != NULL, "%s", error.text);
    free(x);
    rg_arena_destroy(ctx.scratch);
}
END_TEST

RG_TEST_MAIN("reference kernels", 60, test_linear, test_activations, test_kinks,
             test_conv1d_by_hand, test_conv1d_channels, test_conv_tr1d_adjoint,
             test_conv_tr1d_by_hand, test_conv2d_as_conv1d, test_conv2d_stamp, test_lstm_step,
             test_lstm_sequence, test_layernorm, test_groupnorm, test_attention_rotation,
             test_attention_naive, test_attention_edges, test_embedding, test_scratch_exhausted)
