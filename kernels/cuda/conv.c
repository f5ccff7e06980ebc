/*
 * Convolutions as sums of products over rows of grids: conv1d, conv2d, conv_tr1d.
 *
 * One idea: with its padding written out (parts.h) a convolution multiplies rows that lie `stride`
 * columns apart, and as many taps at once as rows do not overlap: ceil(K / stride) products. The
 * two other directions are the same products turned round; a transposed convolution is the
 * gradient of a convolution. Rows of the output grid that belong to no output are computed and
 * not read (forward), or are zero (gradients). Sums over taps are kept in fp32.
 * Of activations of 16 bits, results and gradients of x come from cuDNN where it has a plan
 * (conv_dnn.c); gradients of weights are sums in fp32 and always come from here. With one channel
 * on a side there are no products of matrices (conv_thin.h).
 */
#include "kernels/cuda/conv.h"
#include "kernels/cuda/conv_thin.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/gemm.h"
#include "kernels/gpu.h"

/* One product: taps kw .. kw + taps - 1 of row kh. */
typedef struct piece {
    int32_t kh, kw, taps;
    int64_t cell;   /* where its first row begins in the grid */
    int64_t weight; /* where its weights begin */
} piece;

static bool empty(const rg_grid *g)
{
    return g->batch == 0 || g->h == 0 || g->w == 0;
}

/* Sizes of both grids; `wide` and `narrow` say what the tensors are. Without outputs both grids
 * stay empty: sums over them are zeros. */
static void lay_out(rg_conv *c, const rg_grid *wide, const rg_grid *narrow)
{
    c->grid = *wide;
    c->out = *narrow;
    c->out.step = 1;
    c->grid.step = c->stride_h;
    if (empty(narrow)) return;
    c->out.gw = (rg_conv_columns(c) + c->stride_w - 1) / c->stride_w;
    c->grid.gw = c->out.gw * c->stride_w;
    /* rows of the grid follow each other only where a row of taps does not skip any */
    c->grid.gh = narrow->h + (c->stride_h == 1 ? (c->taps_h - 1) * c->dilation_h : 0);
    c->out.gh = c->grid.gh;
    c->rows = ((narrow->batch - 1) * c->out.gh + narrow->h - 1) * c->out.gw + narrow->w;
}

/* The next piece of row kh, or false. Taps go together where rows lie as far apart. */
static bool next_piece(const rg_conv *c, int32_t kh, piece *p)
{
    const int32_t first = p->taps ? p->kw + p->taps : 0, left = c->taps_w - first;
    const int32_t most = c->dilation_w == 1 && !c->turned ? c->stride_w : 1;
    if (left <= 0) return false;
    *p = (piece){.kh = kh, .kw = first, .taps = left < most ? left : most};
    const int64_t row = c->stride_h == 1 ? (int64_t)kh * c->dilation_h * c->grid.gw : 0;
    p->cell = (row + (int64_t)first * c->dilation_w) * c->grid.c;
    p->weight = ((int64_t)kh * c->taps_w + first) * c->grid.c * c->out.c;
    return true;
}

static size_t size_of(rg_dtype type)
{
    return type == RG_F32 ? 4 : 2;
}

static const void *at(const void *p, int64_t i, rg_dtype type)
{
    return (const char *)p + (size_t)i * size_of(type);
}

static int64_t cells(const rg_grid *g)
{
    return g->batch * g->gh * g->gw * g->c;
}

/* out (F32) (+)= the windows of row kh of the taps times w. */
static rg_status gather(const rg_conv *c, int32_t kh, const void *grid, float *out, bool add)
{
    for (piece p = {0}; next_piece(c, kh, &p); add = true)
        RG_TRY(rg_cuda_gemm(c->ctx, &(rg_gemm){.m = c->rows,
                                               .n = c->out.c,
                                               .k = p.taps * c->grid.c,
                                               .a = at(grid, p.cell, c->type),
                                               .b = at(c->w, p.weight, c->type),
                                               .lda = c->stride_w * c->grid.c,
                                               .ldb = c->turned ? c->grid.c : c->out.c,
                                               .ldc = c->out.c,
                                               .trans_b = c->turned,
                                               .add = add,
                                               .type = c->type,
                                               .operands = c->ctx->operands,
                                               .c_type = RG_F32,
                                               .c = out}));
    return RG_OK;
}

