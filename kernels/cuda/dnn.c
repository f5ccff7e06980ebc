/*
 * Convolutions through cuDNN's graph API (dnn.h).
 *
 * One idea: cuDNN is told everything as descriptors: an object of a kind, attributes, then it is
 * final. What a plan is made of lives as long as the plan. The device is told by its properties,
 * not by a handle, so that a plan is made in one way whether the GPU is there or not.
 */
#include "kernels/cuda/dnn.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "kernels/cuda/dl.h"

enum { SLOTS = 2 * RG_DNN_PLANS, PARTS = 10, CONFIGS = 16 };
typedef cudnnBackendDescriptor_t descriptor;

struct rg_dnn_plan {
    rg_dnn_conv key;
    descriptor parts[PARTS], plan; /* plan NULL: cuDNN has none */
    int n_parts;
    int64_t workspace;
    bool used;
};

struct rg_dnn {
    rg_cudnn calls;
    cudnnHandle_t handle; /* NULL: the GPU is not there */
    descriptor device;
    int n_plans;
    rg_dnn_plan plans[SLOTS]; /* at the hash of their key, or behind it */
};

/* One attribute of a descriptor. */
typedef struct setting {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    const void *values;
} setting;

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- descriptors ---- */

/* A final descriptor, or NULL. */
static descriptor make(const rg_dnn *dnn, cudnnBackendDescriptorType_t kind, const setting *s,
                       int n)
{
    descriptor d = NULL;
    if (dnn->calls.cudnnBackendCreateDescriptor(kind, &d) != CUDNN_STATUS_SUCCESS) return NULL;
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    for (int i = 0; i < n && status == CUDNN_STATUS_SUCCESS; i++)
        status =
            dnn->calls.cudnnBackendSetAttribute(d, s[i].name, s[i].type, s[i].count, s[i].values);
    if (status == CUDNN_STATUS_SUCCESS) status = dnn->calls.cudnnBackendFinalize(d);
    if (status == CUDNN_STATUS_SUCCESS) return d;
    dnn->calls.cudnnBackendDestroyDescriptor(d);
    return NULL;
}

/* As make; the plan keeps what was made. */
static descriptor add_part(const rg_dnn *dnn, rg_dnn_plan *p, cudnnBackendDescriptorType_t kind,
                           const setting *s, int n)
{
    descriptor d = make(dnn, kind, s, n);
    if (d) p->parts[p->n_parts++] = d;
    return d;
}

static void drop(const rg_dnn *dnn, rg_dnn_plan *p)
{
    if (p->plan) dnn->calls.cudnnBackendDestroyDescriptor(p->plan);
    while (p->n_parts > 0) dnn->calls.cudnnBackendDestroyDescriptor(p->parts[--p->n_parts]);
    *p = (rg_dnn_plan){0};
}

/* (outer, channels, rows, columns) as cuDNN counts, with the channels last in memory. */
static descriptor add_tensor(const rg_dnn *dnn, rg_dnn_plan *p, int64_t id, int64_t align,
                             const int64_t dims[4])
{
    const cudnnDataType_t type = p->key.type == RG_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
    const int64_t c = dims[1], h = dims[2], w = dims[3], strides[4] = {h * w * c, 1, w * c, c};
    const setting s[] = {
        {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type},
        {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims},
        {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides},
        {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id},
        {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align},
    };
    return add_part(dnn, p, CUDNN_BACKEND_TENSOR_DESCRIPTOR, s, COUNT(s));
}

static descriptor add_convolution(const rg_dnn *dnn, rg_dnn_plan *p)
{
    const rg_dnn_conv *k = &p->key;
    const int64_t spatial = 2;
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const setting s[] = {
        {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial},
        {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums},
        {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode},
        {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, k->before},
        {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, k->after},
        {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, k->stride},
        {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, k->dilation},
    };
    return add_part(dnn, p, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, s, COUNT(s));
}

