/*
 * The table of operators, in the order of ops.def.
 */
#include "engine/op.h"

const rg_op *const rg_ops[RG_OP_COUNT] = {
#define RG_OP(name) &rg_op_##name,
#include "engine/ops.def"
#undef RG_OP
};