/* grid (F32) += out times w^T, back to where the windows lie. */
static rg_status scatter(const rg_conv *c, int32_t kh, const void *out, float *grid)
{
    for (piece p = {0}; next_piece(c, kh, &p);)
        RG_TRY(rg_cuda_gemm(c->ctx, &(rg_gemm){.m = c->rows,
                                               .n = p.taps * c->grid.c,
                                               .k = c->out.c,
                                               .a = out,
                                               .b = at(c->w, p.weight, c->type),
                                               .lda = c->out.c,
                                               .ldb = c->turned ? c->grid.c : c->out.c,
                                               .ldc = c->stride_w * c->grid.c,
                                               .trans_b = !c->turned,
                                               .add = true,
                                               .type = c->type,
                                               .operands = c->ctx->operands,
                                               .c_type = RG_F32,
                                               .c = grid + p.cell}));
    return RG_OK;
}

/* dw (+)= windows^T out, or out^T windows where w is turned. */
static rg_status weigh(const rg_conv *c, int32_t kh, const void *grid, const void *out, float *dw,
                       bool add)
{
    for (piece p = {0}; next_piece(c, kh, &p);) {
        const void *windows = at(grid, p.cell, c->type);
        const int64_t pitch = c->stride_w * c->grid.c, width = p.taps * c->grid.c;
        RG_TRY(rg_cuda_gemm(c->ctx, &(rg_gemm){.m = c->turned ? c->out.c : width,
                                               .n = c->turned ? width : c->out.c,
                                               .k = c->rows,
                                               .a = c->turned ? out : windows,
                                               .b = c->turned ? windows : out,
                                               .lda = c->turned ? c->out.c : pitch,
                                               .ldb = c->turned ? pitch : c->out.c,
                                               .ldc = c->turned ? width : c->out.c,
                                               .trans_a = true,
                                               .add = add,
                                               .type = c->type,
                                               .operands = c->ctx->operands,
                                               .c_type = RG_F32,
                                               .c = dw + p.weight}));
    }
    return RG_OK;
}

static float *zeroed(const rg_conv *c, float *grid)
{
    const rg_status status =
        rg_gpu_zero(c->ctx->gpu, grid, (size_t)cells(&c->grid) * sizeof(float), c->ctx->error);
    return status == RG_OK ? grid : NULL;
}

/* Grids are made once, or anew for each row of taps where rows of the grid are not neighbours. */
static bool made_anew(const rg_conv *c, int32_t kh)
{
    return kh == 0 || c->stride_h > 1;
}

static rg_grid grid_for(const rg_conv *c, int32_t kh)
{
    rg_grid grid = c->grid;
    if (c->stride_h > 1) grid.top -= (int64_t)kh * c->dilation_h;
    return grid;
}

static bool is_thin(const rg_conv *c)
{
    return c->grid.c == 1 || c->out.c == 1;
}

static rg_thin thin_of(const rg_conv *c)
{
    return (rg_thin){.type = c->type,
                     .operands = c->type == RG_F32 ? c->ctx->operands : RG_F32,
                     .batch = c->grid.batch,
                     .channels = c->grid.c == 1 ? c->out.c : c->grid.c,
                     .h = (int32_t)c->grid.h,
                     .w = (int32_t)c->grid.w,
                     .h_out = (int32_t)c->out.h,
                     .w_out = (int32_t)c->out.w,
                     .kernel_h = c->taps_h,
                     .kernel_w = c->taps_w,
                     .stride_h = c->stride_h,
                     .stride_w = c->stride_w,
                     .dilation_h = c->dilation_h,
                     .dilation_w = c->dilation_w,
                     .top = (int32_t)c->grid.top,
                     .left = (int32_t)c->grid.left,
                     .reflect = c->grid.reflect,
                     .thin_wide = c->grid.c == 1};
}

static rg_thin_ends ends_of(const rg_conv_sides *s)
{
    return (rg_thin_ends){
        .bias = s->bias, .act = s->act, .act_in = s->act_in, .slope = s->slope, .x = s->x};
}

