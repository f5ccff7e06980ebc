/*
 * What linear and the convolutions share: three inputs x, w and bias, a weight that may be packed,
 * and three gradients. Private to src/ops.
 *
 * One idea: kernels.h names these fields alike in every argument struct, so the mapping of tensors
 * to them is written once; a file adds its sizes and attributes behind it.
 */
#ifndef RG_OPS_WEIGHTED_H
#define RG_OPS_WEIGHTED_H

#include "ops/op_util.h"

/* The fields of a node's forward arguments. */
#define RG_WEIGHTED_ARGS(n)                                               \
    .x = (n)->in[0]->data, .w = (n)->in[1]->data, .y = (n)->out[0]->data, \
    .bias = rg_op_data((n)->in[2]), .w_packed = (n)->in[1]->packed,       \
    .packed_type = (n)->in[1]->packed_type
/* The sizes of a convolution over time. */
#define RG_WEIGHTED_STEPS(n)                                              \
    .batch = (n)->in[0]->shape.dim[0], .t_in = (n)->in[0]->shape.dim[1],  \
    .t_out = (n)->out[0]->shape.dim[1], .c_in = (n)->in[0]->shape.dim[2], \
    .c_out = (n)->in[1]->shape.dim[2], .kernel = (int32_t)(n)->in[1]->shape.dim[0]
/* The fields of its gradient's arguments behind .fwd. */
#define RG_WEIGHTED_GRADS(dout, din)                                                               \
    .dy = (dout)[0]->data, .dx = rg_op_data((din)[0]), .dw = rg_op_data((din)[1]),                 \
    .dbias = rg_op_data((din)[2]), .add_dx = rg_op_adds((din)[0]), .add_dw = rg_op_adds((din)[1]), \
    .add_dbias = rg_op_adds((din)[2])

/* The table row of a file whose functions and cases have their usual names. */
#define RG_WEIGHTED_OP(op, attributes)                               \
    const rg_op rg_op_##op = {                                       \
        .name = #op,                                                 \
        .n_in = 3,                                                   \
        .n_out = 1,                                                  \
        .input = {{.name = "x"},                                     \
                  {.name = "w", .wide = true},                       \
                  {.name = "bias", .wide = true, .optional = true}}, \
        .storage = RG_OP_STORED,                                     \
        .attr_size = sizeof(attributes),                             \
        .flops = flops,                                              \
        RG_OP_PARTS,                                                 \
    }

/*
 * RG_ERR_SHAPE unless x (...,C_in) has `low` to `high` dims, w is (K...,C_in,C_out) with n_kernel
 * axes of 1 to `longest` steps in front, and bias is (C_out) or NULL.
 */
rg_status rg_weighted_check(rg_exec *ex, rg_tensor *const in[], int32_t low, int32_t high,
                            int32_t n_kernel, int64_t longest) RG_MUST_USE;

#endif
