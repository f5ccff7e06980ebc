/*
 * Attention: rotates and rounds the operands, then calls the kernels of the operands' kind.
 *
 * One idea: q, k, v and dout are gathered once per call into dense rows (B*H, padded T, D) of
 * operands: the column blocks, pitches and alignments of the caller end there, a key is rotated
 * once and not once per block of queries, and the kernels that follow read whole aligned tiles.
 * Gradients are made by blocks of queries and by blocks of keys, each sum in one fixed order.
 * Not here: the products (attention_tensor.cuh, attention_plain.cuh).
 */
#include <type_traits>

#include "kernels/cuda/attention_plain.cuh"
#include "kernels/cuda/attention_tensor.cuh"

namespace
{

constexpr int GATHER_THREADS = 256;

/* Positions as att_side wants them: one warp per bound tile; mask NULL: every step counts. */
__global__ void __launch_bounds__(32)
    positions_kernel(float *__restrict__ out, float2 *__restrict__ bounds,
                     const float *__restrict__ given, const uint8_t *__restrict__ mask, int steps,
                     int padded)
{
    const int tiles = padded / ATT_BOUND, item = blockIdx.x / tiles;
    const int t = blockIdx.x % tiles * ATT_BOUND + (int)threadIdx.x;
    const bool counts = t < steps && (!mask || mask[(size_t)item * steps + t]);
    const float pos = !counts ? NAN : given ? given[t] : (float)t;
    const float high = rg_warp_max(counts ? pos : -INFINITY);
    const float low = -rg_warp_max(counts ? -pos : -INFINITY);
    out[(size_t)item * padded + t] = pos;
    if (threadIdx.x == 0) bounds[blockIdx.x] = make_float2(low, high);
}

/* (cos, sin) of pos * base^(-2d/D) for d < D/2; the angle in double, as it is large. */
__global__ void __launch_bounds__(GATHER_THREADS)
    rope_kernel(float2 *__restrict__ table, const float *__restrict__ given, int steps,
                int head_dim, double base)
{
    const int pairs = head_dim / 2, i = blockIdx.x * GATHER_THREADS + (int)threadIdx.x;
    if (i >= steps * pairs) return;
    const double pos = given ? given[i / pairs] : (double)(i / pairs);
    const double angle = pos * pow(base, -2.0 * (i % pairs) / head_dim);
    table[i] = make_float2((float)cos(angle), (float)sin(angle));
}

/* What is gathered: columns of all heads of (B,T) rows at pitch ld. */
template <class T> struct gather_source {
    const T *m;
    size_t ld;
    const float2 *rope; /* NULL: not rotated */
    float scale;
    rg_dtype operands;
    int steps, padded, heads, head_dim, width;
};

/* out (B*H, padded, width): rotated, scaled, rounded; zeros beyond steps and head_dim. */
template <class T, class O>
__global__ void __launch_bounds__(GATHER_THREADS)
    gather_kernel(O *__restrict__ out, gather_source<T> s)
{
    const int tiles = s.padded / ATT_BOUND, bh = blockIdx.x / tiles, pairs = s.head_dim / 2;
    const int first = blockIdx.x % tiles * ATT_BOUND;
    for (int i = threadIdx.x; i < ATT_BOUND * s.width; i += GATHER_THREADS) {
        const int t = first + i / s.width, d = i % s.width;
        float v = 0.f;
        if (t < s.steps && d < s.head_dim) {
            const T *row =
                s.m + ((size_t)(bh / s.heads) * s.steps + t) * s.ld + bh % s.heads * s.head_dim;
            v = rg_tofloat(row[d]);
            if (s.rope && d < 2 * pairs) {
                const int low = d < pairs ? d : d - pairs;
                const float other = rg_tofloat(row[d < pairs ? d + pairs : low]);
                const float2 turn = s.rope[(size_t)t * pairs + low];
                v = v * turn.x + (d < pairs ? -other : other) * turn.y;
            }
        }
        out[((size_t)bh * s.padded + t) * s.width + d] =
            rg_from<O>(rg_operand(v * s.scale, s.operands));
    }
}

/* delta = dout . out and lse in units of ln 2, both (B*H, padded): one warp per query. */
template <class T>
__global__ void __launch_bounds__(GATHER_THREADS)
    delta_kernel(float *__restrict__ delta, float *__restrict__ lse2, const T *__restrict__ dout,
                 const T *__restrict__ out, const float *__restrict__ lse, int steps, int padded,
                 int heads, int head_dim)
{
    const int per_block = GATHER_THREADS / 32, tiles = padded / per_block;
    const int bh = blockIdx.x / tiles, lane = threadIdx.x & 31;
    const int t = blockIdx.x % tiles * per_block + (int)(threadIdx.x >> 5);
    const size_t row = ((size_t)(bh / heads) * steps + t) * heads + bh % heads;
    float sum = 0.f;
    for (int d = lane; t < steps && d < head_dim; d += 32)
        sum = fmaf(rg_tofloat(dout[row * head_dim + d]), rg_tofloat(out[row * head_dim + d]), sum);
    sum = rg_warp_sum(sum);
    if (lane == 0) {
        delta[(size_t)bh * padded + t] = sum;
        lse2[(size_t)bh * padded + t] = t < steps ? lse[(size_t)bh * steps + t] * ATT_LOG2E : 0.f;
    }
}

/* ---- host ---- */

static int att_padded(int64_t steps)
{
    return (int)((steps + ATT_PAD - 1) / ATT_PAD * ATT_PAD);
}

template <class P> static rg_status att_room(rg_kernel_ctx *ctx, P **p, size_t n)
{
    *p = static_cast<P *>(rg_arena_alloc(ctx->scratch, n * sizeof(P)));
    if (*p) return RG_OK;
    return rg_fail(ctx->error, RG_ERR_NOMEM,
                   "device scratch: no room for %.1f MiB of attention; use a smaller batch",
                   (double)(n * sizeof(P)) / 1048576);
}

static cudaStream_t att_stream(const rg_kernel_ctx *ctx)
{
    return static_cast<cudaStream_t>(ctx->stream);
}

static rg_status att_positions(rg_kernel_ctx *ctx, const float *given, const uint8_t *mask,
                               int64_t batch, int64_t steps, att_side *side)
{
    const size_t items = mask ? (size_t)batch : 1;
    const int padded = att_padded(steps), tiles = padded / ATT_BOUND;
    float *pos;
    float2 *bounds;
    RG_TRY(att_room(ctx, &pos, items * padded));
    RG_TRY(att_room(ctx, &bounds, items * tiles));
    *side = att_side{pos, bounds, (int)steps, padded, mask ? 1 : 0};
    if (tiles == 0) return RG_OK;
    return rg_cuda_check(ctx,
                         RG_LAUNCH(positions_kernel, dim3((unsigned)(items * tiles)), dim3(32), 0,
                                   att_stream(ctx), pos, bounds, given, mask, (int)steps, padded));
}

static rg_status att_rope(rg_kernel_ctx *ctx, const float *given, int64_t steps,
                          const rg_attention_args *a, const float2 **table)
{
    const int64_t n = steps * (a->head_dim / 2);
    float2 *room;
    *table = NULL;
    if (!(a->rope_base > 0) || n == 0) return RG_OK;
    RG_TRY(att_room(ctx, &room, (size_t)n));
    *table = room;
    return rg_cuda_check(ctx, RG_LAUNCH(rope_kernel,
                                        dim3((unsigned)((n + GATHER_THREADS - 1) / GATHER_THREADS)),
                                        dim3(GATHER_THREADS), 0, att_stream(ctx), room, given,
                                        (int)steps, (int)a->head_dim, a->rope_base));
}

/* The sides of one call, as every step below needs them. */
struct att_plan {
    att_side queries, keys;
    const float2 *q_rope, *k_rope;
    att_limits limits;
    int width; /* of a dense row */
    float scale;
};

static rg_status att_begin(rg_kernel_ctx *ctx, const rg_attention_args *a, int width, att_plan *p)
{
    const float far = a->window >= 0 ? (float)a->window : FLT_MAX;
    p->limits = att_limits{a->causal ? 0.f : -far, far};
    p->width = width;
    p->scale = (float)(1 / sqrt((double)a->head_dim));
    RG_TRY(att_positions(ctx, a->q_pos, NULL, a->batch, a->t_q, &p->queries));
    RG_TRY(att_positions(ctx, a->k_pos, a->key_mask, a->batch, a->t_k, &p->keys));
    RG_TRY(att_rope(ctx, a->q_pos, a->t_q, a, &p->q_rope));
    return att_rope(ctx, a->k_pos, a->t_k, a, &p->k_rope);
}

template <class T, class O>
static rg_status att_gather(rg_kernel_ctx *ctx, const rg_attention_args *a, const att_plan *p,
                            const att_side *side, const void *m, int64_t ld, const float2 *rope,
                            float scale, const O **dense)
{
    const size_t rows = (size_t)(a->batch * a->heads) * side->padded;
    const gather_source<T> s = {static_cast<const T *>(m),
                                (size_t)ld,
                                rope,
                                scale,
                                ctx->operands,
                                side->steps,
                                side->padded,
                                (int)a->heads,
                                (int)a->head_dim,
                                p->width};
    O *room;
    RG_TRY(att_room(ctx, &room, rows * p->width));
    *dense = room;
    if (rows == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH((gather_kernel<T, O>), dim3((unsigned)(rows / ATT_BOUND)),
                                        dim3(GATHER_THREADS), 0, att_stream(ctx), room, s));
}

/* Dense q, k, v; q times 1/sqrt(D) before it is rounded. */
template <class T, class O>
static rg_status att_gather_all(rg_kernel_ctx *ctx, const rg_attention_args *a, const att_plan *p,
                                const O *dense[3])
{
    RG_TRY(
        (att_gather<T, O>(ctx, a, p, &p->queries, a->q, a->ld_q, p->q_rope, p->scale, &dense[0])));
    RG_TRY((att_gather<T, O>(ctx, a, p, &p->keys, a->k, a->ld_k, p->k_rope, 1, &dense[1])));
    return att_gather<T, O>(ctx, a, p, &p->keys, a->v, a->ld_v, NULL, 1, &dense[2]);
}

template <class T, class O>
static rg_status att_forward_on(rg_kernel_ctx *ctx, const rg_attention_args *a, int width, int rows,
                                void (*kernel)(att_forward<T, O>))
{
    att_plan p;
    const O *dense[3];
    RG_TRY(att_begin(ctx, a, width, &p));
    RG_TRY((att_gather_all<T, O>(ctx, a, &p, dense)));
    const att_forward<T, O> f = {dense[0],
                                 dense[1],
                                 dense[2],
                                 p.queries,
                                 p.keys,
                                 p.limits,
                                 static_cast<T *>(a->out),
                                 static_cast<float *>(a->lse),
                                 (int)a->heads,
                                 (int)a->head_dim,
                                 ctx->operands};
    const unsigned blocks = (unsigned)(a->batch * a->heads * (p.queries.padded / rows));
    return rg_cuda_check(ctx, RG_LAUNCH(kernel, dim3(blocks), dim3(128), 0, att_stream(ctx), f));
}

/* The two halves of a gradient, and the tile of rows that their blocks own. */
template <class T, class O> struct att_grad_kernels {
    void (*queries)(att_backward<T, O>);
    void (*keys)(att_backward<T, O>);
    int rows;
};

template <class T, class O>
static rg_status att_delta(rg_kernel_ctx *ctx, const rg_attention_grad_args *g, const att_plan *p,
                           att_backward<T, O> *b)
{
    const rg_attention_args *a = &g->fwd;
    const size_t rows = (size_t)(a->batch * a->heads) * p->queries.padded;
    float *delta, *lse2;
    RG_TRY(att_room(ctx, &delta, rows));
    RG_TRY(att_room(ctx, &lse2, rows));
    b->delta = delta, b->lse = lse2;
    return rg_cuda_check(ctx,
                         RG_LAUNCH(delta_kernel<T>, dim3((unsigned)(rows / (GATHER_THREADS / 32))),
                                   dim3(GATHER_THREADS), 0, att_stream(ctx), delta, lse2,
                                   static_cast<const T *>(g->dout), static_cast<const T *>(a->out),
                                   static_cast<const float *>(a->lse), (int)a->t_q,
                                   p->queries.padded, (int)a->heads, (int)a->head_dim));
}

template <class T, class O>
static rg_status att_half_grad(rg_kernel_ctx *ctx, const rg_attention_args *a,
                               const att_backward<T, O> &b, int rows,
                               void (*kernel)(att_backward<T, O>))
{
    const unsigned blocks = (unsigned)(a->batch * a->heads * (b.mine.padded / rows));
    return rg_cuda_check(ctx, RG_LAUNCH(kernel, dim3(blocks), dim3(128), 0, att_stream(ctx), b));
}

template <class T, class O>
static rg_status att_grad_on(rg_kernel_ctx *ctx, const rg_attention_grad_args *g, int width,
                             const att_grad_kernels<T, O> &kernels)
{
    const rg_attention_args *a = &g->fwd;
    att_plan p;
    const O *dense[3], *dout;
    RG_TRY(att_begin(ctx, a, width, &p));
    RG_TRY((att_gather_all<T, O>(ctx, a, &p, dense)));
    RG_TRY((
        att_gather<T, O>(ctx, a, &p, &p.queries, g->dout, a->heads * a->head_dim, NULL, 1, &dout)));
    att_backward<T, O> b = {};
    b.limits = p.limits, b.heads = (int)a->heads, b.head_dim = (int)a->head_dim;
    b.operands = ctx->operands;
    RG_TRY((att_delta<T, O>(ctx, g, &p, &b)));
    b.own[0] = b.other[0] = dense[0];
    b.own[1] = b.other[1] = dout;
    if (g->dq) {
        b.other[0] = dense[1], b.other[1] = dense[2];
        b.mine = p.queries, b.theirs = p.keys;
        b.target[0] = {static_cast<T *>(g->dq), (size_t)a->ld_q, p.q_rope, p.scale};
        RG_TRY((att_half_grad<T, O>(ctx, a, b, kernels.rows, kernels.queries)));
    }
    if (!g->dk && !g->dv) return RG_OK;
    b.own[0] = dense[1], b.own[1] = dense[2];
    b.other[0] = dense[0], b.other[1] = dout;
    b.mine = p.keys, b.theirs = p.queries;
    b.target[0] = {static_cast<T *>(g->dk), (size_t)a->ld_k, p.k_rope, 1.f};
    b.target[1] = {static_cast<T *>(g->dv), (size_t)a->ld_v, NULL, 1.f};
    return att_half_grad<T, O>(ctx, a, b, kernels.rows, kernels.keys);
}

/* ---- which kernel ---- */

static bool att_nothing(const rg_attention_args *a)
{
    return a->batch * a->heads * a->t_q * a->head_dim == 0;
}

static rg_status att_check(rg_kernel_ctx *ctx, const rg_attention_args *a)
{
    if (a->head_dim <= 256) return RG_OK;
    return rg_fail(ctx->error, RG_ERR_UNSUPPORTED,
                   "attention on CUDA: heads of %lld channels; at most 256",
                   (long long)a->head_dim);
}

/* Tensor cores take operands O next to activations T when T is float or O itself. */
template <class O>
static bool att_on_tensor_cores(const rg_kernel_ctx *ctx, const rg_attention_args *a)
{
    const rg_dtype type = std::is_same<O, __half>::value ? RG_F16 : RG_BF16;
    return ctx->operands == type && (a->head_dim == 64 || a->head_dim == 128);
}

template <class T, class O>
constexpr bool att_pair = std::is_same<T, float>::value || std::is_same<T, O>::value;

template <class T, class O>
static rg_status tensor_forward(rg_kernel_ctx *ctx, const rg_attention_args *a)
{
    return att_forward_on<T, O>(ctx, a, (int)a->head_dim, FLASH_ROWS,
                                a->head_dim == 64 ? flash_kernel<T, O, 64>
                                                  : flash_kernel<T, O, 128>);
}

template <class T, class O, int D>
constexpr att_grad_kernels<T, O> flash_grads = {flash_grad_kernel<T, O, D, false>,
                                                flash_grad_kernel<T, O, D, true>, FLASH_ROWS};
template <class T, int SLICES>
constexpr att_grad_kernels<T, float> plain_grads = {plain_grad_kernel<T, SLICES, false>,
                                                    plain_grad_kernel<T, SLICES, true>, PLAIN_ROWS};

template <class T, class O>
static rg_status tensor_grad(rg_kernel_ctx *ctx, const rg_attention_grad_args *g)
{
    const int d = (int)g->fwd.head_dim;
    return att_grad_on<T, O>(ctx, g, d, d == 64 ? flash_grads<T, O, 64> : flash_grads<T, O, 128>);
}

template <class T>
static rg_status attention_forward(rg_kernel_ctx *ctx, const rg_attention_args *a)
{
    if (att_nothing(a)) return RG_OK;
    RG_TRY(att_check(ctx, a));
    if constexpr (att_pair<T, __half>)
        if (att_on_tensor_cores<__half>(ctx, a)) return tensor_forward<T, __half>(ctx, a);
    if constexpr (att_pair<T, __nv_bfloat16>)
        if (att_on_tensor_cores<__nv_bfloat16>(ctx, a))
            return tensor_forward<T, __nv_bfloat16>(ctx, a);
    const int slices = a->head_dim <= 64 ? 2 : a->head_dim <= 128 ? 4 : 8;
    return att_forward_on<T, float>(ctx, a, slices * 32, PLAIN_ROWS,
                                    slices == 2   ? plain_kernel<T, 2>
                                    : slices == 4 ? plain_kernel<T, 4>
                                                  : plain_kernel<T, 8>);
}

template <class T>
static rg_status attention_grad(rg_kernel_ctx *ctx, const rg_attention_grad_args *g)
{
    const rg_attention_args *a = &g->fwd;
    if (att_nothing(a) || a->t_k == 0) return RG_OK;
    RG_TRY(att_check(ctx, a));
    if constexpr (att_pair<T, __half>)
        if (att_on_tensor_cores<__half>(ctx, a)) return tensor_grad<T, __half>(ctx, g);
    if constexpr (att_pair<T, __nv_bfloat16>)
        if (att_on_tensor_cores<__nv_bfloat16>(ctx, a))
            return tensor_grad<T, __nv_bfloat16>(ctx, g);
    const int slices = a->head_dim <= 64 ? 2 : a->head_dim <= 128 ? 4 : 8;
    return att_grad_on<T, float>(ctx, g, slices * 32,
                                 slices == 2   ? plain_grads<T, 2>
                                 : slices == 4 ? plain_grads<T, 4>
                                               : plain_grads<T, 8>);
}

} // namespace

RG_CUDA_SLOT(attention)
