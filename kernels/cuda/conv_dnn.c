/*
 * Convolutions through cuDNN: what lies round its plans (dnn.h).
 *
 * One idea: the result and the gradient of x are the same two plans, which change roles where a
 * convolution is transposed. cuDNN pads with zeros and knows filters as (C_out, taps, C_in), so
 * reflection and the activation on load are met by a grid (parts.h), and weights change places. A
 * bias is rounded to the type of activations, as all weights are, and is what cuDNN adds to: the
 * sum is rounded once, and an activation, a kernel of its own, sees its true sign.
 */
#include "kernels/cuda/backend.h"
#include "kernels/cuda/conv.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/dnn.h"

/* cuDNN reads x as it is: nothing is to be mirrored or activated. */
static bool is_plain(const rg_conv *c, const rg_conv_sides *s)
{
    return s->act_in == RG_ACT_NONE && !c->grid.reflect;
}

/* x as cuDNN sees it: with its columns mirrored, or without padding. */
static rg_grid grid_of_x(const rg_conv *c)
{
    rg_grid g = c->turned ? c->out : c->grid;
    g.step = 1, g.top = 0;
    g.gh = g.h, g.gw = g.w;
    if (g.reflect)
        g.gw = rg_conv_columns(c);
    else
        g.left = g.right = 0;
    return g;
}

static int64_t cells(const rg_grid *g)
{
    return g->batch * g->gh * g->gw * g->c;
}

/* Of an address, or of scratch, which is NULL here. */
static int64_t alignment(const void *p)
{
    const int64_t low = (int64_t)((uintptr_t)p % RG_DNN_ALIGNMENT);
    return low ? low & -low : RG_DNN_ALIGNMENT;
}

/* The sides of a convolution as cuDNN is to see them: rows and columns, zeros before them. */
typedef struct extent {
    int64_t wide[2], narrow[2], before[2];
} extent;

static const rg_dnn_plan *find(const rg_conv *c, rg_dnn_way way, bool add, const extent *e,
                               const void *wide, const void *narrow)
{
    if (c->type == RG_F32 || c->rows <= 0 || c->grid.c == 0 || c->out.c == 0) return NULL;
    if (e->wide[0] <= 0 || e->wide[1] <= 0) return NULL;
    rg_dnn_conv key = {.way = way,
                       .add = add,
                       .type = c->type,
                       .batch = c->grid.batch,
                       .c = c->grid.c,
                       .k = c->out.c,
                       .taps = {c->taps_h, c->taps_w},
                       .stride = {c->stride_h, c->stride_w},
                       .dilation = {c->dilation_h, c->dilation_w},
                       .align_x = alignment(wide),
                       .align_w = RG_DNN_ALIGNMENT,
                       .align_y = alignment(narrow)};
    for (int i = 0; i < 2; i++) {
        const int64_t window = (key.taps[i] - 1) * key.dilation[i] + 1,
                      seen = (e->narrow[i] - 1) * key.stride[i] + window,
                      after = seen - e->before[i] - e->wide[i];
        key.x[i] = e->wide[i], key.y[i] = e->narrow[i];
        key.before[i] = e->before[i], key.after[i] = after > 0 ? after : 0;
    }
    return rg_dnn_find(c->ctx->gpu->dnn, &key);
}

static rg_status run(const rg_conv *c, const rg_dnn_plan *plan, const void *wide, const void *w,
                     const void *narrow)
{
    rg_gpu *gpu = c->ctx->gpu;
    return rg_dnn_run(gpu->dnn, plan, wide, w, narrow, gpu->workspace, c->ctx->error);
}

