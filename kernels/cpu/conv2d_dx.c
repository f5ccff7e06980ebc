/*
 * Conv2d's input gradient: a convolution of dy in polyphase along both axes (conv2d.h).
 *
 * One idea: image row h takes the taps of its phase (h + pad) mod stride, so each phase has its own
 * panels; along w the `stride_w` neighbouring pixels are the columns of one product. Few channels
 * are made many as in conv1d: `frames` times as many neighbours are columns.
 */
#include "kernels/cpu/rows.h"
#include "kernels/cpu/winograd.h"

#include <string.h>

/* One axis: taps of a phase and the distance of the dy that they take. */
typedef struct axis {
    int64_t stride, gap, reach, dilation, pad;
} axis;

/* With `gaps` a stride of 1 keeps its dilation; else the gaps are taps of zeros. */
static axis axis_of(int64_t kernel, int64_t stride, int64_t dilation, int64_t pad, bool gaps)
{
    if (gaps && stride == 1) return (axis){1, dilation, kernel, dilation, pad};
    return (axis){stride, 1, ((kernel - 1) * dilation + stride) / stride, dilation, pad};
}

/* Where tap k stands: which phase, and which of the phase's taps, in the order of rising dy. */
static void tap_place(const axis *x, int64_t k, int64_t *phase, int64_t *row)
{
    const int64_t at = k * x->dilation / x->gap;
    *phase = at % x->stride, *row = x->reach - 1 - at / x->stride;
}

typedef struct dx_job {
    const rg_isa *isa;
    const rg_conv2d_grad_args *g;
    axis h, w;
    int64_t frames,
        reach_w; /* along w: dy pixels that a row begins after the last; that it takes */
    rg_dtype operands;
    const char *panels;
    int64_t panel_size;                /* bytes of a phase's panels */
    int64_t q0, q_count, width, first; /* along w */
    int64_t rows, blocks;              /* along h, in rows of dx */
    float *scratch;
    int64_t room, row_room, size;
} dx_job;

/* The columns of a product. */
static int64_t columns_of(const dx_job *j)
{
    return j->frames * j->w.stride * j->g->fwd.c_in;
}

/* The taps of every phase in the order of rising dy: (phase, reach_h, reach_w, c_out, n). NULL with
 * the error set. */
static const float *order_taps(rg_kernel_ctx *ctx, const dx_job *j)
{
    const rg_conv2d_args *a = &j->g->fwd;
    const int64_t ci = a->c_in, co = a->c_out, n = columns_of(j);
    const int64_t k = j->h.reach * j->reach_w * co;
    float *plain = rg_cpu_scratch(ctx, j->h.stride * k * n);
    if (!plain) return NULL;
    memset(plain, 0, (size_t)(j->h.stride * k * n) * sizeof(float));
    const float *w = a->w;
    for (int64_t t = 0; t < a->kernel_h * a->kernel_w; t++) {
        int64_t ph, rh, pw, rw;
        tap_place(&j->h, t / a->kernel_w, &ph, &rh);
        tap_place(&j->w, t % a->kernel_w, &pw, &rw);
        for (int64_t f = 0; f < j->frames; f++) {
            const int64_t row = rh * j->reach_w + rw + f, column = f * j->w.stride + pw;
            float *out = plain + (ph * k + row * co) * n + column * ci;
            j->isa->vec->turn(w + t * ci * co, ci, co, co, out, n);
        }
    }
    return plain;
}

static rg_status pack_phases(rg_kernel_ctx *ctx, dx_job *j)
{
    const rg_conv2d_args *a = &j->g->fwd;
    const int64_t n = columns_of(j), k = j->h.reach * j->reach_w * a->c_out;
    j->operands = ctx->operands;
    j->panel_size = (int64_t)(rg_panels_bytes(j->isa, j->operands, k, n) + 63) / 64 * 64;
    const float *plain = order_taps(ctx, j);
    char *panels = (char *)rg_cpu_scratch(ctx, j->h.stride * j->panel_size / 4);
    if (!plain || !panels) return ctx->error->code;
    for (int64_t p = 0; p < j->h.stride; p++)
        rg_panels_pack(j->isa, ctx->pool, j->operands, plain + p * k * n, n, 1, k, n,
                       panels + p * j->panel_size);
    j->panels = panels;
    return RG_OK;
}

/* The first dy row that image row h takes. */
static int64_t first_row(const axis *x, int64_t h)
{
    return (h + x->pad) / x->stride - (x->reach - 1) * x->gap;
}

