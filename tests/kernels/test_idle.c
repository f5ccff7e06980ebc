/*
 * What calls cost, counted by hand; shapes that come again are one row; nothing is lost when rows
 * run out; without a tally only memory is taken.
 */
#include "test.h"

#include "kernels/idle.h"

static rg_tally tally;
static rg_error failure;
static float some[1]; /* stands for every operand: none is looked at */

static rg_kernel_ctx fresh(void)
{
    static rg_arena *scratch;
    if (!scratch) scratch = rg_arena_create(1 << 20, "scratch", &failure);
    ck_assert_msg(scratch != NULL, "%s", failure.text);
    rg_arena_reset(scratch);
    tally = (rg_tally){.real_bytes = 2};
    return (rg_kernel_ctx){
        .operands = RG_F32, .scratch = scratch, .error = &failure, .tally = &tally};
}

static void expect(const char *slot, bool grad, double products, double bytes)
{
    const rg_tally_row *row = &tally.rows[tally.n - 1];
    ck_assert_str_eq(row->slot, slot);
    ck_assert_int_eq(row->grad, grad);
    ck_assert_double_eq(row->products, products);
    ck_assert_double_eq(row->bytes, bytes);
}

START_TEST(products_are_counted)
{
    const rg_kernels k = rg_kernels_idle(rg_kernels_reference());
    rg_kernel_ctx ctx = fresh();
    const rg_linear_args linear = {.rows = 3, .c_in = 4, .c_out = 5};
    RG_ASSERT_OK(k.linear.forward(&ctx, &linear), &failure);
    expect("linear", false, 2 * 60, 2 * (12 + 20 + 15));
    const rg_linear_grad_args grad = {.fwd = linear, .dx = some, .dw = some, .add_dw = true};
    RG_ASSERT_OK(k.linear.grad(&ctx, &grad), &failure);
    expect("linear", true, 4 * 60, 2 * (15 + 20 + 12) + 2 * (12 + 15) + 4 * 2 * 20);
    const rg_linear_grad_args first = {.fwd = linear, .dw = some};
    RG_ASSERT_OK(k.linear.grad(&ctx, &first), &failure); /* the same shape: the same row */
    expect("linear", true, 6 * 60, 2 * (15 + 20 + 12) + 4 * (12 + 15) + 4 * 3 * 20);
    ck_assert_int_eq(tally.rows[tally.n - 1].calls, 2);
    const rg_conv1d_args conv = {
        .batch = 2, .t_in = 8, .t_out = 4, .c_in = 3, .c_out = 5, .kernel = 4, .stride = 2};
    RG_ASSERT_OK(k.conv1d.forward(&ctx, &conv), &failure);
    expect("conv1d", false, 2 * 8 * 4 * 15, 2 * (48 + 60 + 40));
    const rg_conv_tr1d_args up = {
        .batch = 2, .t_in = 4, .t_out = 8, .c_in = 5, .c_out = 3, .kernel = 4, .stride = 2};
    RG_ASSERT_OK(k.conv_tr1d.forward(&ctx, &up), &failure);
    expect("conv_tr1d", false, 2 * 8 * 4 * 15, 2 * (40 + 60 + 48));
    const rg_attention_args attention = {
        .batch = 1, .heads = 2, .t_q = 4, .t_k = 4, .head_dim = 8, .causal = true, .window = -1};
    RG_ASSERT_OK(k.attention.forward(&ctx, &attention), &failure);
    expect("attention", false, 4 * 16 * 8, 2 * 4 * 64);
    ck_assert_int_eq(tally.n, 5);
}
END_TEST

START_TEST(what_is_no_product_is_counted)
{
    const rg_kernels k = rg_kernels_idle(rg_kernels_reference());
    rg_kernel_ctx ctx = fresh();
    RG_ASSERT_OK(k.adamw(&ctx, &(rg_adamw_args){.n = 10}), &failure);
    expect("adamw", false, 0, 280);
    RG_ASSERT_OK(k.copy(&ctx, &(rg_copy_args){.dst = some, .rows = 3, .cols = 5, .add = true}),
                 &failure);
    expect("copy", false, 0, 2 * 45);
    const rg_lstm_args lstm = {.batch = 2, .steps = 7, .c_in = 3, .hidden = 4};
    RG_ASSERT_OK(k.lstm.forward(&ctx, &lstm), &failure);
    expect("lstm", false, 2.0 * 14 * 16 * 7, 2 * (42 + 16 * 7 + 56));
    ck_assert_double_eq(tally.rows[tally.n - 1].chain, 7);
    const rg_stft_args stft = {.batch = 1, .t_in = 64, .frames = 4, .n_fft = 16, .hop = 16};
    RG_ASSERT_OK(k.stft.forward(&ctx, &stft), &failure);
    expect("stft", false, 0, 2 * (64 + 4 * 18));
    ck_assert_double_eq(tally.rows[tally.n - 1].other, 2.5 * 16 * 4 * 4);
    const rg_rvq_args rvq = {.rows = 6, .dim = 2, .entries = 8, .n_q = 3};
    RG_ASSERT_OK(k.rvq(&ctx, &rvq), &failure);
    ck_assert_double_eq(tally.rows[tally.n - 1].other, 2 * 6 * 3 * 16);
}
END_TEST

START_TEST(rows_that_have_no_room_are_added_up)
{
    const rg_kernels k = rg_kernels_idle(rg_kernels_reference());
    rg_kernel_ctx ctx = fresh();
    double bytes = 0;
    for (int64_t n = 1; n <= RG_TALLY_ROWS + 50; n++)
        RG_ASSERT_OK(k.norm(&ctx, &(rg_norm_args){.n = n}), &failure);
    for (int32_t i = 0; i < tally.n; i++) bytes += tally.rows[i].bytes;
    ck_assert_int_eq(tally.n, RG_TALLY_ROWS);
    ck_assert_str_eq(tally.rows[tally.n - 1].slot, "(others)");
    ck_assert_int_eq(tally.rows[tally.n - 1].calls, 51);
    ck_assert_double_eq(bytes, 4.0 * (RG_TALLY_ROWS + 50) * (RG_TALLY_ROWS + 51) / 2);
}
END_TEST

START_TEST(without_a_tally_memory_is_taken_all_the_same)
{
    const rg_kernels k = rg_kernels_idle(rg_kernels_reference());
    rg_kernel_ctx ctx = fresh();
    const rg_lstm_args lstm = {.batch = 2, .steps = 7, .c_in = 3, .hidden = 4};
    ctx.tally = NULL;
    RG_ASSERT_OK(k.lstm.forward(&ctx, &lstm), &failure);
    ck_assert_uint_ge(rg_arena_used(ctx.scratch), 2 * 7 * 16 * sizeof(float));
    ck_assert_int_eq(tally.n, 0);
}
END_TEST

RG_TEST_MAIN("kernels/idle", 20, products_are_counted, without_a_tally_memory_is_taken_all_the_same,
             what_is_no_product_is_counted, rows_that_have_no_room_are_added_up)
