/*
 * Every case of every operator on a device, forward and backward, against the double reference.
 */
#include "engine/op_check.h"
#include "test.h"

static const double unit = 2e-5;

/* Every operator on an exec that stores activations as `type`; `half_unit` where it is 16 bits. */
static void check_operators(rg_dtype type, double half_unit)
{
    rg_error err = {0};
    rg_gpu *gpu = rg_gpu_open(0, &err);
    ck_assert_msg(gpu != NULL, "%s", err.text);
    const rg_exec_options options = {.kernels = rg_gpu_kernels(gpu, RG_F32, &err),
                                     .stored =
                                         type == RG_F32 ? NULL : rg_gpu_kernels(gpu, type, &err),
                                     .gpu = gpu,
                                     .seed = 3,
                                     .step_bytes = (size_t)256 << 20,
                                     .scratch_bytes = (size_t)256 << 20,
                                     .persist_bytes = (size_t)16 << 20};
    rg_exec *ex = rg_exec_create(&options, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    for (int k = 0; k < RG_OP_COUNT; k++) {
        rg_op_checked checked;
        const bool half = type != RG_F32 && rg_ops[k]->storage != RG_OP_WIDE;
        RG_ASSERT_OK(rg_op_check(rg_ops[k], ex, half ? half_unit : unit, &checked, &err), &err);
        ck_assert_int_eq(checked.cases, rg_ops[k]->n_cases);
    }
    rg_exec_destroy(ex);
    rg_gpu_close(gpu);
}

START_TEST(operators_agree_with_the_reference)
{
    check_operators(RG_F32, unit);
}
END_TEST

/*
 * Numbers of the type go in, and each result is rounded to it once: half of 2^-10 or 2^-7. On the
 * way there values are rounded that an operator keeps for its gradient or hands to another kernel:
 * up to 8 times as much.
 */
START_TEST(operators_in_fp16_agree_with_the_reference)
{
    check_operators(RG_F16, 8 * 0x1p-11);
}
END_TEST

START_TEST(operators_in_bf16_agree_with_the_reference)
{
    check_operators(RG_BF16, 8 * 0x1p-8);
}
END_TEST

/* A kernel that is wrong in one element is found, and so is one that gives no number. */
static float spoilt;

static rg_status spoil(rg_kernel_ctx *ctx, const rg_activation_args *a)
{
    RG_TRY(rg_kernels_reference()->activation.forward(ctx, a));
    if (a->n > 0) ((float *)a->y)[a->n - 1] += spoilt;
    return RG_OK;
}

START_TEST(what_is_wrong_is_found)
{
    static const float amounts[] = {0, 1e-3F, NAN};
    rg_error err = {0};
    rg_kernels kernels = *rg_kernels_reference();
    kernels.activation.forward = spoil;
    for (int i = 0; i < 3; i++) {
        rg_op_checked checked;
        rg_exec *ex = rg_exec_create(&(rg_exec_options){.kernels = &kernels, .seed = 3}, &err);
        ck_assert_msg(ex != NULL, "%s", err.text);
        spoilt = amounts[i];
        const rg_status status = rg_op_check(&rg_op_activation, ex, unit, &checked, &err);
        ck_assert_int_eq(status, i ? RG_ERR_NUMERIC : RG_OK);
        ck_assert_msg(!i || strstr(err.text, "activation/") != NULL, "%s", err.text);
        ck_assert(i ? checked.failed > 0 && checked.worst > 1 : checked.worst <= 1);
        err = (rg_error){0};
        rg_exec_destroy(ex);
    }
}
END_TEST

RG_TEST_MAIN("cuda operators", 300, operators_agree_with_the_reference,
             operators_in_fp16_agree_with_the_reference, operators_in_bf16_agree_with_the_reference,
             what_is_wrong_is_found)
