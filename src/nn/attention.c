/*
 * Self-attention, its cache, and encoder layers (attention.h).
 *
 * One idea: queries, keys and values are column blocks of one row, so no copy is made between the
 * GEMM and the attention kernel.
 */
#include "nn/attention.h"

#include "nn/names.h"

rg_self_attention rg_self_attention_declare(rg_params *params, int32_t width, int32_t heads,
                                            double rope_base, double out_gain, const char *name,
                                            ...)
{
    RG_NAME(text, name);
    return (rg_self_attention){
        .qkv = rg_weight_declare(params, width, 3 * width, 1, "%s.qkv", text),
        .out = rg_weight_declare(params, width, width, out_gain, "%s.out", text),
        .heads = heads,
        .rope_base = rope_base,
    };
}

rg_tensor *rg_positions(rg_exec *ex, int64_t first, int64_t n)
{
    rg_tensor *pos = rg_tensor_new(ex, RG_F32, RG_SHAPE(n));
    float *at = rg_tensor_fill(ex, pos);
    for (int64_t i = 0; at && i < n; i++) at[i] = (float)(first + i);
    return rg_tensor_filled(ex, pos, at);
}

rg_status rg_copy_rows(rg_exec *ex, rg_dtype type, void *to, int64_t ld_to, const void *from,
                       int64_t ld_from, int64_t rows, int64_t cols)
{
    rg_copy_args args = {
        .src = from, .dst = to, .rows = rows, .cols = cols, .ld_src = ld_from, .ld_dst = ld_to};
    rg_status status = rg_exec_kernels_of(ex, type)->copy(&ex->kernel_ctx, &args);
    if (status != RG_OK) rg_exec_fail(ex, status, "copy of rows");
    return status;
}

static rg_attention_attr packed_attr(const rg_self_attention *layer, int64_t width)
{
    return (rg_attention_attr){.heads = layer->heads,
                               .channels = width,
                               .k_column = width,
                               .v_column = 2 * width,
                               .window = -1,
                               .rope_base = layer->rope_base};
}

static rg_tensor *attend(rg_exec *ex, const rg_self_attention *layer, rg_tensor *x, rg_tensor *pos,
                         rg_tensor *key_mask, bool causal)
{
    rg_tensor *qkv = rg_linear(ex, x, layer->qkv, NULL, RG_ACT_NONE);
    if (!qkv) return NULL;
    rg_attention_attr attr = packed_attr(layer, rg_shape_last(x->shape));
    attr.causal = causal;
    rg_tensor *mixed = rg_attention(ex, qkv, qkv, pos, pos, key_mask, &attr);
    return rg_linear(ex, mixed, layer->out, NULL, RG_ACT_NONE);
}

rg_tensor *rg_attend_past(rg_exec *ex, const rg_self_attention *layer, rg_tensor *x)
{
    return attend(ex, layer, x, NULL, NULL, true);
}

/* The key and value columns of qkv (B,n,3C) to steps first .. of the cache. */
static rg_status cache_write(rg_exec *ex, rg_kv_cache *cache, const rg_tensor *qkv, int32_t first)
{
    int64_t items = qkv->shape.dim[0], n = qkv->shape.dim[1], width = rg_shape_last(qkv->shape) / 3;
    size_t size = rg_dtype_size(qkv->dtype);
    for (int64_t b = 0; b < items; b++) {
        const char *from = (const char *)qkv->data + (size_t)(b * n * 3 + 1) * (size_t)width * size;
        char *to =
            (char *)cache->kv->data + (size_t)(b * cache->steps + first) * 2 * (size_t)width * size;
        RG_TRY(rg_copy_rows(ex, qkv->dtype, to, 2 * width, from, 3 * width, n, 2 * width));
    }
    return RG_OK;
}

rg_tensor *rg_attend_cached(rg_exec *ex, const rg_self_attention *layer, rg_tensor *x,
                            rg_kv_cache *cache, int32_t first)
{
    rg_tensor *qkv = rg_linear(ex, x, layer->qkv, NULL, RG_ACT_NONE);
    if (!qkv || cache_write(ex, cache, qkv, first) != RG_OK) return NULL;
    int64_t width = rg_shape_last(x->shape);
    rg_attention_attr attr = packed_attr(layer, width);
    attr.k_column = 0;
    attr.v_column = width;
    attr.causal = true;
    rg_tensor *kv = rg_tensor_wrap(
        ex, cache->kv->dtype, RG_SHAPE(x->shape.dim[0], cache->steps, 2 * width), cache->kv->data);
    rg_tensor *pos = rg_positions(ex, first, x->shape.dim[1]);
    rg_tensor *mixed = rg_attention(ex, qkv, kv, pos, NULL, NULL, &attr);
    return rg_linear(ex, mixed, layer->out, NULL, RG_ACT_NONE);
}

rg_encoder_layer rg_encoder_layer_declare(rg_params *params, int32_t width, int32_t heads,
                                          double rope_base, double out_gain, const char *name, ...)
{
    RG_NAME(text, name);
    return (rg_encoder_layer){
        .norm_attention = rg_norm_declare(params, width, "%s.norm_attention", text),
        .attention = rg_self_attention_declare(params, width, heads, rope_base, out_gain,
                                               "%s.attention", text),
        .norm_feed = rg_norm_declare(params, width, "%s.norm_feed", text),
        .feed = rg_feed_declare(params, width, out_gain, "%s.feed", text),
    };
}

rg_tensor *rg_encoder_run(rg_exec *ex, const rg_encoder_layer *layers, int32_t n,
                          const rg_norm *last, rg_tensor *x, rg_tensor *pos, rg_tensor *key_mask,
                          double dropout)
{
    rg_tensor *branch = NULL;
    for (int32_t i = 0; i < n; i++) {
        rg_tensor *h = rg_norm_add(ex, &layers[i].norm_attention, &x, branch);
        branch = rg_dropout(ex, attend(ex, &layers[i].attention, h, pos, key_mask, false), dropout);
        h = rg_norm_add(ex, &layers[i].norm_feed, &x, branch);
        branch = rg_dropout(ex, rg_feed_run(ex, &layers[i].feed, h), dropout);
    }
    return rg_norm_add(ex, last, &x, branch);
}
