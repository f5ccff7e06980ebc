/*
 * A kernel call as data: an argument struct whose pointers are filled for any table, float or
 * double, at any placement in memory.
 *
 * One idea: a call is described once (which pointer fields, how many elements, read or written);
 * from that come the buffers, the canaries around them, the NULL, NaN, accumulate and packed
 * variants, and the comparison of a fast level with the double reference.
 * Not here: which calls there are (kernel_cases.h).
 */
#ifndef RG_TESTS_KERNEL_CALL_H
#define RG_TESTS_KERNEL_CALL_H

#include <stdbool.h>

#include "kernels/gpu.h"

enum { RG_CALL_FIELDS = 20, RG_CALL_ARGS = 512, RG_CALL_PACKS = 2 };

/* Runs one slot of a table on an argument struct. */
typedef rg_status rg_call_fn(const rg_kernels *k, rg_kernel_ctx *ctx, const void *args);

typedef struct rg_call_field {
    const char *name;
    size_t offset;  /* of the pointer in the argument struct */
    rg_dtype type;  /* RG_DTYPE_COUNT: the table's real */
    bool out;       /* written by the call (and read, when the call says so) */
    bool nullable;  /* may be left out */
    bool stored;    /* in the table's 16 bits where it has them; others are floats there */
    ptrdiff_t add;  /* offset of its accumulate flag; -1: none */
    int64_t n;      /* elements */
    double length;  /* of its longest sum: the unit of the bound */
    double *values; /* what it holds before the call; exact in float */
} rg_call_field;

/* A weight that may be given packed as well. */
typedef struct rg_call_pack {
    size_t offset, type_offset;
    int32_t field;
    int64_t rows, cols;
} rg_call_pack;

typedef struct rg_call {
    char name[128];
    rg_call_fn *fn;
    _Alignas(16) unsigned char args[RG_CALL_ARGS];
    rg_call_field fields[RG_CALL_FIELDS];
    int32_t n_fields;
    rg_call_pack packs[RG_CALL_PACKS];
    int32_t n_packs;
    bool activated;   /* an activation stands before its products */
    bool nan_defined; /* what a NaN does is promised */
    int32_t index;    /* of the case */
    uint64_t seed;
    rg_arena *memory; /* where values live */
} rg_call;

/* Building. Values are drawn from (seed, name): the same field has the same values in a forward and
 * in its gradient call. */
rg_call_field *rg_call_in(rg_call *c, const char *name, size_t offset, int64_t n, double scale);
rg_call_field *rg_call_ints(rg_call *c, const char *name, size_t offset, int64_t n, int64_t low,
                            int64_t high);
rg_call_field *rg_call_out(rg_call *c, const char *name, size_t offset, int64_t n, double length);
/* An output of `source`, computed by the double reference, becomes an input of c. */
void rg_call_take(rg_call *c, const rg_call *source, const char *name);
rg_call_field *rg_call_find(rg_call *c, const char *name); /* NULL when there is none */

typedef enum rg_placement {
    RG_PLACE_ALIGNED, /* on a 64-byte line, canaries behind */
    RG_PLACE_SHIFTED, /* one element further */
    RG_PLACE_FLUSH,   /* the last element touches an unmapped page */
    RG_PLACE_COUNT
} rg_placement;

/* How a call is run. */
typedef struct rg_variant {
    rg_placement placement;
    bool add;          /* set every accumulate flag */
    rg_dtype packed;   /* F32, BF16 or I8: also give packed weights; RG_DTYPE_COUNT: do not */
    const char *leave; /* this output is NULL */
    const char *nan;   /* this input holds one NaN, in its middle */
    rg_dtype operands; /* of products: F32 or BF16 */
    rg_dtype stored;   /* F16, BF16: what is stored so, and weights, hold only such values */
    rg_pool *pool;     /* NULL: one thread */
    rg_arena *scratch; /* NULL: one that is large enough */
    rg_gpu *gpu;       /* buffers cross over to it, and it gives the stream; NULL: the CPU */
} rg_variant;

/* What a run left behind: the fields' values as doubles (NULL for inputs and left-out outputs). */
typedef struct rg_outcome {
    rg_status status;
    rg_error error;
    double *values[RG_CALL_FIELDS];
} rg_outcome;

/*
 * Runs the call. Fails the test when a canary or an input was changed. Values live in c->memory.
 */
void rg_call_run(const rg_call *c, const rg_kernels *k, const rg_variant *v, rg_outcome *out);

/* Fails the test unless every output of `seen` is within units * (sqrt(length) * rms of `truth`
 * + its own size), NaN for NaN. */
void rg_call_compare(const rg_call *c, const char *level, const rg_outcome *truth,
                     const rg_outcome *seen, double unit);

/* How far an output may be from the truth in a table of 16-bit activations. */
typedef struct rg_half_bound {
    double unit;    /* of fp32 sums, as above */
    double stored;  /* rounding of a result that is stored in 16 bits, relative to itself */
    double least;   /* the same where such numbers are subnormal, absolute */
    double between; /* what was rounded on the way, relative to the output's rms */
} rg_half_bound;
void rg_call_compare_halves(const rg_call *c, const char *level, const rg_outcome *truth,
                            const rg_outcome *seen, const rg_half_bound *bound);
/* Fails the test unless the outputs present in both have the same bits. */
void rg_call_same_bits(const rg_call *c, const char *what, const rg_outcome *a,
                       const rg_outcome *b);

#endif
