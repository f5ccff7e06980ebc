/*
 * Kernels that compute nothing (idle.h).
 */
#include "kernels/idle.h"

#define IDLE(name, args)                                     \
    static rg_status name(rg_kernel_ctx *ctx, const args *a) \
    {                                                        \
        (void)ctx;                                           \
        (void)a;                                             \
        return RG_OK;                                        \
    }
#define IDLE_SLOT(name)                    \
    IDLE(name##_forward, rg_##name##_args) \
    IDLE(name##_grad, rg_##name##_grad_args)

static rg_status scratch(rg_kernel_ctx *ctx, int64_t n)
{
    if (rg_arena_alloc(ctx->scratch, (size_t)n * sizeof(float))) return RG_OK;
    return rg_fail(ctx->error, RG_ERR_NOMEM, "scratch arena is full; use a smaller batch");
}

IDLE(linear_forward, rg_linear_args)

/* The gradient before the activation. */
static rg_status linear_grad(rg_kernel_ctx *ctx, const rg_linear_grad_args *a)
{
    return a->fwd.act == RG_ACT_NONE ? RG_OK : scratch(ctx, a->fwd.rows * a->fwd.c_out);
}

/* Gates and cells that the caller does not want kept. */
static rg_status lstm_forward(rg_kernel_ctx *ctx, const rg_lstm_args *a)
{
    return a->gates ? RG_OK : scratch(ctx, a->batch * a->steps * 4 * a->hidden);
}

static rg_status lstm_grad(rg_kernel_ctx *ctx, const rg_lstm_grad_args *a)
{
    return scratch(ctx, a->fwd.batch * (a->fwd.steps * 4 + 2) * a->fwd.hidden);
}

IDLE_SLOT(conv1d)
IDLE_SLOT(conv_tr1d)
IDLE_SLOT(conv2d)
IDLE_SLOT(layernorm)
IDLE_SLOT(groupnorm)

/* Keys and values in panels. */
static rg_status panels(rg_kernel_ctx *ctx, const rg_attention_args *a, int64_t of)
{
    return scratch(ctx, of * a->batch * a->heads * a->t_k * a->head_dim);
}

static rg_status attention_forward(rg_kernel_ctx *ctx, const rg_attention_args *a)
{
    return panels(ctx, a, 1);
}

static rg_status attention_grad(rg_kernel_ctx *ctx, const rg_attention_grad_args *a)
{
    return panels(ctx, &a->fwd, 2);
}

IDLE_SLOT(embedding)
IDLE_SLOT(activation)
IDLE_SLOT(stft)
IDLE_SLOT(spectrogram)
IDLE_SLOT(distance)
IDLE(add_forward, rg_add_args)
IDLE(add_grad, rg_reduce_args)
IDLE(weight_norm, rg_weight_norm_args)
IDLE(softmax_ce, rg_softmax_ce_args)
IDLE(rvq, rg_rvq_args)
IDLE(copy, rg_copy_args)
IDLE(dropout, rg_dropout_args)
IDLE(adamw, rg_adamw_args)
IDLE(norm, rg_norm_args)

static rg_status pack(rg_kernel_ctx *ctx, const void *w, int64_t rows, int64_t cols, rg_dtype type,
                      void *packed)
{
    (void)ctx, (void)w, (void)rows, (void)cols, (void)type, (void)packed;
    return RG_OK;
}

#define SLOT(name) .name = {name##_forward, name##_grad}

rg_kernels rg_kernels_idle(const rg_kernels *like)
{
    return (rg_kernels){.name = "idle",
                        .real = like->real,
                        .matrix = {like->matrix.packed_size, pack},
                        SLOT(linear),
                        SLOT(conv1d),
                        SLOT(conv_tr1d),
                        SLOT(conv2d),
                        SLOT(lstm),
                        SLOT(layernorm),
                        SLOT(groupnorm),
                        SLOT(attention),
                        SLOT(embedding),
                        SLOT(activation),
                        SLOT(stft),
                        SLOT(spectrogram),
                        SLOT(distance),
                        SLOT(add),
                        .weight_norm = {weight_norm, weight_norm},
                        .softmax_ce = softmax_ce,
                        .rvq = rvq,
                        .copy = copy,
                        .dropout = dropout,
                        .adamw = adamw,
                        .norm = norm};
}