static rg_status forward(rg_conv *c, const rg_conv_sides *s, void *y)
{
    bool done = false;
    if (is_thin(c)) {
        const rg_thin thin = thin_of(c);
        const rg_thin_ends ends = ends_of(s);
        return c->w ? rg_cuda_thin_forward(c->ctx, &thin, &ends, c->w, y) : c->ctx->error->code;
    }
    if (c->rows == 0 || c->out.c == 0) return RG_OK;
    RG_TRY(rg_conv_dnn_forward(c, s, y, &done));
    if (done) return RG_OK;
    void *grid = rg_cuda_scratch(c->ctx, cells(&c->grid), c->type);
    float *out = rg_cuda_scratch(c->ctx, cells(&c->out), RG_F32);
    if (!grid || !out || !c->w) return c->ctx->error->code;
    for (int32_t kh = 0; kh < c->taps_h; kh++) {
        const rg_grid g = grid_for(c, kh);
        if (made_anew(c, kh))
            RG_TRY(rg_cuda_enter(c->ctx, c->type, &g, s->x, s->act_in, RG_FUSED_LEAKY_SLOPE, grid));
        RG_TRY(gather(c, kh, grid, out, kh > 0));
    }
    return rg_cuda_leave(c->ctx, c->type, &c->out, out, s->bias, s->act, s->slope, y);
}

static rg_status gradient_x(rg_conv *c, const rg_conv_sides *s, const void *dout, void *dx,
                            bool add)
{
    bool done = false;
    RG_TRY(rg_conv_dnn_gradient(c, s, dout, dx, add, &done));
    if (done) return RG_OK;
    float *grid = rg_cuda_scratch(c->ctx, cells(&c->grid), RG_F32);
    if (!grid || !c->w) return c->ctx->error->code;
    const void *x = s->act_in == RG_ACT_NONE ? NULL : s->x;
    for (int32_t kh = 0; kh < c->taps_h; kh++) {
        const rg_grid g = grid_for(c, kh);
        if (made_anew(c, kh) && !zeroed(c, grid)) return c->ctx->error->code;
        RG_TRY(scatter(c, kh, dout, grid));
        if (c->stride_h == 1 && kh + 1 < c->taps_h) continue;
        RG_TRY(rg_cuda_leave_grad(c->ctx, c->type, &g, RG_F32, grid, x, s->act_in,
                                  RG_FUSED_LEAKY_SLOPE, dx, add || (c->stride_h > 1 && kh > 0)));
    }
    return RG_OK;
}

static rg_status gradient_w(rg_conv *c, const rg_conv_sides *s, const void *dout, float *dw,
                            bool add)
{
    void *grid = rg_cuda_scratch(c->ctx, cells(&c->grid), c->type);
    if (!grid) return c->ctx->error->code;
    for (int32_t kh = 0; kh < c->taps_h; kh++) {
        const rg_grid g = grid_for(c, kh);
        if (made_anew(c, kh))
            RG_TRY(rg_cuda_enter(c->ctx, c->type, &g, s->x, s->act_in, RG_FUSED_LEAKY_SLOPE, grid));
        RG_TRY(weigh(c, kh, grid, dout, dw, add));
    }
    return RG_OK;
}

/* Where the gradients of a convolution go. */
typedef struct wanted {
    const void *dy, *y; /* y: for the derivative of the activation, or NULL */
    void *dx;
    float *dw, *dbias;
    bool add_dx, add_dw, add_dbias;
} wanted;

/* dy behind the activation, in a plain tensor: dy itself where there is none. */
static const void *dy_of(const rg_conv *c, const rg_conv_sides *s, const wanted *g)
{
    if (!g->y) return g->dy;
    rg_grid plain = {.batch = c->out.batch, .h = c->out.h, .w = c->out.w, .c = c->out.c};
    plain.gh = plain.h;
    plain.gw = plain.w;
    plain.step = 1;
    void *dout = rg_cuda_scratch(c->ctx, cells(&plain), c->type);
    if (dout && rg_cuda_enter_grad(c->ctx, c->type, &plain, g->dy, g->y, s->slope, dout) != RG_OK)
        return NULL;
    return dout;
}

static rg_status thin_gradients(rg_conv *c, const rg_conv_sides *s, const wanted *g)
{
    const rg_thin thin = thin_of(c);
    const void *dy = dy_of(c, s, g);
    rg_thin_ends ends = ends_of(s);
    if (!dy || !c->w) return c->ctx->error->code;
    ends.add = g->add_dx;
    if (g->dx) RG_TRY(rg_cuda_thin_dx(c->ctx, &thin, &ends, c->w, dy, g->dx));
    ends.add = g->add_dw;
    if (g->dw) RG_TRY(rg_cuda_thin_dw(c->ctx, &thin, &ends, dy, g->dw));
    if (!g->dbias) return RG_OK;
    return rg_cuda_column_sums(c->ctx, c->type, dy, c->out.batch * c->out.h * c->out.w, c->out.c,
                               g->dbias, g->add_dbias);
}

