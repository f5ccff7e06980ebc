/*
 * Helpers of the operators (op_util.h).
 */
#include "ops/op_util.h"

#include <inttypes.h>

rg_status rg_op_want_rank(rg_exec *ex, const rg_tensor *t, const char *name, int32_t low,
                          int32_t high)
{
    if (!t || (t->shape.ndim >= low && t->shape.ndim <= high)) return RG_OK;
    char text[96];
    return rg_exec_fail(ex, RG_ERR_SHAPE, "%s is %s, expected %d to %d dims", name,
                        rg_shape_text(t->shape, text), low, high);
}

rg_status rg_op_want_shape(rg_exec *ex, const rg_tensor *t, const char *name, rg_shape want)
{
    if (!t || rg_shape_equal(t->shape, want)) return RG_OK;
    char a[96], b[96];
    return rg_exec_fail(ex, RG_ERR_SHAPE, "%s is %s, expected %s", name, rg_shape_text(t->shape, a),
                        rg_shape_text(want, b));
}

rg_status rg_op_want_between(rg_exec *ex, const char *name, int64_t value, int64_t low,
                             int64_t high)
{
    if (value >= low && value <= high) return RG_OK;
    return rg_exec_fail(ex, RG_ERR_SHAPE, "%s is %" PRId64 ", expected %" PRId64 " to %" PRId64,
                        name, value, low, high);
}

rg_status rg_op_save(rg_exec *ex, rg_node *n, int32_t k, rg_dtype type, rg_shape shape)
{
    if (!n->recording) return RG_OK;
    n->saved[k] = rg_tensor_new(ex, type, shape);
    return ex->error.code;
}

rg_status rg_op_add_scaled(rg_exec *ex, const void *from, double factor, const void *by, void *to,
                           int64_t n, bool add)
{
    rg_add_args args = {.a = from, .y = to, .n = n, .n_b = n, .alpha = factor, .by = by};
    if (add) {
        args.a = to;
        args.alpha = 1;
        args.b = from;
        args.beta = factor;
    }
    return ex->kernels->add.forward(&ex->kernel_ctx, &args);
}

rg_status rg_op_copy(rg_exec *ex, const void *from, int64_t ld_from, void *to, int64_t ld_to,
                     int64_t rows, int64_t cols, bool add)
{
    rg_copy_args args = {.src = from,
                         .dst = to,
                         .rows = rows,
                         .cols = cols,
                         .ld_src = ld_from,
                         .ld_dst = ld_to,
                         .add = add};
    return ex->kernels->copy(&ex->kernel_ctx, &args);
}

void rg_op_start_sum(rg_exec *ex, const rg_tensor *din)
{
    if (!din || rg_op_adds(din)) return;
    rg_exec_zero(ex, din->data, (size_t)rg_shape_count(din->shape) * rg_dtype_size(din->dtype));
}

void *rg_op_at(const rg_exec *ex, const void *p, int64_t n)
{
    return p ? (char *)p + n * (int64_t)rg_dtype_size(ex->kernels->real) : NULL;
}

void *rg_op_scratch(rg_exec *ex, int64_t n)
{
    void *p = rg_arena_alloc(ex->kernel_ctx.scratch, (size_t)n * rg_dtype_size(ex->kernels->real));
    if (!p) rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full; use a smaller batch");
    return p;
}

rg_tensor *rg_op_call(rg_exec *ex, const rg_op *op, rg_tensor *const in[RG_MAX_IN],
                      const void *attr)
{
    rg_tensor *out[RG_MAX_OUT];
    return rg_apply(ex, op, in, attr, out) == RG_OK ? out[0] : NULL;
}
