/*
 * What the operators' files share: reading tensors that may be NULL, checks, saved values and the
 * few copies that several gradients need. Private to src/ops.
 *
 * One idea: an operator's file then holds only what is its own: the shape rule and the mapping of
 * tensors to a kernel's arguments.
 */
#ifndef RG_OPS_OP_UTIL_H
#define RG_OPS_OP_UTIL_H

#include "ops/ops.h"

#define RG_COUNT_OF(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* The parts of a table row that every operator's file names alike. */
#define RG_OP_PARTS                                                           \
    .infer = infer, .forward = forward, .backward = backward, .cases = cases, \
    .n_cases = RG_COUNT_OF(cases)

/* Inputs of test cases (op.h): dims last. */
#define RG_SHAPE_INIT(...)                                             \
    {                                                                  \
        (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
        {                                                              \
            __VA_ARGS__                                                \
        }                                                              \
    }
#define REAL(...)                                      \
    {                                                  \
        RG_CASE_REAL, RG_SHAPE_INIT(__VA_ARGS__), 0, 1 \
    }
#define AWAY(distance, ...)                                   \
    {                                                         \
        RG_CASE_REAL, RG_SHAPE_INIT(__VA_ARGS__), distance, 1 \
    }
#define FIXED(...)                                      \
    {                                                   \
        RG_CASE_FIXED, RG_SHAPE_INIT(__VA_ARGS__), 0, 1 \
    }
#define INTS(low, high, ...)                               \
    {                                                      \
        RG_CASE_INT, RG_SHAPE_INIT(__VA_ARGS__), low, high \
    }
#define MASK(probability, ...)                                   \
    {                                                            \
        RG_CASE_MASK, RG_SHAPE_INIT(__VA_ARGS__), 0, probability \
    }
#define COUNT(start, step, ...)                                \
    {                                                          \
        RG_CASE_COUNT, RG_SHAPE_INIT(__VA_ARGS__), start, step \
    }
#define SAME(input)                      \
    {                                    \
        RG_CASE_SAME, {0, {0}}, input, 0 \
    }
#define ABSENT                         \
    {                                  \
        RG_CASE_ABSENT, {0, {0}}, 0, 0 \
    }

/* NULL and false for a NULL tensor. */
static inline void *rg_op_data(const rg_tensor *t)
{
    return t ? t->data : NULL;
}
static inline bool rg_op_adds(const rg_tensor *t)
{
    return t && (t->flags & RG_TENSOR_ACCUMULATE);
}

/* RG_ERR_SHAPE unless t has `low` to `high` dims, or has exactly this shape. NULL t: fine. */
rg_status rg_op_want_rank(rg_exec *ex, const rg_tensor *t, const char *name, int32_t low,
                          int32_t high) RG_MUST_USE;
rg_status rg_op_want_shape(rg_exec *ex, const rg_tensor *t, const char *name,
                           rg_shape want) RG_MUST_USE;

/* RG_ERR_SHAPE when an attribute is not in [low, high]. */
rg_status rg_op_want_between(rg_exec *ex, const char *name, int64_t value, int64_t low,
                             int64_t high) RG_MUST_USE;

/* saved[k] of this type and shape while recording, else NULL. */
rg_status rg_op_save(rg_exec *ex, rg_node *n, int32_t k, rg_dtype type, rg_shape shape) RG_MUST_USE;

/* to (+)= factor * from, n real numbers; times *by, which lies where they do, unless it is NULL. */
rg_status rg_op_add_scaled(rg_exec *ex, const void *from, double factor, const void *by, void *to,
                           int64_t n, bool add) RG_MUST_USE;
/* A block of columns: to[r*ld_to + c] (+)= from[r*ld_from + c]. */
rg_status rg_op_copy(rg_exec *ex, const void *from, int64_t ld_from, void *to, int64_t ld_to,
                     int64_t rows, int64_t cols, bool add) RG_MUST_USE;
/* Zeroes a gradient that is not to be added to. NULL: nothing. */
void rg_op_start_sum(rg_exec *ex, const rg_tensor *din);
/* p + n elements of the kernels' real type. NULL stays NULL. */
void *rg_op_at(const rg_exec *ex, const void *p, int64_t n);
/* Room for n real numbers until the operator returns; NULL with the error recorded. */
void *rg_op_scratch(rg_exec *ex, int64_t n);

/* rg_apply for operators whose caller wants output 0 only. */
rg_tensor *rg_op_call(rg_exec *ex, const rg_op *op, rg_tensor *const in[RG_MAX_IN],
                      const void *attr);

#endif
