/*
 * What the two families of attention kernels share: dense operands, positions, limits, and the
 * rotation.
 *
 * One idea: a query or key that nobody may look at has the position NaN, and the masks are two
 * limits on q_pos - k_pos. Padding, key_mask, causal and window are then one comparison each way,
 * which NaN fails.
 * Not here: who fills these (attention.cu), tensor cores (attention_tensor.cuh), plain fp32
 * (attention_plain.cuh).
 */
#ifndef RG_KERNELS_CUDA_ATTENTION_CUH
#define RG_KERNELS_CUDA_ATTENTION_CUH

#include "kernels/cuda/operand.cuh"

namespace
{

/* Sequences are padded to whole tiles of the largest kind; bounds are kept for small ones. */
constexpr int ATT_PAD = 64, ATT_BOUND = 32;
constexpr float ATT_LOG2E = 1.4426950408889634f, ATT_LN2 = 0.6931471805599453f;

/* The queries' or the keys' positions. */
struct att_side {
    const float *pos;     /* (padded), or per item (B,padded); NaN: not to be looked at */
    const float2 *bounds; /* least and greatest of every ATT_BOUND positions */
    int steps, padded;
    int per_item; /* 1: pos and bounds have a row per batch item */
};

struct att_limits { /* a key is allowed when lower <= q_pos - k_pos <= upper */
    float lower, upper;
};

__device__ __forceinline__ bool att_allowed(att_limits limits, float q_pos, float k_pos)
{
    const float d = q_pos - k_pos;
    return d >= limits.lower && d <= limits.upper;
}

/* Least and greatest position of rows [first, first + rows), rows at most two bound tiles. */
__device__ __forceinline__ float2 att_bounds(const att_side &s, int item, int first, int rows)
{
    const float2 *b = s.bounds + (size_t)(s.per_item * item) * (s.padded / ATT_BOUND);
    float2 r = b[first / ATT_BOUND];
    if (rows > ATT_BOUND) {
        const float2 next = b[first / ATT_BOUND + 1];
        r.x = fminf(r.x, next.x), r.y = fmaxf(r.y, next.y);
    }
    return r;
}

__device__ __forceinline__ bool att_tiles_meet(att_limits limits, float2 q, float2 k)
{
    return !(q.y - k.x < limits.lower) && !(q.x - k.y > limits.upper);
}

__device__ __forceinline__ const float *att_pos(const att_side &s, int item)
{
    return s.pos + (size_t)(s.per_item * item) * s.padded;
}

/* The pair (d, d + D/2) turned by the angle of `turn` = (cos, sin); the reverse for gradients. */
__device__ __forceinline__ float2 att_rotate(float2 pair, float2 turn)
{
    return make_float2(pair.x * turn.x - pair.y * turn.y, pair.y * turn.x + pair.x * turn.y);
}

__device__ __forceinline__ float2 att_rotate_back(float2 pair, float2 turn)
{
    return att_rotate(pair, make_float2(turn.x, -turn.y));
}

/* Where gradients go: columns of head h of item b begin at out + (b*steps + t)*ld + h*D. */
template <class T> struct att_target {
    T *out; /* NULL: not wanted */
    size_t ld;
    const float2 *rope; /* (steps, D/2) of (cos, sin); NULL: not rotated */
    float scale;
};

template <class T> __device__ __forceinline__ void att_add(T *p, float v)
{
    *p = rg_from<T>(rg_tofloat(*p) + v);
}

/* One forward call on dense operands q, k, v (B*H, padded, D). */
template <class T, class O> struct att_forward {
    const O *q, *k, *v;
    att_side queries, keys;
    att_limits limits;
    T *out;     /* (B,Tq,H*D) */
    float *lse; /* (B,H,Tq) or NULL */
    int heads, head_dim;
    rg_dtype operands;
};

/*
 * Half a gradient: the rows of one side, `own`, against all of the other. Queries own (q, dout)
 * and meet (k, v); keys own (k, v) and meet (q, dout).
 */
template <class T, class O> struct att_backward {
    const O *own[2], *other[2]; /* (B*H, padded, D) each */
    att_side mine, theirs;
    att_limits limits;
    const float *lse, *delta; /* (B*H, padded queries): in units of ln 2; dout . out */
    att_target<T> target[2];  /* of own[0]; keys: of own[1] too */
    int heads, head_dim;
    rg_dtype operands;
};

} // namespace

#endif