static void dx_task(void *ctx, int64_t task, int32_t thread)
{
    const dx_job *j = ctx;
    const rg_conv2d_args *a = &j->g->fwd;
    const int64_t item = task / j->blocks, h0 = task % j->blocks * j->rows, co = a->c_out;
    const int64_t rows = min64(j->rows, a->h_in - h0), pitch = j->width * co, n = columns_of(j);
    const int64_t lo = first_row(&j->h, h0);
    const int64_t hi = first_row(&j->h, h0 + rows - 1) + (j->h.reach - 1) * j->h.gap + 1;
    float *plane = j->scratch + thread * j->size, *row = plane + j->room;
    const rg_plane p = {(const float *)j->g->dy + item * a->h_out * a->w_out * co,
                        a->h_out,
                        a->w_out,
                        co,
                        lo,
                        hi - lo,
                        -j->first,
                        j->width};
    rg_plane_load(j->isa, &p, j->operands, plane);
    rg_gemm g = {.m = j->q_count,
                 .n = n,
                 .segs = j->h.reach,
                 .a_row = j->frames * co,
                 .a_col = 1,
                 .a_seg = j->h.gap * pitch,
                 .b_type = j->operands,
                 .operands = j->operands,
                 .a_type = j->operands,
                 .c = row,
                 .c_row = n};
    g.len = j->reach_w * co;
    const int64_t skip = a->pad_w * a->c_in - j->q0 * n, length = a->w_in * a->c_in;
    for (int64_t h = h0; h < h0 + rows; h++) {
        g.b = j->panels + (h + a->pad_h) % j->h.stride * j->panel_size;
        g.a = rg_plane_at(plane, g.a_type, (first_row(&j->h, h) - lo) * pitch);
        float *dx = (float *)j->g->dx + (item * a->h_in + h) * length;
        rg_gemm_block(j->isa, &g, row + j->row_room);
        if (j->g->add_dx)
            j->isa->vec->accumulate(row + skip, dx, length);
        else
            memcpy(dx, row + skip, (size_t)length * sizeof(float));
    }
}

static rg_status dx_by_pairs(rg_kernel_ctx *ctx, const dx_job *j)
{
    const rg_conv2d_args *a = &j->g->fwd;
    const rg_winograd v = {
        .in = {j->g->dy, a->h_out, a->w_out, a->c_out, first_row(&j->h, 0), 0, -j->first, j->width},
        .batch = a->batch,
        .gap = j->h.gap,
        .rows = a->h_in,
        .m = j->q_count,
        .n = columns_of(j),
        .len = j->reach_w * a->c_out,
        .a_row = j->frames * a->c_out,
        .w = order_taps(ctx, j),
        .out = j->g->dx,
        .skip = a->pad_w * a->c_in - j->q0 * columns_of(j),
        .length = a->w_in * a->c_in,
        .add = j->g->add_dx};
    return v.w ? rg_winograd_run(j->isa, ctx, &v) : ctx->error->code;
}

rg_status rg_conv2d_dx(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_grad_args *g)
{
    const rg_conv2d_args *a = &g->fwd;
    if (a->batch * a->h_in * a->w_in * a->c_in <= 0) return RG_OK;
    dx_job j = {.isa = isa, .g = g};
    j.h = axis_of(a->kernel_h, a->stride_h, a->dilation_h, a->pad_h, true);
    j.w = axis_of(a->kernel_w, a->stride_w, a->dilation_w, a->pad_w, false);
    j.frames = rg_rows_frames(rg_tiles_of(isa, ctx->operands), j.w.reach, 1, j.w.stride * a->c_in);
    j.reach_w = j.w.reach + j.frames - 1;
    const int64_t row = j.frames * j.w.stride, last = a->w_in + a->pad_w - 1; /* pixels of dx */
    j.q0 = a->pad_w / row, j.q_count = last / row - j.q0 + 1;
    j.first = j.q0 * j.frames - (j.w.reach - 1), j.width = (j.q_count - 1) * j.frames + j.reach_w;
    if (rg_winograd_fits(ctx, a)) return dx_by_pairs(ctx, &j);
    RG_TRY(pack_phases(ctx, &j));
    const int64_t co = a->c_out, pitch = j.width * co, reach = (j.h.reach - 1) * j.h.gap + 2;
    j.rows = rg_plane_rows(pitch / a->stride_h + 1, reach * a->stride_h, 1, a->h_in);
    j.blocks = (a->h_in + j.rows - 1) / j.rows;
    j.room = ((j.rows / a->stride_h + reach) * pitch + 15) / 16 * 16;
    j.row_room = (j.q_count * columns_of(&j) + 15) / 16 * 16;
    j.size = j.room + j.row_room;
    j.size += (rg_gemm_scratch(isa, j.h.reach, j.reach_w * co) + 15) / 16 * 16;
    j.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    if (!j.scratch) return ctx->error->code;
    rg_pool_run(ctx->pool, dx_task, &j, a->batch * j.blocks);
    return RG_OK;
}
