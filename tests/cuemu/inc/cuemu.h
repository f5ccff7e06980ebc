/*
 * CUDA C++ kernels on the CPU: what a kernel sees of the emulator.
 *
 * One idea: the same .cu file that nvcc compiles is compiled by g++ or clang++ with this header in
 * place of the toolkit's; every CUDA thread is a fiber, one block runs at a time, and whatever a
 * GPU would do wrongly without a word is reported (cuemu_private.h, reports).
 * Types, enums and prototypes are the toolkit's own. Not here: timing, memory ordering between
 * blocks, fast-math errors.
 */
#ifndef CUEMU_H
#define CUEMU_H

#include <cuda_runtime_api.h>
#include <vector_functions.h>
#include <vector_types.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

/* The toolkit makes __global__, __device__ and their like empty for a plain compiler. */
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __forceinline__
#define __forceinline__ inline __attribute__((always_inline))

/* Where a warp operation or barrier stands in the source. */
#define CUEMU_AT const char *f_ = __builtin_FILE(), int l_ = __builtin_LINE()
#define CUEMU_FULL 0xffffffffu

namespace cuemu
{

struct fiber;

struct thread {
    uint3 index;
    unsigned linear, warp, lane, warp_epoch; /* epochs count barriers passed */
    int state;
    struct fiber *fiber;
    const char *file, *what; /* where it is blocked, and in what */
    int line;
};

struct block {
    uint3 index;
    dim3 threads_dim, grid_dim;
    unsigned threads, warps, epoch;
    unsigned char *dyn; /* dynamic shared memory */
    size_t dyn_bytes;
};

extern thread *cur; /* NULL outside kernels */
extern block blk;

/* A warp operation in which lanes meet: what each brought, read by all after the last came. */
struct Coll {
    unsigned mask, arrived, unread;
    int op, line;
    const char *file;
    alignas(16) unsigned char val[32][16];
    void *ptr[32][4];
    Coll *next;
};

enum { OP_SHUFFLE, OP_BALLOT, OP_SYNC, OP_MMA, OP_REDUCE, OP_LDSM, OP_COUNT };

void syncthreads(const char *file, int line);
int syncthreads_count(int predicate, const char *file, int line);
/* Waits for the lanes of `mask`; the last to come calls `last` before anybody goes on. */
Coll *coll_arrive(int op, unsigned mask, const void *value, size_t bytes, const char *file,
                  int line, void *const *ptrs = nullptr, void (*last)(Coll *) = nullptr);
void coll_leave(Coll *m);
void coll_bad_source(unsigned lane, const Coll *m);

/* The block's variable of this key: poisoned with NaNs at its first use, between red zones. */
void *shared_var(void *key, size_t bytes, size_t align, const char *name);

/* An asynchronous copy of 16 bytes that happens when it is waited for. */
void async_copy(void *to, const void *from);
void async_commit();
void async_wait(unsigned groups_left);

void atomic_access(void *p, unsigned bytes); /* for the checker */
[[noreturn]] void trap();

cudaError_t launch_packed(const char *name, const void *kernel, dim3 grid, dim3 threads,
                          size_t shared, cudaStream_t stream, void (*invoke)(const void *),
                          const void *args, size_t bytes);

/* Arguments are converted to the kernel's own types at the launch, and copied then. */
template <class... P> struct packed {
    void (*kernel)(P...);
    std::tuple<P...> args;
};

template <class... P> void invoke(const void *p)
{
    const packed<P...> *call = static_cast<const packed<P...> *>(p);
    std::apply(call->kernel, call->args);
}

template <class... P, class... A>
cudaError_t launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 threads, size_t shared,
                   cudaStream_t stream, A &&...args)
{
    static_assert((std::is_trivially_copyable_v<P> && ...), "parameters are copied as bytes");
    const packed<P...> call{kernel, std::tuple<P...>(static_cast<P>(std::forward<A>(args))...)};
    static_assert(sizeof call <= 4096, "parameters of a kernel have 4 KB");
    return launch_packed(name, (const void *)kernel, grid, threads, shared, stream, invoke<P...>,
                         &call, sizeof call);
}