/* w as (C_out, taps, C_in) of the convolution from the wide side; NULL after an error. */
static const void *filter(const rg_conv *c)
{
    const int64_t taps = (int64_t)c->taps_h * c->taps_w, a = c->turned ? taps : taps * c->grid.c,
                  rest = c->turned ? c->grid.c : 1;
    void *w = rg_cuda_scratch(c->ctx, a * c->out.c * rest, c->type);
    if (!w || !c->w || rg_cuda_swap(c->ctx, c->type, c->w, a, c->out.c, rest, w) != RG_OK)
        return NULL;
    return w;
}

/* act_in(x), mirrored; NULL after an error. */
static const void *entered(const rg_conv *c, const rg_conv_sides *s)
{
    const rg_grid g = grid_of_x(c);
    if (is_plain(c, s)) return s->x;
    void *x = rg_cuda_scratch(c->ctx, cells(&g), c->type);
    if (!x || rg_cuda_enter(c->ctx, c->type, &g, s->x, s->act_in, RG_FUSED_LEAKY_SLOPE, x) != RG_OK)
        return NULL;
    return x;
}

/* The wide side as it lies in memory, or with its columns mirrored and so without padding. */
static extent extent_of(const rg_conv *c)
{
    const rg_grid *g = &c->grid;
    extent e = {{g->h, g->w}, {c->out.h, c->out.w}, {g->top, g->left}};
    if (g->reflect) e.wide[1] = rg_conv_columns(c), e.before[1] = 0;
    return e;
}

rg_status rg_conv_dnn_forward(const rg_conv *c, const rg_conv_sides *s, void *y, bool *done)
{
    const extent e = extent_of(c);
    const void *as_is = is_plain(c, s) ? s->x : NULL;
    const rg_grid *to = c->turned ? &c->grid : &c->out;
    const int64_t rows = to->batch * to->h * to->w;
    const rg_dnn_plan *plan = find(c, c->turned ? RG_DNN_DATA : RG_DNN_FORWARD, s->bias != NULL, &e,
                                   c->turned ? y : as_is, c->turned ? as_is : y);
    *done = plan != NULL;
    if (!plan) return RG_OK;
    const void *x = entered(c, s), *w = filter(c);
    if (!x || !w) return c->ctx->error->code;
    if (s->bias) RG_TRY(rg_cuda_repeat(c->ctx, c->type, s->bias, rows, to->c, y));
    RG_TRY(run(c, plan, c->turned ? y : x, w, c->turned ? x : y));
    if (s->act == RG_ACT_NONE) return RG_OK;
    return rg_cuda_bias_act(
        c->ctx, c->type,
        &(rg_bias_act){.y = y, .rows = rows, .cols = to->c, .act = s->act, .slope = s->slope});
}

rg_status rg_conv_dnn_gradient(const rg_conv *c, const rg_conv_sides *s, const void *dy, void *dx,
                               bool add, bool *done)
{
    const rg_grid grid = grid_of_x(c);
    const bool plain = is_plain(c, s);
    extent e = extent_of(c);
    if (c->turned)
        e = (extent){{1, c->grid.gw}, {1, c->out.w}, {0, 0}};
    else
        e.narrow[0] = c->out.gh, e.narrow[1] = c->out.gw;
    const void *to = plain ? dx : NULL;
    const rg_dnn_plan *plan = find(c, c->turned ? RG_DNN_FORWARD : RG_DNN_DATA, plain && add, &e,
                                   c->turned ? dy : to, c->turned ? to : dy);
    *done = plan != NULL;
    if (!plan) return RG_OK;
    void *sums = plain ? dx : rg_cuda_scratch(c->ctx, cells(&grid), c->type);
    const void *w = filter(c);
    if (!sums || !w) return c->ctx->error->code;
    RG_TRY(run(c, plan, c->turned ? dy : sums, w, c->turned ? sums : dy));
    if (plain) return RG_OK;
    return rg_cuda_leave_grad(c->ctx, c->type, &grid, c->type, sums,
                              s->act_in == RG_ACT_NONE ? NULL : s->x, s->act_in,
                              RG_FUSED_LEAKY_SLOPE, dx, add);
}
