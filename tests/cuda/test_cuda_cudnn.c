/*
 * The stand-in of cuDNN finds what the library would refuse: each planted misuse is a refusal, and
 * what is right is none.
 *
 * One idea: one whole convolution is described and run by cuDNN's own calls; a misuse changes one
 * thing about it. A misuse that is not noticed fails here, before it could hide one of dnn.c.
 */
#include <cudnn.h>

#include "cuemu_control.h"
#include "emu_cudnn.h"
#include "test.h"

typedef cudnnBackendDescriptor_t descriptor;

/* What may be wrong. */
typedef enum misuse {
    NOTHING,
    TYPE_OF_ATTRIBUTE,
    COUNT_OF_ATTRIBUTE,
    FOREIGN_ATTRIBUTE,
    MISSING_ATTRIBUTE,
    SET_TWICE,
    NOT_FINAL,
    CHANGED_WHEN_FINAL,
    CHANNELS_FIRST,
    ZERO_SIZE,
    ODD_ALIGNMENT,
    OTHER_TYPE,
    WRONG_LENGTH,
    WRONG_CHANNELS,
    NEGATIVE_PADDING,
    HALF_BETA,
    WEIGHTS_AS_CONVOLUTION,
    DESTROYED_TENSOR,
    PACK_NOT_FINAL,
    UNKNOWN_TENSOR,
    MISALIGNED_POINTER,
    NO_WORKSPACE,
    NO_STREAM,
    FIRST_ENGINE,
    LEFT_BEHIND,
    MISUSES
} misuse;

static misuse planted;

static descriptor begin(cudnnBackendDescriptorType_t kind)
{
    descriptor d = NULL;
    ck_assert_int_eq(cudnnBackendCreateDescriptor(kind, &d), CUDNN_STATUS_SUCCESS);
    return d;
}

static void set(descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                int64_t count, const void *values)
{
    (void)cudnnBackendSetAttribute(d, name, type, count, values);
}

static descriptor final(descriptor d)
{
    (void)cudnnBackendFinalize(d);
    return d;
}

