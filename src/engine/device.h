/*
 * The device that a user names: "auto", "cpu", "cuda" or "cuda:N".
 *
 * One idea: a GPU's exec takes its memory when it is made and asks for none later, so what does not
 * fit is known at once. Not here: what a GPU is (kernels/gpu.h).
 */
#ifndef RG_ENGINE_DEVICE_H
#define RG_ENGINE_DEVICE_H

#include "base/log.h"
#include "engine/exec.h"

/* Whether `device` is one of those words, and for cuda whether there is any GPU; opens nothing. */
rg_status rg_device_check(const char *device, rg_error *err) RG_MUST_USE;

/*
 * Opens the GPU that is meant; *gpu NULL: the CPU. NULL is "cpu". "auto" takes a GPU when there is
 * one and says in the log what it took and why. Of several `processes` each takes a GPU of its own,
 * which `place`, its number on its host, decides; "cuda:N" is refused.
 */
rg_status rg_device_open(const char *device, int32_t processes, int32_t place, const rg_log *log,
                         rg_gpu **gpu, rg_error *err) RG_MUST_USE;

/* An exec over most of the GPU's free memory, or of so many bytes of it (0: all), with its kernels
 * for activations stored as F32, F16 or BF16; `options` says the rest. Parameters get what is left.
 * NULL with the error set. */
rg_exec *rg_device_exec(rg_gpu *gpu, const rg_exec_options *options, rg_dtype activations,
                        int64_t bytes, rg_error *err);

#endif
