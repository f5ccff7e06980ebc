/*
 * Benchmarks of the kernels and of a training step, for `resonant bench`.
 *
 * One idea: every figure stands beside the FMA peak measured around it in the same run, because
 * hosts differ and are shared; the share of that peak is what can be compared.
 */
#ifndef RG_TRAIN_BENCH_H
#define RG_TRAIN_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "base/text.h"

/*
 * Runs the groups in names[0..n): "gemm", "conv", "lstm", "attention", "train"; n 0: all. On all
 * CPUs of the process, pinned; kernels of the level that RG_ISA allows. Writes a table to `out`, or
 * with `json` one object {isa, threads, rows: [{group, name, min_ms, median_ms, gflops, share}]}.
 * An unknown name is RG_ERR_USAGE. Takes some seconds a group.
 */
rg_status rg_bench_run(const char *const *names, size_t n, bool json, rg_text *out,
                       const rg_log *log, rg_error *err) RG_MUST_USE;

#endif