static rg_status gradients(rg_conv *c, const rg_conv_sides *s, const wanted *g)
{
    if (is_thin(c)) return thin_gradients(c, s, g);
    void *dout = rg_cuda_scratch(c->ctx, cells(&c->out), c->type);
    if (!dout) return c->ctx->error->code;
    RG_TRY(rg_cuda_enter_grad(c->ctx, c->type, &c->out, g->dy, g->y, s->slope, dout));
    if (g->dx) RG_TRY(gradient_x(c, s, dout, g->dx, g->add_dx));
    if (g->dw) RG_TRY(gradient_w(c, s, dout, g->dw, g->add_dw));
    if (!g->dbias) return RG_OK;
    return rg_cuda_column_sums(c->ctx, c->type, dout, c->out.batch * c->out.gh * c->out.gw,
                               c->out.c, g->dbias, g->add_dbias);
}

static wanted wanted_of(const void *dy, void *dx, void *dw, void *dbias, bool add_dx, bool add_dw,
                        bool add_dbias)
{
    return (wanted){.dy = dy,
                    .dx = dx,
                    .dw = dw,
                    .dbias = dbias,
                    .add_dx = add_dx,
                    .add_dw = add_dw,
                    .add_dbias = add_dbias};
}

/* ---- conv1d ---- */

static rg_conv of_conv1d(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv1d_args *a)
{
    rg_conv c = {.ctx = ctx,
                 .type = type,
                 .taps_h = 1,
                 .taps_w = a->kernel,
                 .stride_h = 1,
                 .stride_w = a->stride,
                 .dilation_h = 1,
                 .dilation_w = a->dilation};
    const rg_grid wide = {.batch = a->batch,
                          .h = 1,
                          .w = a->t_in,
                          .c = a->c_in,
                          .left = a->pad_left,
                          .right = a->pad_right,
                          .reflect = a->pad_mode == RG_PAD_REFLECT};
    const rg_grid narrow = {.batch = a->batch, .h = 1, .w = a->t_out, .c = a->c_out};
    lay_out(&c, &wide, &narrow);
    c.w = rg_cuda_weight(ctx, type, a->w, a->w_packed, a->packed_type,
                         a->kernel * a->c_in * a->c_out);
    return c;
}

static rg_status conv1d_forward(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv1d_args *a)
{
    rg_conv c = of_conv1d(ctx, type, a);
    return forward(&c, &(rg_conv_sides){.x = a->x, .act_in = a->act_in, .bias = a->bias}, a->y);
}

static rg_status conv1d_grad(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv1d_grad_args *g)
{
    rg_conv c = of_conv1d(ctx, type, &g->fwd);
    const wanted to = wanted_of(g->dy, g->dx, g->dw, g->dbias, g->add_dx, g->add_dw, g->add_dbias);
    return gradients(&c, &(rg_conv_sides){.x = g->fwd.x, .act_in = g->fwd.act_in}, &to);
}

/* ---- conv2d ---- */

static rg_conv of_conv2d(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv2d_args *a)
{
    rg_conv c = {.ctx = ctx,
                 .type = type,
                 .taps_h = a->kernel_h,
                 .taps_w = a->kernel_w,
                 .stride_h = a->stride_h,
                 .stride_w = a->stride_w,
                 .dilation_h = a->dilation_h,
                 .dilation_w = a->dilation_w};
    const rg_grid wide = {.batch = a->batch,
                          .h = a->h_in,
                          .w = a->w_in,
                          .c = a->c_in,
                          .top = a->pad_h,
                          .left = a->pad_w};
    const rg_grid narrow = {.batch = a->batch, .h = a->h_out, .w = a->w_out, .c = a->c_out};
    lay_out(&c, &wide, &narrow);
    c.w = rg_cuda_weight(ctx, type, a->w, a->w_packed, a->packed_type,
                         (int64_t)a->kernel_h * a->kernel_w * a->c_in * a->c_out);
    return c;
}

static rg_status conv2d_forward(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv2d_args *a)
{
    rg_conv c = of_conv2d(ctx, type, a);
    const rg_conv_sides s = {.x = a->x, .bias = a->bias, .act = a->act, .slope = a->slope};
    return forward(&c, &s, a->y);
}

static rg_status conv2d_grad(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv2d_grad_args *g)
{
    rg_conv c = of_conv2d(ctx, type, &g->fwd);
    wanted to = wanted_of(g->dy, g->dx, g->dw, g->dbias, g->add_dx, g->add_dw, g->add_dbias);
    if (g->fwd.act != RG_ACT_NONE) to.y = g->fwd.y;
    return gradients(&c, &(rg_conv_sides){.x = g->fwd.x, .slope = g->fwd.slope}, &to);
}

