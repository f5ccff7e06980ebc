/*
 * Where the operators' shape rules end: the last attribute or shape that is accepted, and the first
 * that is refused.
 *
 * One idea: a rule that is one off is wrong on one side of its limit, so both sides are tried.
 */
#include "ops/ops.h"
#include "test.h"

static rg_exec *ex;

static void open_exec(void)
{
    rg_error err = {0};
    ex = rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_reference64()}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_step_begin(ex, 0);
}

static rg_tensor *ones(rg_shape shape)
{
    static float values[64];
    for (int i = 0; i < 64; i++) values[i] = 1;
    rg_tensor *t = rg_tensor_from_floats(ex, shape, values);
    ck_assert_msg(t != NULL, "%s", ex->error.text);
    return t;
}

static void accepted(const rg_tensor *y, rg_shape shape)
{
    char text[96];
    ck_assert_msg(y != NULL, "%s", ex->error.text);
    ck_assert_msg(rg_shape_equal(y->shape, shape), "%s", rg_shape_text(y->shape, text));
}

static void refused(const rg_tensor *y)
{
    ck_assert_ptr_null(y);
    ck_assert_int_eq(ex->error.code, RG_ERR_SHAPE);
    rg_error_clear(&ex->error);
}

START_TEST(added_shapes_are_suffixes)
{
    open_exec();
    rg_tensor *a = ones(RG_SHAPE(2, 3, 4));
    accepted(rg_add(ex, a, ones(RG_SHAPE(2, 3, 4)), 1, 1), RG_SHAPE(2, 3, 4));
    accepted(rg_add(ex, a, ones(RG_SHAPE(3, 4)), 1, 1), RG_SHAPE(2, 3, 4));
    accepted(rg_add(ex, a, ones(RG_SHAPE(4)), 1, 1), RG_SHAPE(2, 3, 4));
    refused(rg_add(ex, a, ones(RG_SHAPE(1, 3, 4)), 1, 1));
    refused(rg_add(ex, a, ones(RG_SHAPE(2, 4)), 1, 1));
    refused(rg_add(ex, a, ones(RG_SHAPE(1, 2, 3, 4)), 1, 1));
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(transposed_convolutions)
{
    open_exec();
    rg_tensor *x = ones(RG_SHAPE(1, 3, 2)), *w = ones(RG_SHAPE(4, 2, 1));
    rg_conv_tr1d_attr a = {.stride = 1, .trim_left = 3, .trim_right = 3};
    accepted(rg_conv_tr1d(ex, x, w, NULL, &a), RG_SHAPE(1, 0, 1));
    a.trim_right = 4;
    refused(rg_conv_tr1d(ex, x, w, NULL, &a));
    a = (rg_conv_tr1d_attr){.stride = 0};
    refused(rg_conv_tr1d(ex, x, w, NULL, &a));
    a = (rg_conv_tr1d_attr){.stride = 1, .trim_left = -1};
    refused(rg_conv_tr1d(ex, x, w, NULL, &a));
    a = (rg_conv_tr1d_attr){.stride = 1, .trim_right = -1};
    refused(rg_conv_tr1d(ex, x, w, NULL, &a));
    a.trim_right = 0;
    accepted(rg_conv_tr1d(ex, x, ones(RG_SHAPE(1, 2, 1)), NULL, &a), RG_SHAPE(1, 3, 1));
    refused(rg_conv_tr1d(ex, x, ones(RG_SHAPE(0, 2, 1)), NULL, &a));
    accepted(rg_conv_tr1d(ex, ones(RG_SHAPE(1, 0, 2)), w, NULL, &a), RG_SHAPE(1, 0, 1));
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(convolutions)
{
    open_exec();
    rg_tensor *x = ones(RG_SHAPE(1, 3, 2)), *w = ones(RG_SHAPE(4, 2, 1));
    rg_conv1d_attr a = {.stride = 1, .dilation = 1, .pad_left = 1};
    accepted(rg_conv1d(ex, x, w, NULL, &a), RG_SHAPE(1, 1, 1));
    a.stride = 0;
    refused(rg_conv1d(ex, x, w, NULL, &a));
    a.stride = 1, a.dilation = 0;
    refused(rg_conv1d(ex, x, w, NULL, &a));
    a.dilation = 1, a.pad_left = -1;
    refused(rg_conv1d(ex, x, w, NULL, &a));
    a.pad_left = 1, a.pad_right = -1;
    refused(rg_conv1d(ex, x, w, NULL, &a));
    rg_exec_destroy(ex);
}
END_TEST

RG_TEST_MAIN("operator limits", 60, added_shapes_are_suffixes, transposed_convolutions,
             convolutions)
