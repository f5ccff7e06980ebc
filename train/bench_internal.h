/*
 * What the groups of bench.c and bench_train.c share: one timed job.
 */
#ifndef RG_TRAIN_BENCH_INTERNAL_H
#define RG_TRAIN_BENCH_INTERNAL_H

#include <jansson.h>

#include "kernels/kernels.h"
#include "train/bench.h"

typedef struct rg_bench {
    const rg_kernels *kernels;
    rg_kernel_ctx ctx;
    rg_arena *data; /* operands; rewound after each row of a table */
    rg_text *out;
    const rg_log *log;
    json_t *rows; /* NULL: text */
    rg_error *err;
} rg_bench;

typedef rg_status rg_bench_fn(rg_bench *b, void *args);

/* Runs fn(args) for about half a second, at least five times, and reports it. */
rg_status rg_bench_time(rg_bench *b, const char *group, const char *name, double flop,
                        rg_bench_fn *fn, void *args) RG_MUST_USE;

/* The transformer step: a decoder with d 512, 4 layers, 4 x 512 tokens, vocabulary 1024, AdamW. */
rg_status rg_bench_train(rg_bench *b) RG_MUST_USE;

#endif
