/*
 * Transposed convolution as a convolution with interleaved output (polyphase.h).
 */
#include "kernels/cpu/polyphase.h"

#include <string.h>

/* Input frames that one output row sees. A stride of 1 keeps its dilation, else the gaps count. */
static int64_t reach_of(const rg_polyphase *p)
{
    if (p->stride == 1) return p->taps;
    return ((p->taps - 1) * p->dilation + p->stride) / p->stride;
}

static int64_t gap_of(const rg_polyphase *p)
{
    return p->stride == 1 ? p->dilation : 1;
}

typedef struct tap_job {
    const rg_isa *isa;
    const rg_polyphase *p;
    float *plain;
} tap_job;

/* The product's depth in input frames, and its columns. */
static int64_t depth_of(const rg_polyphase *p)
{
    return reach_of(p) + p->frames - 1;
}

static int64_t columns_of(const rg_polyphase *p)
{
    return p->frames * p->stride * p->c_out;
}

/* One tap's (C_in, C_out) to its places in the product's right operand. */
static void tap_task(void *ctx, int64_t k, int32_t thread)
{
    (void)thread;
    const tap_job *j = ctx;
    const rg_polyphase *p = j->p;
    const int64_t ci = p->in.c, co = p->c_out, n = columns_of(p);
    const int64_t at = p->stride == 1 ? k : k * p->dilation; /* a stride of 1 keeps its gaps */
    const int64_t row = reach_of(p) - 1 - at / p->stride, phase = at % p->stride;
    const float *w = p->w + k * ci * co;
    for (int64_t f = 0; f < p->frames; f++) {
        float *out = j->plain + (row + f) * ci * n + (f * p->stride + phase) * co;
        if (p->turned) {
            j->isa->vec->turn(w, co, ci, ci, out, n);
            continue;
        }
        for (int64_t i = 0; i < ci; i++)
            memcpy(out + i * n, w + i * co, (size_t)co * sizeof(float));
    }
}

rg_status rg_polyphase_pack(const rg_isa *isa, rg_kernel_ctx *ctx, rg_polyphase *p)
{
    p->frames = gap_of(p) > 1 ? 1
                              : rg_rows_frames(rg_tiles_of(isa, ctx->operands), reach_of(p), 1,
                                               p->stride * p->c_out);
    const int64_t co = p->c_out, n = columns_of(p), k = depth_of(p) * p->in.c;
    float *plain = rg_cpu_scratch(ctx, k * n);
    if (!plain) return ctx->error->code;
    if (p->frames > 1 || p->taps < reach_of(p) * p->stride)
        memset(plain, 0, (size_t)(k * n) * sizeof(float));
    tap_job j = {isa, p, plain};
    rg_pool_run(k * n < 16384 ? NULL : ctx->pool, tap_task, &j, p->taps);
    p->panels = rg_panels_make(isa, ctx, ctx->operands, plain, n, 1, k, n);
    if (!p->panels) return ctx->error->code;
    p->bias_rows = NULL;
    if (!p->bias) return RG_OK;
    float *bias = rg_cpu_scratch(ctx, n);
    if (!bias) return ctx->error->code;
    for (int64_t s = 0; s < p->frames * p->stride; s++)
        memcpy(bias + s * co, p->bias, (size_t)co * sizeof(float));
    p->bias_rows = bias;
    return RG_OK;
}

rg_status rg_polyphase_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_polyphase *p)
{
    const int64_t row = p->frames * p->stride; /* output frames of a row of the product */
    const int64_t q0 = p->trim / row, q1 = div_up(p->trim + p->t_out, row);
    rg_rows_conv v = {.in = p->in,
                      .step = p->frames,
                      .dilation = gap_of(p),
                      .taps = depth_of(p),
                      .pad = (reach_of(p) - 1) * gap_of(p) - q0 * p->frames,
                      .bias = p->bias_rows,
                      .q_count = q1 - q0,
                      .n = columns_of(p),
                      .out = p->out,
                      .skip = (p->trim - q0 * row) * p->c_out,
                      .length = p->t_out * p->c_out,
                      .back_x = p->back_x,
                      .back_act = p->back_act,
                      .add = p->add};
    v.weight.b = p->panels, v.weight.b_type = v.weight.operands = ctx->operands;
    return rg_rows_conv_run(isa, ctx, &v);
}
