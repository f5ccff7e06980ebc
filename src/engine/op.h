/*
 * What an operator is: one row of a table that is made from ops.def.
 *
 * One idea: an operator owns its shape rule, its forward, its backward, its flop count and its test
 * cases, all in one file of src/ops. The enum, the table and the list of generic tests come from
 * the same list.
 */
#ifndef RG_ENGINE_OP_H
#define RG_ENGINE_OP_H

#include "engine/tensor.h"

enum { RG_MAX_IN = 8, RG_MAX_OUT = 3, RG_MAX_SAVE = 4 };

typedef struct rg_exec rg_exec;
typedef struct rg_op rg_op;

/* One tape entry; lives in the step arena. */
struct rg_node {
    const rg_op *op;
    const rg_kernels *kernels; /* that it runs on, and its gradient */
    const void *attr; /* attribute struct, copied into the step arena; NULL when the op has none */
    rg_tensor *in[RG_MAX_IN];
    rg_tensor *out[RG_MAX_OUT];
    rg_tensor *saved[RG_MAX_SAVE]; /* what forward keeps for backward; NULL when not recording */
    uint32_t in_version[RG_MAX_IN];
    uint64_t stream; /* random stream of this node: from the exec's step and the node's number */
    bool recording;  /* forward: whether saved values are wanted */
};

/* How the generic tests make one input of a case. */
typedef enum rg_case_kind {
    RG_CASE_ABSENT, /* a NULL input */
    RG_CASE_REAL,   /* differentiated: normal numbers, scaled by `high`, kept `low` away from 0
                       (kinks) */
    RG_CASE_FIXED,  /* real, not differentiated */
    RG_CASE_INT,    /* int32 uniform in [low, high] */
    RG_CASE_MASK,   /* uint8, 1 with probability `high`, first of each row always 1 */
    RG_CASE_COUNT,  /* F32 positions 0, 1, 2 ... times `high` plus `low` */
    RG_CASE_SAME,   /* the same tensor as input number (int)low */
} rg_case_kind;

typedef struct rg_case_in {
    rg_case_kind kind;
    rg_shape shape;
    double low, high;
} rg_case_in;

typedef struct rg_op_case {
    const char *name;
    rg_case_in in[RG_MAX_IN];
    const void *attr; /* of the op's attr_size; NULL when it has none */
    double tolerance; /* multiplies the generic f32 bound; 0 means 1 */
} rg_op_case;

typedef enum rg_input_type { RG_INPUT_REAL, RG_INPUT_F32, RG_INPUT_I32, RG_INPUT_U8 } rg_input_type;

/* What rg_apply checks of an input before infer is called. */
typedef struct rg_op_input {
    const char *name;
    rg_input_type type; /* REAL: the kernels' float type */
    bool optional;      /* may be NULL */
    bool fixed;         /* gets no gradient (as all but REAL ones) */
    bool wide;          /* REAL: of the exec's `real` wherever activations are stored: weights */
} rg_op_input;

/* Of an exec that stores activations in 16 bits (exec.h): which an operator takes and gives. What
 * comes in the other type rg_apply converts, and rg_backward converts the gradient back. */
typedef enum rg_op_storage {
    RG_OP_FOLLOWS, /* 16 bits if any input that is not wide has them */
    RG_OP_STORED,  /* 16 bits: products and what feeds them */
    RG_OP_WIDE,    /* the exec's `real`: losses, spectra, the quantizer's search */
} rg_op_storage;

struct rg_op {
    const char *name;
    int32_t n_in, n_out;
    rg_op_input input[RG_MAX_IN];
    bool fixed_out[RG_MAX_OUT]; /* outputs that pass no gradient on (codes, statistics) */
    rg_op_storage storage;
    bool straight_through; /* the gradient of output 0 goes to input 0 unchanged */
    size_t attr_size;
    /* Shapes and types of the outputs; type RG_DTYPE_COUNT: this output is not made (NULL).
     * RG_ERR_SHAPE through rg_exec_fail with the offending shapes. */
    rg_status (*infer)(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype out_type[]);
    rg_status (*forward)(rg_exec *ex, rg_node *n);
    /*
     * Fills din[i] for every i where it is not NULL; din[i]->flags says whether to add. dout[j] is
     * NULL when nothing arrived at output j. Of both at least one is not NULL. NULL: the operator
     * has no gradient.
     */
    rg_status (*backward)(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[]);
    /* Of forward; the gradient of input 0 counts as much, and those of the others together. */
    int64_t (*flops)(const rg_node *n);
    const rg_op_case *cases;
    int32_t n_cases;
};

enum rg_op_id {
#define RG_OP(name) RG_OP_##name,
#include "engine/ops.def"
#undef RG_OP
    RG_OP_COUNT
};
#define RG_OP(name) extern const rg_op rg_op_##name;
#include "engine/ops.def"
#undef RG_OP

/* The table in the order of the enum. Defined beside the operators (src/ops/table.c). */
extern const rg_op *const rg_ops[RG_OP_COUNT];

#endif