static void set_one(descriptor d, cudnnBackendAttributeName_t name, descriptor value)
{
    set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void set_strides(descriptor d, const int64_t n[4])
{
    const bool first = planted == CHANNELS_FIRST;
    const int64_t last[4] = {n[1] * n[2] * n[3], 1, n[3] * n[1], n[1]},
                  strides[4] = {n[1] * n[2] * n[3], n[2] * n[3], n[3], 1};
    set(d, CUDNN_ATTR_TENSOR_STRIDES,
        planted == TYPE_OF_ATTRIBUTE ? CUDNN_TYPE_DOUBLE : CUDNN_TYPE_INT64,
        planted == COUNT_OF_ATTRIBUTE ? 3 : 4, first ? strides : last);
}

static descriptor tensor(int64_t id, int64_t outer, int64_t channels, int64_t length)
{
    const bool x = id == 'x';
    const int64_t n[4] = {outer, channels, 1, planted == ZERO_SIZE && x ? 0 : length},
                  align = planted == ODD_ALIGNMENT ? 3 : 16;
    const cudnnDataType_t type = planted == OTHER_TYPE && x ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
    descriptor d = begin(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, n);
    set_strides(d, n);
    if (planted != MISSING_ATTRIBUTE) set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    if (planted == SET_TWICE) set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    if (planted == FOREIGN_ATTRIBUTE)
        set(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, n);
    set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
    if (planted == NOT_FINAL && x) return d;
    final(d);
    if (planted == CHANGED_WHEN_FINAL)
        set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    return d;
}

static descriptor convolution(void)
{
    const int64_t two = 2, ones[2] = {1, 1}, none[2] = {0, planted == NEGATIVE_PADDING ? -1 : 0};
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    descriptor d = begin(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, none);
    set(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, none);
    set(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, ones);
    set(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    return final(d);
}

/* x (2,9,3), w (5,3,3), y (2,7,5) in a graph. */
static descriptor graph(descriptor tensors[3])
{
    const float alpha = 1, beta = planted == HALF_BETA ? 0.5F : 0;
    tensors[0] = tensor('x', 2, 3, 9);
    tensors[1] = tensor('w', 5, planted == WRONG_CHANNELS ? 4 : 3, 3);
    tensors[2] = tensor('y', 2, 5, planted == WRONG_LENGTH ? 8 : 7);
    descriptor conv = convolution(),
               op = begin(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    set_one(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, tensors[0]);
    set_one(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, tensors[1]);
    set_one(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, tensors[2]);
    set_one(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
            planted == WEIGHTS_AS_CONVOLUTION ? tensors[1] : conv);
    set(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &alpha);
    set(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &beta);
    descriptor g = begin(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set_one(g, CUDNN_ATTR_OPERATIONGRAPH_OPS, final(op));
    return final(g);
}

/* The plan of the engine that is good, or of the first one that makes a plan. */
static descriptor plan_of(descriptor g, descriptor device)
{
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    descriptor h = begin(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR), configs[4];
    int64_t n = 0;
    for (int i = 0; i < 4; i++) configs[i] = begin(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    set_one(h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g);
    set(h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    set_one(h, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device);
    (void)cudnnBackendGetAttribute(final(h), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, 4, &n, (void *)configs);
    descriptor plan = begin(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set_one(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
            configs[planted == FIRST_ENGINE ? 1 : 3]);
    set_one(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
    return final(plan);
}

static void execute(cudnnHandle_t handle, descriptor plan, char *memory)
{
    const int64_t ids[3] = {'x', planted == UNKNOWN_TENSOR ? 'z' : 'w', 'y'};
    const char *pointers[3] = {memory + (planted == MISALIGNED_POINTER ? 2 : 0), memory + 1024,
                               memory + 2048},
               *workspace = planted == NO_WORKSPACE ? NULL : memory + 4096;
    descriptor pack = begin(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, ids);
    set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3,
        (const void *)pointers);
    set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, (const void *)&workspace);
    if (planted != PACK_NOT_FINAL) final(pack);
    (void)cudnnBackendExecute(handle, plan, pack);
}

/* Descriptors are left to the end of the process, but for one misuse. */
static void convolve(void)
{
    cudaStream_t stream;
    cudnnHandle_t handle;
    char *memory;
    descriptor tensors[3], device = begin(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    ck_assert_int_eq(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    ck_assert_int_eq(cudaMalloc((void **)&memory, 8192), cudaSuccess);
    ck_assert_int_eq(cudaMemset(memory, 0, 8192), cudaSuccess);
    ck_assert_int_eq(cudnnCreate(&handle), CUDNN_STATUS_SUCCESS);
    if (planted != NO_STREAM) (void)cudnnSetStream(handle, stream);
    set(device, CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, (const void *)&handle);
    descriptor g = graph(tensors), plan = plan_of(g, final(device));
    if (planted == DESTROYED_TENSOR) (void)cudnnBackendDestroyDescriptor(tensors[1]);
    execute(handle, plan, memory);
    ck_assert_int_eq(cudaStreamSynchronize(stream), cudaSuccess);
    if (planted == LEFT_BEHIND) (void)cudnnDestroy(handle);
}

START_TEST(what_is_right_is_not_refused)
{
    planted = NOTHING;
    convolve();
    ck_assert_int_eq(cuemu_cudnn_refusals(), 0);
    ck_assert_int_eq(cuemu_cudnn_runs(0), 1);
    ck_assert_int_eq(cuemu_total(), 0);
}
END_TEST

START_TEST(each_misuse_is_refused)
{
    planted = (misuse)_i;
    convolve();
    ck_assert_msg(cuemu_cudnn_refusals() > 0, "misuse %d was not noticed", _i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuDNN stand-in");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, what_is_right_is_not_refused);
    tcase_add_loop_test(tests, each_misuse_is_refused, NOTHING + 1, MISUSES);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