/* What cuDNN calls each direction. */
static const struct {
    cudnnBackendDescriptorType_t kind;
    cudnnBackendAttributeName_t x, w, y, conv, alpha, beta;
} directions[] = {
    [RG_DNN_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [RG_DNN_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
};

/* A graph of one operation; NULL where cuDNN refuses any part of it. */
static descriptor add_graph(const rg_dnn *dnn, rg_dnn_plan *p)
{
    const rg_dnn_conv *k = &p->key;
    const int64_t dims_x[] = {k->batch, k->c, k->x[0], k->x[1]},
                  dims_w[] = {k->k, k->c, k->taps[0], k->taps[1]},
                  dims_y[] = {k->batch, k->k, k->y[0], k->y[1]};
    const float alpha = 1, beta = (float)k->add;
    descriptor x = add_tensor(dnn, p, 'x', k->align_x, dims_x),
               w = add_tensor(dnn, p, 'w', k->align_w, dims_w),
               y = add_tensor(dnn, p, 'y', k->align_y, dims_y), conv = add_convolution(dnn, p);
    if (!x || !w || !y || !conv) return NULL;
    const setting s[] = {
        {directions[k->way].x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x},
        {directions[k->way].w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w},
        {directions[k->way].y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y},
        {directions[k->way].conv, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &conv},
        {directions[k->way].alpha, CUDNN_TYPE_FLOAT, 1, &alpha},
        {directions[k->way].beta, CUDNN_TYPE_FLOAT, 1, &beta},
    };
    descriptor op = add_part(dnn, p, directions[k->way].kind, s, COUNT(s));
    const setting ops = {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &op};
    return op ? add_part(dnn, p, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &ops, 1) : NULL;
}

/* ---- plans ---- */

static int64_t get_numbers(const rg_dnn *dnn, descriptor from, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, int64_t most, void *to)
{
    int64_t n = 0;
    const cudnnStatus_t status =
        dnn->calls.cudnnBackendGetAttribute(from, name, type, most, &n, to);
    return status != CUDNN_STATUS_SUCCESS ? -1 : n < most ? n : most;
}

/* Whether an engine gives the same bits each time and sums fp16 products in fp32: of what cuDNN
 * notes about its engines only two do no harm. */
static bool is_exact(const rg_dnn *dnn, descriptor config)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    descriptor engine = NULL;
    int64_t n = -1;
    if (dnn->calls.cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) !=
        CUDNN_STATUS_SUCCESS)
        return false;
    if (get_numbers(dnn, config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                    (void *)&engine) == 1)
        n = get_numbers(dnn, engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                        COUNT(notes), notes);
    bool exact = n >= 0;
    for (int64_t i = 0; i < n; i++)
        if (notes[i] != CUDNN_NUMERICAL_NOTE_TENSOR_CORE &&
            notes[i] != CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP)
            exact = false;
    dnn->calls.cudnnBackendDestroyDescriptor(engine);
    return exact;
}

/* Whether p has become the plan of this configuration. */
static bool try_config(const rg_dnn *dnn, rg_dnn_plan *p, descriptor config)
{
    if (!is_exact(dnn, config)) return false;
    const setting s[] = {
        {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config},
        {CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &dnn->device},
    };
    descriptor plan = make(dnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, s, COUNT(s));
    int64_t workspace = -1;
    if (!plan) return false;
    if (get_numbers(dnn, plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                    &workspace) == 1 &&
        workspace >= 0 && workspace <= RG_DNN_WORKSPACE) {
        p->plan = plan;
        p->workspace = workspace;
        return true;
    }
    dnn->calls.cudnnBackendDestroyDescriptor(plan);
    return false;
}

/* The first configuration, in cuDNN's order, that makes a plan. */
static bool choose(const rg_dnn *dnn, rg_dnn_plan *p, descriptor graph, cudnnBackendHeurMode_t mode)
{
    const setting s[] = {
        {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph},
        {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode},
        {CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &dnn->device},
    };
    descriptor configs[CONFIGS] = {NULL};
    descriptor heuristics = make(dnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, s, COUNT(s));
    int made = 0;
    while (heuristics && made < CONFIGS &&
           dnn->calls.cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                                                   &configs[made]) == CUDNN_STATUS_SUCCESS)
        made++;
    const int64_t n = made ? get_numbers(dnn, heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, made, (void *)configs)
                           : 0;
    int chosen = -1;
    for (int i = 0; i < n && chosen < 0; i++)
        if (try_config(dnn, p, configs[i])) chosen = i;
    for (int i = 0; i < made; i++)
        if (i == chosen)
            p->parts[p->n_parts++] = configs[i];
        else
            dnn->calls.cudnnBackendDestroyDescriptor(configs[i]);
    if (heuristics) dnn->calls.cudnnBackendDestroyDescriptor(heuristics);
    return chosen >= 0;
}

