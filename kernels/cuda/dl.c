/*
 * Opening NVIDIA's libraries (dl.h).
 *
 * One idea: a table of functions is an array of pointers in the order of a list of names.
 */
#include "kernels/cuda/dl.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernels/gpu.h"

rg_status rg_dl_fill(const char *file, const char *const *names, size_t n, void *table,
                     rg_error *err)
{
    void *library =
        dlopen(file, RTLD_NOW | RTLD_LOCAL); /* stays open: its handles may outlive us */
    if (!library)
        return rg_fail(err, RG_ERR_DEVICE, "cannot open %s (%s); install it or use --device cpu",
                       file, dlerror());
    for (size_t i = 0; i < n; i++) {
        void *function = dlsym(library, names[i]);
        if (!function)
            return rg_fail(err, RG_ERR_DEVICE, "%s has no %s; a newer version is needed", file,
                           names[i]);
        memcpy((char *)table + i * sizeof function, &function, sizeof function);
    }
    return RG_OK;
}

#ifdef RG_CUDA_EMU /* the stand-ins are part of the program */
rg_status rg_dl_cublaslt(rg_cublaslt *table, rg_error *err)
{
    (void)err;
#define F(name) .name = name,
    *table = (rg_cublaslt){RG_CUBLASLT_CALLS(F)};
    return RG_OK;
}

rg_status rg_dl_cudnn(rg_cudnn *table, rg_error *err)
{
    (void)err;
    *table = (rg_cudnn){RG_CUDNN_CALLS(F)};
#undef F
    return RG_OK;
}
#else
rg_status rg_dl_cublaslt(rg_cublaslt *table, rg_error *err)
{
#define F(name) #name,
    static const char *const names[] = {RG_CUBLASLT_CALLS(F)};
    return rg_dl_fill("libcublasLt.so.13", names, sizeof names / sizeof *names, table, err);
}

rg_status rg_dl_cudnn(rg_cudnn *table, rg_error *err)
{
    static const char *const names[] = {RG_CUDNN_CALLS(F)};
#undef F
    return rg_dl_fill("libcudnn.so.9", names, sizeof names / sizeof *names, table, err);
}
#endif

/* ---- versions ---- */

typedef enum version_kind { VERSION_SIZE, VERSION_POINTER } version_kind;

/* How a library tells its version: size_t f(void) or status f(int *); and what a unit of its first
 * two numbers is worth. */
static const struct {
    const char *name, *file, *function;
    version_kind kind;
    int major, minor;
} libraries[RG_GPU_LIBRARIES] = {
    {"cuBLASLt", "libcublasLt.so.13", "cublasLtGetVersion", VERSION_SIZE, 10000, 100},
    {"cuDNN", "libcudnn.so.9", "cudnnGetVersion", VERSION_SIZE, 10000, 100},
    {"NCCL", "libnccl.so.2", "ncclGetVersion", VERSION_POINTER, 10000, 100},
    {"cuFFT", "libcufft.so.12", "cufftGetVersion", VERSION_POINTER, 1000, 100},
};

static int64_t ask_version(void *function, version_kind kind)
{
    if (kind == VERSION_SIZE) {
        size_t (*ask)(void);
        memcpy(&ask, &function, sizeof ask);
        return (int64_t)ask();
    }
    int (*ask)(int *);
    int version = 0;
    memcpy(&ask, &function, sizeof ask);
    return ask(&version) == 0 ? version : 0;
}

int rg_gpu_libraries(rg_gpu_library out[RG_GPU_LIBRARIES])
{
    for (int i = 0; i < RG_GPU_LIBRARIES; i++) {
        out[i] = (rg_gpu_library){.name = libraries[i].name, .file = libraries[i].file};
        void *library = dlopen(libraries[i].file, RTLD_LAZY | RTLD_LOCAL);
        void *function = library ? dlsym(library, libraries[i].function) : NULL;
        if (!function) continue;
        int64_t v = ask_version(function, libraries[i].kind);
        const int64_t major = libraries[i].major, minor = libraries[i].minor;
        snprintf(out[i].version, sizeof out[i].version, "%d.%d.%d", (int)(v / major),
                 (int)(v % major / minor), (int)(v % minor));
    }
    return RG_GPU_LIBRARIES;
}
