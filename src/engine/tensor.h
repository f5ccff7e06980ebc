/*
 * Tensors: typed, shaped views of memory that somebody else owns.
 *
 * One idea: a tensor never owns memory; it lives in an arena (step or persist) and is always
 * contiguous, row-major, channels-last. There are no strided views: slice and concat copy.
 */
#ifndef RG_ENGINE_TENSOR_H
#define RG_ENGINE_TENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

enum { RG_MAX_DIMS = 4 };

typedef struct rg_shape {
    int32_t ndim;
    int64_t dim[RG_MAX_DIMS];
} rg_shape;

enum rg_tensor_flag {
    RG_TENSOR_PARAM =
        1, /* belongs to an rg_params; id is fixed; gradient goes to the flat buffer */
    RG_TENSOR_STATE = 2,      /* persistent, never differentiated (codebooks, caches) */
    RG_TENSOR_ACCUMULATE = 4, /* on a din[] handed to backward: add instead of overwrite */
};

typedef struct rg_node rg_node;

typedef struct rg_tensor {
    rg_shape shape;
    rg_dtype dtype;
    struct rg_gpu *gpu; /* whose memory `data` lies in; NULL: the host's */
    uint32_t flags;
    int32_t id;       /* index into gradient tables; parameters first */
    uint32_t version; /* parameters: raised whenever their values change */
    void *data;
    void *host; /* states of an rg_params: their elements on the host, on the CPU `data` itself */
    const void *packed; /* parameters: shadow copy for this exec's kernels, or NULL */
    rg_dtype packed_type;
    const rg_node *node; /* producer; NULL for leaves and after rg_detach */
} rg_tensor;

rg_shape rg_shape_of(int32_t ndim, const int64_t *dims);
#define RG_SHAPE(...)                                                          \
    rg_shape_of((int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                (int64_t[]){__VA_ARGS__})
int64_t rg_shape_count(rg_shape shape); /* elements; 1 for ndim 0 */
int64_t rg_shape_rows(rg_shape shape);  /* product of all dims but the last */
int64_t rg_shape_last(rg_shape shape);  /* last dim, 1 for ndim 0 */
bool rg_shape_equal(rg_shape a, rg_shape b);
const char *rg_shape_text(rg_shape shape, char out[96]); /* "(2,512,128)" */
size_t rg_dtype_size(rg_dtype type);
const char *rg_dtype_text(rg_dtype type); /* the safetensors name */
bool rg_dtype_parse(const char *text, rg_dtype *out);

float rg_bf16_to_float(uint16_t v);
uint16_t rg_bf16_from_float(float v); /* nearest even; NaN stays NaN */
float rg_f16_to_float(uint16_t v);
uint16_t rg_f16_from_float(float v);

#endif