const rg_dnn_plan *rg_dnn_find(rg_dnn *dnn, const rg_dnn_conv *c)
{
    if (!dnn) return NULL;
    uint64_t i = rg_xxh3(c, sizeof *c) % SLOTS;
    while (dnn->plans[i].used && memcmp(&dnn->plans[i].key, c, sizeof *c) != 0) i = (i + 1) % SLOTS;
    rg_dnn_plan *p = &dnn->plans[i];
    if (p->used) return p->plan ? p : NULL;
    if (dnn->n_plans == RG_DNN_PLANS) return NULL; /* kernels of any other may be on their way */
    p->key = *c;
    p->used = true;
    dnn->n_plans++;
    descriptor graph = add_graph(dnn, p);
    if (graph && !choose(dnn, p, graph, CUDNN_HEUR_MODE_A))
        (void)choose(dnn, p, graph, CUDNN_HEUR_MODE_FALLBACK);
    return p->plan ? p : NULL;
}

int64_t rg_dnn_plan_workspace(const rg_dnn_plan *plan)
{
    return plan->workspace;
}

rg_status rg_dnn_run(rg_dnn *dnn, const rg_dnn_plan *plan, const void *x, const void *w,
                     const void *y, void *workspace, rg_error *err)
{
    const int64_t ids[] = {'x', 'w', 'y'};
    const void *pointers[] = {x, w, y};
    const setting s[] = {
        {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, ids},
        {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace},
    };
    descriptor pack = make(dnn, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, s, COUNT(s));
    if (!pack) return rg_fail(err, RG_ERR_DEVICE, "cuDNN refuses the tensors of a convolution");
    const cudnnStatus_t status = dnn->calls.cudnnBackendExecute(dnn->handle, plan->plan, pack);
    dnn->calls.cudnnBackendDestroyDescriptor(pack);
    if (status == CUDNN_STATUS_SUCCESS) return RG_OK;
    return rg_fail(err, RG_ERR_DEVICE, "cuDNN: launch of a convolution: %s",
                   dnn->calls.cudnnGetErrorString(status));
}

/* ---- the library ---- */

static rg_dnn *create(rg_error *err)
{
    rg_dnn *dnn = calloc(1, sizeof *dnn);
    if (!dnn) rg_fail(err, RG_ERR_NOMEM, "out of memory for the plans of convolutions");
    if (dnn && rg_dl_cudnn(&dnn->calls, err) == RG_OK) return dnn;
    free(dnn);
    return NULL;
}

static rg_dnn *with_device(rg_dnn *dnn, const setting *s, rg_error *err)
{
    dnn->device = make(dnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, s, 1);
    if (dnn->device) return dnn;
    rg_fail(err, RG_ERR_DEVICE, "cuDNN cannot describe the device; version 9.8 or newer is needed");
    rg_dnn_close(dnn);
    return NULL;
}

rg_dnn *rg_dnn_open(void *stream, rg_error *err)
{
    rg_dnn *dnn = create(err);
    if (!dnn) return NULL;
    cudnnStatus_t status = dnn->calls.cudnnCreate(&dnn->handle);
    if (status == CUDNN_STATUS_SUCCESS) status = dnn->calls.cudnnSetStream(dnn->handle, stream);
    if (status != CUDNN_STATUS_SUCCESS) {
        rg_fail(err, RG_ERR_DEVICE, "cuDNN cannot be started: %s",
                dnn->calls.cudnnGetErrorString(status));
        rg_dnn_close(dnn);
        return NULL;
    }
    return with_device(
        dnn, &(setting){CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, &dnn->handle}, err);
}

rg_dnn *rg_dnn_open_described(const char *device, rg_error *err)
{
    rg_dnn *dnn = create(err);
    if (!dnn) return NULL;
    const setting json = {CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                          (int64_t)strlen(device), device};
    return with_device(dnn, &json, err);
}

void rg_dnn_close(rg_dnn *dnn)
{
    if (!dnn) return;
    for (int i = 0; i < SLOTS; i++) drop(dnn, &dnn->plans[i]);
    if (dnn->device) dnn->calls.cudnnBackendDestroyDescriptor(dnn->device);
    if (dnn->handle) dnn->calls.cudnnDestroy(dnn->handle);
    free(dnn);
}
