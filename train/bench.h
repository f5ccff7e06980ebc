/*
 * Benchmarks of models and of kernels, for `resonant bench`.
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
#include "dist/comm.h"

/*
 * Runs the groups in names[0..n); n 0: all. On all CPUs of the process, pinned; kernels of the
 * level that RG_ISA allows. An unknown name is RG_ERR_USAGE. Takes some seconds a row.
 *
 * Models, with the shapes that other frameworks are timed on: "train" (a transformer's training
 * step), "seanet" and "lstm" (forward and backward), "gan" (a codec's step against a
 * discriminator), "codec" (five seconds encoded and decoded),
 * "decode" (100 steps with caches). Kernels: "gemm", "conv", "attention", "spectra" (transforms
 * and mel bands of a second), a layer in "lstm", and the layers of a "discriminator" of
 * spectrograms.
 * Data: "loader" (training crops of a store made for it in a temporary folder). Music: "features"
 * (a minute heard), "prompt" (a sentence read). All but "spectra", "loader" and these two are timed
 * with fp32 and, where the CPU multiplies them (decode: always), bf16 operands.
 *
 * A row says how long cores were idle: waiting for blocks that others were at, and while one thread
 * worked alone between parallel runs.
 *
 * Writes a table to `out`, or with `json` one object {isa, threads, peak_gflops: {fp32, bf16},
 * rows: [{group, name, precision, threads, min_ms, median_ms, gflops, share_of_peak, x_real_time,
 * per_s, mb_per_s, idle_waiting, idle_alone}]}; of those behind median_ms the ones that mean
 * something.
 */
rg_status rg_bench_run(const char *const *names, size_t n, bool json, rg_text *out,
                       const rg_log *log, rg_error *err) RG_MUST_USE;

/*
 * What several processes take to exchange memory, and a training step of theirs; all call it alike,
 * rank 0 writes. `device` "cpu", or "cuda" for a GPU each. The calls of rg_comm by bytes of the
 * whole, beside a copy of as many within one process; then, on CPUs, the step of "train" by one
 * process alone and by all, each with as much work.
 *
 * JSON: {backend, processes, rows: [{name, bytes, min_us, median_us, mb_per_s}], step: {runs,
 * alone_ms, together_ms, efficiency}}.
 */
rg_status rg_bench_dist(rg_comm *comm, const char *device, bool json, rg_text *out,
                        const rg_log *log, rg_error *err) RG_MUST_USE;

#endif
