/*
 * Stands in for cuDNN where kernels run in the emulator: the backend calls that dnn.c makes, with
 * every attribute looked at as the library would.
 *
 * One idea: one table says which attribute of which descriptor has which type and count, and
 * whether it must be there; what a final descriptor means is checked when it becomes final. A
 * refusal is a line on stderr and is counted. Engines are offered as cuDNN does: the first is not
 * deterministic, the second wants more workspace than anybody has, the third is good. Not here:
 * arithmetic (emu_cudnn_conv.c). Stricter than the library: filters and tensors must be packed with
 * the channels last, as it takes some other strides and reads them as if they were these.
 */
#include "emu_cudnn.h"

#include <cudnn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x644e4e21, VALUES = 8, NUMBERS = 4, WORKSPACE = 4096 };

struct cudnnContext {
    uint32_t magic;
    cudaStream_t stream;
};

typedef struct value {
    int name;
    int64_t count, numbers[NUMBERS]; /* descriptors and pointers too */
} value;

typedef struct object {
    uint32_t magic; /* 0: destroyed */
    cudnnBackendDescriptorType_t kind;
    bool final;
    int n;
    value values[VALUES];
    struct object *graph; /* of configurations and engines, which the library makes, */
    int engine;           /* and which of them */
} object;

/* Destroyed ones stay until the last handle goes, so that their use is seen. */
static object **objects;
static int n_objects, handles, refusals, plans, runs[2];
static cuemu_cudnn_offer offered;

void cuemu_cudnn_offers(cuemu_cudnn_offer offer)
{
    offered = offer;
}

int cuemu_cudnn_refusals(void)
{
    return refusals;
}

int cuemu_cudnn_runs(int way)
{
    return runs[way];
}

int cuemu_cudnn_plans(void)
{
    return plans;
}

static cudnnStatus_t refuse(const char *what)
{
    fprintf(stderr, "cuDNN stand-in: %s\n", what);
    refusals++;
    return CUDNN_STATUS_BAD_PARAM;
}