template <class T> T shuffle(unsigned mask, T v, unsigned source, const char *file, int line)
{
    static_assert(sizeof(T) <= 16 && std::is_trivially_copyable_v<T>);
    Coll *m = coll_arrive(OP_SHUFFLE, mask, &v, sizeof v, file, line);
    if (m->arrived >> source & 1)
        std::memcpy((void *)&v, m->val[source], sizeof v);
    else
        coll_bad_source(source, m);
    coll_leave(m);
    return v;
}

/* Combines what the lanes of `mask` brought, in the order of lanes. */
template <class T, class F> T reduce(unsigned mask, T v, F combine, const char *file, int line)
{
    Coll *m = coll_arrive(OP_REDUCE, mask, &v, sizeof v, file, line);
    bool first = true;
    for (int lane = 0; lane < 32; lane++) {
        if (!(m->arrived >> lane & 1)) continue;
        T other;
        std::memcpy(&other, m->val[lane], sizeof other);
        v = first ? other : combine(v, other);
        first = false;
    }
    coll_leave(m);
    return v;
}

} // namespace cuemu

#define threadIdx (::cuemu::cur->index)
#define blockIdx (::cuemu::blk.index)
#define blockDim (::cuemu::blk.threads_dim)
#define gridDim (::cuemu::blk.grid_dim)
static constexpr int warpSize = 32;

/* ---- barriers and warp operations ---- */

inline void __syncthreads(CUEMU_AT)
{
    ::cuemu::syncthreads(f_, l_);
}
inline int __syncthreads_count(int p, CUEMU_AT)
{
    return ::cuemu::syncthreads_count(p, f_, l_);
}
inline int __syncthreads_or(int p, CUEMU_AT)
{
    return ::cuemu::syncthreads_count(p, f_, l_) != 0;
}
inline int __syncthreads_and(int p, CUEMU_AT)
{
    return ::cuemu::syncthreads_count(!p, f_, l_) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, CUEMU_AT)
{
    ::cuemu::coll_leave(::cuemu::coll_arrive(::cuemu::OP_SYNC, mask, nullptr, 0, f_, l_));
}
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T> T __shfl_sync(unsigned mask, T v, int source, int width = 32, CUEMU_AT)
{
    const unsigned within = (unsigned)width - 1, lane = ::cuemu::cur->lane;
    return ::cuemu::shuffle(mask, v, (lane & ~within) | ((unsigned)source & within), f_, l_);
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, CUEMU_AT)
{
    const unsigned within = (unsigned)width - 1, lane = ::cuemu::cur->lane;
    const unsigned source = lane ^ (unsigned)bits;
    const bool outside = (source & ~within) > (lane | within);
    return ::cuemu::shuffle(mask, v, (outside ? lane : source) & 31, f_, l_);
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, CUEMU_AT)
{
    const unsigned within = (unsigned)width - 1, lane = ::cuemu::cur->lane;
    const bool outside = (lane & within) + by >= (unsigned)width;
    return ::cuemu::shuffle(mask, v, outside ? lane : lane + by, f_, l_);
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, CUEMU_AT)
{
    const unsigned within = (unsigned)width - 1, lane = ::cuemu::cur->lane;
    return ::cuemu::shuffle(mask, v, (lane & within) < by ? lane : lane - by, f_, l_);
}
inline unsigned __ballot_sync(unsigned mask, int p, CUEMU_AT)
{
    const unsigned mine = p ? 1u << ::cuemu::cur->lane : 0;
    return ::cuemu::reduce(
        mask, mine, [](unsigned a, unsigned b) { return a | b; }, f_, l_);
}
inline int __any_sync(unsigned mask, int p, CUEMU_AT)
{
    return __ballot_sync(mask, p, f_, l_) != 0;
}
inline int __all_sync(unsigned mask, int p, CUEMU_AT)
{
    return __ballot_sync(mask, !p, f_, l_) == 0;
}

/* ---- memory ---- */

