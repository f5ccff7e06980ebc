/*
 * Convolutions through cuDNN: what it has plans for goes through it, all else is products, and both
 * are right. Runs on the stand-in of the emulator, which says what was asked of it.
 */
#include "cuemu_control.h"
#include "emu_cudnn.h"
#include "engine/op_check.h"
#include "kernels/cuda/dnn.h"
#include "test.h"

static const double halves[] = {[RG_F16] = 8 * 0x1p-11, [RG_BF16] = 8 * 0x1p-8};

/* Every case of the three operators with activations of `type`. */
static void check_convolutions(rg_dtype type)
{
    const rg_op *const ops[] = {&rg_op_conv1d, &rg_op_conv2d, &rg_op_conv_tr1d};
    rg_error err = {0};
    rg_gpu *gpu = rg_gpu_open(0, &err);
    ck_assert_msg(gpu != NULL, "%s", err.text);
    const rg_exec_options options = {.kernels = rg_gpu_kernels(gpu, RG_F32, &err),
                                     .stored = rg_gpu_kernels(gpu, type, &err),
                                     .gpu = gpu,
                                     .seed = 3,
                                     .step_bytes = (size_t)64 << 20,
                                     .scratch_bytes = (size_t)64 << 20,
                                     .persist_bytes = (size_t)16 << 20};
    rg_exec *ex = rg_exec_create(&options, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
        rg_op_checked checked;
        RG_ASSERT_OK(rg_op_check(ops[k], ex, halves[type], &checked, &err), &err);
        ck_assert_int_eq(checked.cases, ops[k]->n_cases);
    }
    rg_exec_destroy(ex);
    rg_gpu_close(gpu);
}

static void check_through(rg_dtype type, cuemu_cudnn_offer offer, bool through)
{
    cuemu_cudnn_offers(offer);
    check_convolutions(type);
    ck_assert_int_eq(cuemu_cudnn_refusals(), 0);
    ck_assert_int_eq(cuemu_total(), 0);
    ck_assert_int_eq(cuemu_cudnn_runs(0) > 0, through);
    ck_assert_int_eq(cuemu_cudnn_runs(1) > 0, through);
}

START_TEST(halves_go_through_cudnn)
{
    check_through(RG_F16, CUDNN_OFFERS, true);
    check_through(RG_BF16, CUDNN_OFFERS, true);
}
END_TEST

START_TEST(without_a_plan_they_are_products)
{
    check_through(RG_F16, CUDNN_HAS_NONE, false);
}
END_TEST

START_TEST(a_plan_beyond_the_workspace_is_none)
{
    check_through(RG_BF16, CUDNN_IS_LARGE, false);
}
END_TEST

START_TEST(without_the_library_they_are_products)
{
    check_through(RG_F16, CUDNN_IS_ABSENT, false);
}
END_TEST

/* A plan is made once, and that there is none is found once. */
START_TEST(a_shape_is_planned_once)
{
    static const rg_dnn_conv conv = {.type = RG_F16,
                                     .batch = 2,
                                     .c = 3,
                                     .k = 5,
                                     .x = {1, 9},
                                     .y = {1, 7},
                                     .taps = {1, 3},
                                     .stride = {1, 1},
                                     .dilation = {1, 1},
                                     .align_x = 16,
                                     .align_w = 16,
                                     .align_y = 16};
    rg_dnn_conv other = conv, wrong = conv;
    rg_error err = {0};
    cudaStream_t stream;
    ck_assert_int_eq(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    rg_dnn *dnn = rg_dnn_open(stream, &err);
    ck_assert_msg(dnn != NULL, "%s", err.text);
    const rg_dnn_plan *plan = rg_dnn_find(dnn, &conv);
    const int made = cuemu_cudnn_plans();
    ck_assert(plan != NULL && made > 0);
    ck_assert(rg_dnn_plan_workspace(plan) <= RG_DNN_WORKSPACE);
    ck_assert_ptr_eq(rg_dnn_find(dnn, &conv), plan);
    ck_assert_int_eq(cuemu_cudnn_plans(), made);
    other.batch = 4;
    cuemu_cudnn_offers(CUDNN_HAS_NONE);
    ck_assert_ptr_null(rg_dnn_find(dnn, &other));
    cuemu_cudnn_offers(CUDNN_OFFERS);
    ck_assert_ptr_null(rg_dnn_find(dnn, &other));
    ck_assert_int_eq(cuemu_cudnn_refusals(), 0);
    wrong.y[1] = 8; /* not the length that the convolution has */
    ck_assert_ptr_null(rg_dnn_find(dnn, &wrong));
    ck_assert_int_eq(cuemu_cudnn_refusals(), 1);
    for (other.batch = 5; other.batch < RG_DNN_PLANS + 2; other.batch++)
        ck_assert(rg_dnn_find(dnn, &other) != NULL);
    ck_assert_ptr_null(rg_dnn_find(dnn, &other)); /* one too many */
    ck_assert_ptr_eq(rg_dnn_find(dnn, &conv), plan);
    rg_dnn_close(dnn);
    ck_assert_int_eq(cuemu_cudnn_refusals(), 1);
    cudaStreamDestroy(stream);
}
END_TEST

/* cuDNN has no bf16 before compute capability 8.0. */
START_TEST(bf16_has_no_plan_on_older_gpus)
{
    rg_error err = {0};
    ck_assert(cuemu_set("sm", "75"));
    rg_gpu *gpu = rg_gpu_open(0, &err);
    ck_assert_msg(gpu != NULL, "%s", err.text);
    ck_assert_ptr_null(rg_gpu_kernels(gpu, RG_BF16, &err));
    rg_gpu_close(gpu);
    check_through(RG_F16, CUDNN_OFFERS, true);
}
END_TEST

RG_TEST_MAIN("cuda convolutions", 300, halves_go_through_cudnn, without_a_plan_they_are_products,
             a_plan_beyond_the_workspace_is_none, without_the_library_they_are_products,
             a_shape_is_planned_once, bf16_has_no_plan_on_older_gpus)