#define REFUSE_IF(cond)                    \
    do {                                   \
        if (cond) return refuse("" #cond); \
    } while (0)

/* ---- what attributes there are ---- */

#define OF(what) CUDNN_BACKEND_##what##_DESCRIPTOR
#define INT CUDNN_TYPE_INT64
#define TYPE CUDNN_TYPE_DATA_TYPE
#define DESC CUDNN_TYPE_BACKEND_DESCRIPTOR

typedef struct rule {
    int kind, name, type;
    int64_t least, most;
    int holds; /* a descriptor of which kind */
} rule;

#define OPERATION(kind, prefix, x, w, y)                             \
    {OF(kind), prefix##_##x, DESC, 1, 1, OF(TENSOR)},                \
        {OF(kind), prefix##_##w, DESC, 1, 1, OF(TENSOR)},            \
        {OF(kind), prefix##_##y, DESC, 1, 1, OF(TENSOR)},            \
        {OF(kind), prefix##_CONV_DESC, DESC, 1, 1, OF(CONVOLUTION)}, \
        {OF(kind), prefix##_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, 0},       \
    {                                                                \
        OF(kind), prefix##_BETA, CUDNN_TYPE_FLOAT, 1, 1, 0           \
    }

/* All of a kind must be there when it becomes final. */
static const rule rules[] = {
    {OF(DEVICEPROP), CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, 0},
    {OF(TENSOR), CUDNN_ATTR_TENSOR_DATA_TYPE, TYPE, 1, 1, 0},
    {OF(TENSOR), CUDNN_ATTR_TENSOR_DIMENSIONS, INT, 4, 4, 0},
    {OF(TENSOR), CUDNN_ATTR_TENSOR_STRIDES, INT, 4, 4, 0},
    {OF(TENSOR), CUDNN_ATTR_TENSOR_UNIQUE_ID, INT, 1, 1, 0},
    {OF(TENSOR), CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, INT, 1, 1, 0},
    {OF(CONVOLUTION), CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, INT, 1, 1, 0},
    {OF(CONVOLUTION), CUDNN_ATTR_CONVOLUTION_COMP_TYPE, TYPE, 1, 1, 0},
    {OF(CONVOLUTION), CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, 0},
    {OF(CONVOLUTION), CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, INT, 2, 2, 0},
    {OF(CONVOLUTION), CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, INT, 2, 2, 0},
    {OF(CONVOLUTION), CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, INT, 2, 2, 0},
    {OF(CONVOLUTION), CUDNN_ATTR_CONVOLUTION_DILATIONS, INT, 2, 2, 0},
    OPERATION(OPERATION_CONVOLUTION_FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD, X, W, Y),
    OPERATION(OPERATION_CONVOLUTION_BACKWARD_DATA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA, DX, W,
              DY),
    {OF(OPERATIONGRAPH), CUDNN_ATTR_OPERATIONGRAPH_OPS, DESC, 1, 1, 0},
    {OF(ENGINEHEUR), CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, DESC, 1, 1, OF(OPERATIONGRAPH)},
    {OF(ENGINEHEUR), CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1, 0},
    {OF(ENGINEHEUR), CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, DESC, 1, 1, OF(DEVICEPROP)},
    {OF(EXECUTION_PLAN), CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, DESC, 1, 1, OF(ENGINECFG)},
    {OF(EXECUTION_PLAN), CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, DESC, 1, 1, OF(DEVICEPROP)},
    {OF(VARIANT_PACK), CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, INT, 3, 3, 0},
    {OF(VARIANT_PACK), CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, 3, 0},
    {OF(VARIANT_PACK), CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, 0},
};
enum { RULES = sizeof rules / sizeof rules[0] };

/* Bytes of an element: enums and floats have 4. */
static size_t width_of(int type)
{
    return type == INT || type == DESC || type == CUDNN_TYPE_VOID_PTR || type == CUDNN_TYPE_HANDLE
               ? 8
               : 4;
}

static const value *find(const object *o, int name)
{
    for (int i = 0; i < o->n; i++)
        if (o->values[i].name == name) return &o->values[i];
    return NULL;
}

static const int64_t *numbers(const object *o, int name)
{
    return find(o, name)->numbers;
}

static object *part(const object *o, int name)
{
    return (object *)(void *)(intptr_t)numbers(o, name)[0];
}

static float real(const object *o, int name)
{
    float v;
    memcpy(&v, numbers(o, name), sizeof v);
    return v;
}

static bool alive(const object *o)
{
    for (int i = 0; i < n_objects; i++)
        if (objects[i] == o) return o->magic == MAGIC;
    return false;
}

/* ---- handles ---- */

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    if (offered == CUDNN_IS_ABSENT) return CUDNN_STATUS_NOT_INITIALIZED;
    *handle = calloc(1, sizeof **handle);
    if (!*handle) return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    (*handle)->magic = MAGIC;
    handles++;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    REFUSE_IF(!handle || handle->magic != MAGIC);
    free(handle);
    if (--handles > 0) return CUDNN_STATUS_SUCCESS;
    bool left = false;
    for (int i = 0; i < n_objects; i++) {
        if (objects[i]->magic == MAGIC) left = true;
        free(objects[i]);
    }
    free(objects);
    objects = NULL;
    n_objects = 0;
    REFUSE_IF(left && "descriptors are left");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    REFUSE_IF(!handle || handle->magic != MAGIC || !stream);
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    return status == CUDNN_STATUS_SUCCESS           ? "CUDNN_STATUS_SUCCESS"
           : status == CUDNN_STATUS_NOT_INITIALIZED ? "CUDNN_STATUS_NOT_INITIALIZED"
           : status == CUDNN_STATUS_NOT_SUPPORTED   ? "CUDNN_STATUS_NOT_SUPPORTED"
                                                    : "CUDNN_STATUS_BAD_PARAM";
}

/* ---- descriptors ---- */

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t kind,
                                           cudnnBackendDescriptor_t *out)
{
    object *o = calloc(1, sizeof *o),
           **all = realloc(objects, (size_t)(n_objects + 1) * sizeof *all);
    if (!o || !all) abort();
    objects = all;
    objects[n_objects++] = o;
    o->magic = MAGIC;
    o->kind = kind;
    *out = o;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d)
{
    object *o = d;
    REFUSE_IF(!alive(o));
    o->magic = 0;
    return CUDNN_STATUS_SUCCESS;
}

static bool is_operation(const object *o)
{
    return o->kind == OF(OPERATION_CONVOLUTION_FORWARD) ||
           o->kind == OF(OPERATION_CONVOLUTION_BACKWARD_DATA);
}

/* A descriptor within another: there, final, of the right kind. */
static bool is_fit(const rule *r, const object *o)
{
    return alive(o) && o->final && (r->holds ? (int)o->kind == r->holds : is_operation(o));
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values)
{
    object *o = d;
    const rule *r = NULL;
    REFUSE_IF(!alive(o) || o->final || !values);
    for (int i = 0; i < RULES; i++)
        if (rules[i].kind == (int)o->kind && rules[i].name == (int)name) r = &rules[i];
    REFUSE_IF(!r && "an attribute that the descriptor does not have");
    REFUSE_IF((int)type != r->type);
    REFUSE_IF(count < r->least || count > r->most);
    REFUSE_IF(o->n == VALUES || find(o, (int)name));
    value v = {.name = (int)name, .count = count};
    const size_t width = width_of(r->type);
    for (int64_t i = 0; i < count; i++)
        memcpy(&v.numbers[i], (const char *)values + (size_t)i * width, width);
    REFUSE_IF(r->type == DESC && !is_fit(r, (const object *)(const void *)(intptr_t)v.numbers[0]));
    o->values[o->n++] = v;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- what becomes final ---- */

static cudnnStatus_t check_tensor(const object *o)
{
    const int64_t *d = numbers(o, CUDNN_ATTR_TENSOR_DIMENSIONS),
                  *s = numbers(o, CUDNN_ATTR_TENSOR_STRIDES),
                  align = numbers(o, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT)[0],
                  type = numbers(o, CUDNN_ATTR_TENSOR_DATA_TYPE)[0];
    REFUSE_IF(type != CUDNN_DATA_HALF && type != CUDNN_DATA_BFLOAT16);
    REFUSE_IF(d[0] < 1 || d[1] < 1 || d[2] < 1 || d[3] < 1);
    REFUSE_IF(s[1] != 1 || s[3] != d[1] || s[2] != d[1] * d[3] || s[0] != d[1] * d[2] * d[3]);
    REFUSE_IF(align < 2 || align > 16 || (align & (align - 1)));
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_convolution(const object *o)
{
    const int64_t *before = numbers(o, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS),
                  *after = numbers(o, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS),
                  *stride = numbers(o, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES),
                  *dilation = numbers(o, CUDNN_ATTR_CONVOLUTION_DILATIONS);
    REFUSE_IF(numbers(o, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS)[0] != 2);
    REFUSE_IF(numbers(o, CUDNN_ATTR_CONVOLUTION_COMP_TYPE)[0] != CUDNN_DATA_FLOAT);
    REFUSE_IF(numbers(o, CUDNN_ATTR_CONVOLUTION_CONV_MODE)[0] != CUDNN_CROSS_CORRELATION);
    for (int i = 0; i < 2; i++) {
        REFUSE_IF(before[i] < 0 || after[i] < 0);
        REFUSE_IF(stride[i] < 1 || dilation[i] < 1);
    }
    return CUDNN_STATUS_SUCCESS;
}

/* Parts of an operation, whichever it is. */
typedef struct operation {
    int way;
    object *x, *w, *y, *conv;
    float alpha, beta;
} operation;

static operation operation_of(const object *o)
{
#define READ(number, prefix, x, w, y)                                                     \
    (operation)                                                                           \
    {                                                                                     \
        number, part(o, prefix##_##x), part(o, prefix##_##w), part(o, prefix##_##y),      \
            part(o, prefix##_CONV_DESC), real(o, prefix##_ALPHA), real(o, prefix##_BETA), \
    }
    if (o->kind == OF(OPERATION_CONVOLUTION_FORWARD))
        return READ(0, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD, X, W, Y);
    return READ(1, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA, DX, W, DY);
#undef READ
}

static cudnnStatus_t check_operation(const object *o)
{
    const operation p = operation_of(o);
    const int64_t *x = numbers(p.x, CUDNN_ATTR_TENSOR_DIMENSIONS),
                  *w = numbers(p.w, CUDNN_ATTR_TENSOR_DIMENSIONS),
                  *y = numbers(p.y, CUDNN_ATTR_TENSOR_DIMENSIONS);
    const int64_t type = numbers(p.x, CUDNN_ATTR_TENSOR_DATA_TYPE)[0];
    REFUSE_IF(numbers(p.w, CUDNN_ATTR_TENSOR_DATA_TYPE)[0] != type);
    REFUSE_IF(numbers(p.y, CUDNN_ATTR_TENSOR_DATA_TYPE)[0] != type);
    REFUSE_IF(p.alpha != 1 || (p.beta != 0 && p.beta != 1)); /* others are not known here */
    REFUSE_IF(x[0] != y[0] || x[1] != w[1] || y[1] != w[0]);
    for (int i = 0; i < 2; i++) {
        const int64_t in = x[2 + i] + numbers(p.conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)[i] +
                           numbers(p.conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)[i],
                      window =
                          (w[2 + i] - 1) * numbers(p.conv, CUDNN_ATTR_CONVOLUTION_DILATIONS)[i] + 1,
                      stride = numbers(p.conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)[i];
        REFUSE_IF(in < window || y[2 + i] != (in - window) / stride + 1);
    }
    const int64_t ids[] = {numbers(p.x, CUDNN_ATTR_TENSOR_UNIQUE_ID)[0],
                           numbers(p.w, CUDNN_ATTR_TENSOR_UNIQUE_ID)[0],
                           numbers(p.y, CUDNN_ATTR_TENSOR_UNIQUE_ID)[0]};
    REFUSE_IF(ids[0] == ids[1] || ids[0] == ids[2] || ids[1] == ids[2]);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_plan(const object *o)
{
    if (part(o, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->engine < 0)
        return CUDNN_STATUS_NOT_SUPPORTED;
    plans++;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d)
{
    object *o = d;
    REFUSE_IF(!alive(o) || o->final);
    REFUSE_IF(o->kind == OF(ENGINECFG) || o->kind == OF(ENGINE)); /* the library's own */
    for (int i = 0; i < RULES; i++)
        REFUSE_IF(rules[i].kind == (int)o->kind && !find(o, rules[i].name) && "one is missing");
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    if (o->kind == OF(TENSOR)) status = check_tensor(o);
    if (o->kind == OF(CONVOLUTION)) status = check_convolution(o);
    if (is_operation(o)) status = check_operation(o);
    if (o->kind == OF(EXECUTION_PLAN)) status = check_plan(o);
    o->final = status == CUDNN_STATUS_SUCCESS;
    return status;
}

/* ---- what is asked ---- */

static bool has_type(const object *graph)
{
    const operation p = operation_of(part(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS));
    struct cudaDeviceProp device = {0};
    if (cudaGetDeviceProperties(&device, 0) != cudaSuccess) return false;
    return numbers(p.x, CUDNN_ATTR_TENSOR_DATA_TYPE)[0] == CUDNN_DATA_HALF || device.major >= 8;
}

/* Engines -1 .. 2 in mode A: not supported, not deterministic, large, good; fall back: good. */
static cudnnStatus_t answer_heuristics(const object *o, int64_t room, int64_t *n, void *out)
{
    object *graph = part(o, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    const bool first = numbers(o, CUDNN_ATTR_ENGINEHEUR_MODE)[0] == CUDNN_HEUR_MODE_A;
    const int64_t all = offered == CUDNN_HAS_NONE || !has_type(graph) ? 0 : first ? 4 : 1;
    object **configs = out;
    *n = room < all ? room : all;
    for (int64_t i = 0; i < *n; i++) {
        REFUSE_IF(!alive(configs[i]) || configs[i]->kind != OF(ENGINECFG) || configs[i]->final);
        configs[i]->final = true;
        configs[i]->graph = graph;
        configs[i]->engine = first ? (int)i - 1 : 2;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t answer_engine(const object *o, int64_t *n, void *out)
{
    object *engine = *(object **)out;
    REFUSE_IF(!alive(engine) || engine->kind != OF(ENGINE) || engine->final);
    engine->final = true;
    engine->engine = o->engine;
    *n = 1;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t answer_notes(const object *o, int64_t room, int64_t *n, void *out)
{
    cudnnBackendNumericalNote_t notes[] = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE,
                                           CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC};
    *n = o->engine == 0 ? 2 : 1;
    memcpy(out, notes, (size_t)(room < *n ? room : *n) * sizeof *notes);
    return CUDNN_STATUS_SUCCESS;
}

static int64_t workspace_of(const object *plan)
{
    const bool large = offered == CUDNN_IS_LARGE ||
                       part(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->engine == 1;
    return large ? (int64_t)1 << 30 : WORKSPACE;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const d,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t *n,
                                       void *out)
{
    const object *o = d;
    REFUSE_IF(!alive(o) || !o->final || room < 1 || !n || !out);
    if (o->kind == OF(ENGINEHEUR) && name == CUDNN_ATTR_ENGINEHEUR_RESULTS && type == DESC)
        return answer_heuristics(o, room, n, out);
    if (o->kind == OF(ENGINECFG) && name == CUDNN_ATTR_ENGINECFG_ENGINE && type == DESC)
        return answer_engine(o, n, out);
    if (o->kind == OF(ENGINE) && name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE &&
        type == CUDNN_TYPE_NUMERICAL_NOTE)
        return answer_notes(o, room, n, out);
    if (o->kind == OF(EXECUTION_PLAN) && name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE &&
        type == INT) {
        const int64_t bytes = workspace_of(o);
        memcpy(out, &bytes, sizeof bytes);
        *n = 1;
        return CUDNN_STATUS_SUCCESS;
    }
    return refuse("an attribute that cannot be asked for");
}

/* ---- execution ---- */

/* Where the pack says that a tensor lies; NULL: nowhere, or not as it is aligned. */
static char *address_of(const object *pack, const object *tensor)
{
    const int64_t id = numbers(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID)[0],
                  align = numbers(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT)[0];
    for (int i = 0; i < 3; i++) {
        const int64_t p = numbers(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS)[i];
        if (numbers(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS)[i] == id && p % align == 0)
            return (char *)(intptr_t)p;
    }
    return NULL;
}

static void copy_pair(int64_t to[2], const object *conv, int name)
{
    memcpy(to, numbers(conv, name), 2 * sizeof *to);
}

static void read_sizes(const operation *p, cuemu_conv *v)
{
    const int64_t *x = numbers(p->x, CUDNN_ATTR_TENSOR_DIMENSIONS),
                  *w = numbers(p->w, CUDNN_ATTR_TENSOR_DIMENSIONS),
                  *y = numbers(p->y, CUDNN_ATTR_TENSOR_DIMENSIONS);
    v->way = p->way;
    v->add = p->beta != 0;
    v->type =
        numbers(p->x, CUDNN_ATTR_TENSOR_DATA_TYPE)[0] == CUDNN_DATA_HALF ? CUDA_R_16F : CUDA_R_16BF;
    v->batch = x[0], v->c = x[1], v->k = y[1];
    for (int i = 0; i < 2; i++) v->x[i] = x[2 + i], v->y[i] = y[2 + i], v->taps[i] = w[2 + i];
    copy_pair(v->before, p->conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    copy_pair(v->after, p->conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
    copy_pair(v->stride, p->conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    copy_pair(v->dilation, p->conv, CUDNN_ATTR_CONVOLUTION_DILATIONS);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack)
{
    const object *o = plan, *given = pack;
    REFUSE_IF(!handle || handle->magic != MAGIC || !handle->stream);
    REFUSE_IF(!alive(o) || !o->final || o->kind != OF(EXECUTION_PLAN));
    REFUSE_IF(!alive(given) || !given->final || given->kind != OF(VARIANT_PACK));
    const object *config = part(o, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    REFUSE_IF(!alive(config) || config->engine != 2);
    REFUSE_IF(!alive(config->graph));
    const object *op = part(config->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    REFUSE_IF(!alive(op));
    const operation p = operation_of(op);
    REFUSE_IF(!alive(p.x) || !alive(p.w) || !alive(p.y) || !alive(p.conv));
    cuemu_conv v = {.px = address_of(given, p.x),
                    .pw = address_of(given, p.w),
                    .py = address_of(given, p.y),
                    .workspace_bytes = workspace_of(o)};
    v.workspace = (char *)(intptr_t)numbers(given, CUDNN_ATTR_VARIANT_PACK_WORKSPACE)[0];
    REFUSE_IF(!v.px || !v.pw || !v.py);
    REFUSE_IF(!v.workspace || (intptr_t)v.workspace % 256 != 0);
    read_sizes(&p, &v);
    runs[v.way]++;
    cuemu_enqueue_conv(handle->stream, &v);
    return CUDNN_STATUS_SUCCESS;
}