/* ---- conv_tr1d: x is the narrow side ---- */

static rg_conv of_conv_tr1d(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv_tr1d_args *a)
{
    rg_conv c = {.ctx = ctx,
                 .type = type,
                 .taps_h = 1,
                 .taps_w = a->kernel,
                 .stride_h = 1,
                 .stride_w = a->stride,
                 .dilation_h = 1,
                 .dilation_w = 1,
                 .turned = true};
    const rg_grid wide = {
        .batch = a->batch, .h = 1, .w = a->t_out, .c = a->c_out, .left = a->trim_left};
    const rg_grid narrow = {.batch = a->batch, .h = 1, .w = a->t_in, .c = a->c_in};
    lay_out(&c, &wide, &narrow);
    c.w = rg_cuda_weight(ctx, type, a->w, a->w_packed, a->packed_type,
                         a->kernel * a->c_in * a->c_out);
    return c;
}

/* act(x) in the rows of the narrow side. */
static void *enter_narrow(const rg_conv *c, const void *x, rg_act act)
{
    void *out = rg_cuda_scratch(c->ctx, cells(&c->out), c->type);
    if (out && rg_cuda_enter(c->ctx, c->type, &c->out, x, act, RG_FUSED_LEAKY_SLOPE, out) != RG_OK)
        return NULL;
    return out;
}

static rg_status conv_tr1d_forward(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv_tr1d_args *a)
{
    rg_conv c = of_conv_tr1d(ctx, type, a);
    const rg_conv_sides s = {.x = a->x, .act_in = a->act_in, .bias = a->bias};
    bool done = false;
    RG_TRY(rg_conv_dnn_forward(&c, &s, a->y, &done));
    if (done) return RG_OK;
    float *grid = rg_cuda_scratch(ctx, cells(&c.grid), RG_F32);
    const void *x = enter_narrow(&c, a->x, a->act_in);
    if (!grid || !x || !c.w || !zeroed(&c, grid)) return ctx->error->code;
    RG_TRY(scatter(&c, 0, x, grid));
    return rg_cuda_leave(ctx, type, &c.grid, grid, a->bias, RG_ACT_NONE, 0, a->y);
}

/* dx (+)= act'(x) times the gathered windows of dy. */
static rg_status conv_tr1d_dx(const rg_conv *c, const rg_conv_tr1d_grad_args *g, const void *dy)
{
    const rg_conv_sides s = {.x = g->fwd.x, .act_in = g->fwd.act_in};
    bool done = false;
    RG_TRY(rg_conv_dnn_gradient(c, &s, dy, g->dx, g->add_dx, &done));
    if (done) return RG_OK;
    float *out = rg_cuda_scratch(c->ctx, cells(&c->out), RG_F32);
    if (!out || !c->w) return c->ctx->error->code;
    RG_TRY(gather(c, 0, dy, out, false));
    const void *x = g->fwd.act_in == RG_ACT_NONE ? NULL : g->fwd.x;
    return rg_cuda_leave_grad(c->ctx, c->type, &c->out, RG_F32, out, x, g->fwd.act_in,
                              RG_FUSED_LEAKY_SLOPE, g->dx, g->add_dx);
}

static rg_status conv_tr1d_grad(rg_kernel_ctx *ctx, rg_dtype type, const rg_conv_tr1d_grad_args *g)
{
    const rg_conv_tr1d_args *a = &g->fwd;
    rg_conv c = of_conv_tr1d(ctx, type, a);
    void *dy = rg_cuda_scratch(ctx, cells(&c.grid), type);
    if (!dy) return ctx->error->code;
    RG_TRY(rg_cuda_enter(ctx, type, &c.grid, g->dy, RG_ACT_NONE, 0, dy));
    if (g->dx) RG_TRY(conv_tr1d_dx(&c, g, dy));
    if (g->dw) {
        const void *x = enter_narrow(&c, a->x, a->act_in);
        if (!x) return ctx->error->code;
        RG_TRY(weigh(&c, 0, dy, x, g->dw, g->add_dw));
    }
    if (!g->dbias) return RG_OK;
    return rg_cuda_column_sums(ctx, type, g->dy, a->batch * a->t_out, a->c_out, g->dbias,
                               g->add_dbias);
}

RG_CUDA_SLOT_IN_C(conv1d)
RG_CUDA_SLOT_IN_C(conv2d)
RG_CUDA_SLOT_IN_C(conv_tr1d)