template <class T> T __ldg(const T *p)
{
    return *p;
}
template <class T> T __ldcs(const T *p)
{
    return *p;
}
template <class T> void __stcs(T *p, T v)
{
    *p = v;
}

namespace cuemu
{
/* Fibers run one at a time, so a plain update is atomic; the checker is told. */
template <class T, class F> T atomic(T *p, F next)
{
    atomic_access(p, sizeof *p);
    T old;
    __builtin_memcpy(&old, p, sizeof old);
    const T value = next(old);
    __builtin_memcpy(p, &value, sizeof value);
    return old;
}
} // namespace cuemu

#define CUEMU_ATOMIC(T, name, expression)                           \
    inline __attribute__((no_sanitize("thread"))) T name(T *p, T v) \
    {                                                               \
        return ::cuemu::atomic(p, [v](T old) -> T {                 \
            (void)old;                                              \
            return (expression);                                    \
        });                                                         \
    }
CUEMU_ATOMIC(float, atomicAdd, old + v)
CUEMU_ATOMIC(int, atomicAdd, old + v)
CUEMU_ATOMIC(unsigned, atomicAdd, old + v)
CUEMU_ATOMIC(unsigned long long, atomicAdd, old + v)
CUEMU_ATOMIC(int, atomicMax, old > v ? old : v)
CUEMU_ATOMIC(unsigned, atomicMax, old > v ? old : v)
CUEMU_ATOMIC(unsigned long long, atomicMax, old > v ? old : v)
CUEMU_ATOMIC(int, atomicMin, old < v ? old : v)
CUEMU_ATOMIC(unsigned, atomicMin, old < v ? old : v)
CUEMU_ATOMIC(unsigned long long, atomicMin, old < v ? old : v)
CUEMU_ATOMIC(unsigned, atomicOr, old | v)
CUEMU_ATOMIC(unsigned, atomicExch, v)

/* ---- arithmetic ---- */

inline float __int_as_float(int v)
{
    float r;
    std::memcpy(&r, &v, 4);
    return r;
}
inline int __float_as_int(float v)
{
    int r;
    std::memcpy(&r, &v, 4);
    return r;
}
inline float __uint_as_float(unsigned v)
{
    return __int_as_float((int)v);
}
inline unsigned __float_as_uint(float v)
{
    return (unsigned)__float_as_int(v);
}
inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}
inline float __expf(float x)
{
    return expf(x);
}
inline float __logf(float x)
{
    return logf(x);
}
inline float __fdividef(float a, float b)
{
    return a / b;
}
inline float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}
inline float __fadd_rn(float a, float b)
{
    return a + b;
}
inline float __fmul_rn(float a, float b)
{
    return a * b;
}
inline float __fsqrt_rn(float a)
{
    return sqrtf(a);
}
inline float __fdiv_rn(float a, float b)
{
    return a / b;
}
inline double __dadd_rn(double a, double b)
{
    return a + b;
}
inline double __dmul_rn(double a, double b)
{
    return a * b;
}
inline int __popc(unsigned v)
{
    return __builtin_popcount(v);
}
inline int __clz(int v)
{
    return v ? __builtin_clz((unsigned)v) : 32;
}
inline int __ffs(int v)
{
    return __builtin_ffs(v);
}
inline unsigned __brev(unsigned v)
{
    unsigned r = 0;
    for (int bit = 0; bit < 32; bit++) r |= (v >> bit & 1u) << (31 - bit);
    return r;
}
inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)((unsigned long long)a * b >> 32);
}
template <class T> T min(T a, T b)
{
    return b < a ? b : a;
}
template <class T> T max(T a, T b)
{
    return a < b ? b : a;
}
inline float min(float a, float b)
{
    return fminf(a, b);
}
inline float max(float a, float b)
{
    return fmaxf(a, b);
}
[[noreturn]] inline void __trap()
{
    ::cuemu::trap();
}

/* ---- the runtime's C++ forms ---- */

template <class F> cudaError_t cudaFuncSetAttribute(F *f, cudaFuncAttribute attribute, int value)
{
    return cudaFuncSetAttribute((const void *)f, attribute, value);
}

#endif
