/*
 * What the files of the benchmarks share: a timed job, and an engine for whole models.
 */
#ifndef RG_TRAIN_BENCH_INTERNAL_H
#define RG_TRAIN_BENCH_INTERNAL_H

#include <jansson.h>

#include "dist/comm.h"
#include "engine/params.h"
#include "kernels/kernels.h"
#include "train/bench.h"

typedef struct rg_bench {
    const rg_kernels *kernels;
    rg_kernel_ctx ctx;
    rg_arena *data; /* operands; rewound after each row of a table */
    rg_text *out;
    const rg_log *log;
    json_t *rows;               /* NULL: text */
    double peak_f32, peak_bf16; /* GF/s, the best of this run; ctx.operands says which counts */
    rg_error *err;
} rg_bench;

/* What one call of a job does; what is 0 or NULL is not said. */
typedef struct rg_bench_work {
    double flop, audio_seconds, count, bytes;
    const char *counted;   /* what `count` counts */
    const char *precision; /* NULL: that of ctx.operands */
    int32_t threads;       /* 0: those of the pool */
} rg_bench_work;

typedef rg_status rg_bench_fn(rg_bench *b, void *args);

/*
 * Runs fn(args) for about half a second, at least five times unless that takes long, and reports
 * it.
 */
rg_status rg_bench_time(rg_bench *b, const char *group, const char *name, const rg_bench_work *work,
                        rg_bench_fn *fn, void *args) RG_MUST_USE;

/* n numbers in [-1,1) that live until the row ends; NULL with the error set. */
float *rg_bench_operand(rg_bench *b, int64_t n);

/* Calls run(what) with a fresh engine for ctx.operands and empty parameters; what fails there ends
 * in b->err. */
typedef rg_status rg_bench_model_fn(rg_bench *b, rg_exec *ex, rg_params *params, const void *what);
rg_status rg_bench_engine(rg_bench *b, rg_bench_model_fn *run, const void *what) RG_MUST_USE;

/* The groups. Models: as their peers are timed, one row each; the shapes stand in their files. */
rg_status rg_bench_train(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_seanet(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_lstm(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_gan(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_codec(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_decode(rg_bench *b) RG_MUST_USE;
/* Seconds of `runs` steps of "train" by all processes of comm; NULL: by this one alone. */
rg_status rg_bench_train_together(rg_bench *b, rg_comm *comm, int runs,
                                  double *seconds) RG_MUST_USE;
/* Kernels. */
rg_status rg_bench_gemm(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_conv(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_discriminator(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_lstm_layer(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_attention(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_spectra(rg_bench *b) RG_MUST_USE;
/* Data on its way to training. */
rg_status rg_bench_loader(rg_bench *b) RG_MUST_USE;
/* Sound heard, sentences read. */
rg_status rg_bench_features(rg_bench *b) RG_MUST_USE;
rg_status rg_bench_prompt(rg_bench *b) RG_MUST_USE;

#endif
