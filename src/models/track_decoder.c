/*
 * The decoder of a track: its past by causal self-attention, and three listeners beside it
 * (conditions, global context, same-time context).
 *
 * One idea: queries, keys and values of conditions and global context are the same matrices over
 * the same encoder; only the outputs differ, and that of the context starts at zero.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/track_internal.h"

static void declare_listeners(const rg_track_config *c, track_layer *layer, rg_params *params,
                              double out_gain, bool near, const char *name)
{
    int32_t d = c->width;
    layer->cross_q = rg_weight_declare(params, d, d, 1, "%s.cross.q", name);
    layer->cross_kv = rg_weight_declare(params, d, 2 * d, 1, "%s.cross.kv", name);
    layer->prompt_out = rg_weight_declare(params, d, d, out_gain, "%s.cross.prompt_out", name);
    layer->context_out = rg_weight_declare(params, d, d, 0, "%s.cross.context_out", name);
    if (!near) return;
    layer->near_q = rg_weight_declare(params, d, d, 1, "%s.near.q", name);
    layer->near_kv = rg_weight_declare(params, d, 2 * d, 1, "%s.near.kv", name);
    layer->near_out = rg_weight_declare(params, d, d, 0, "%s.near.out", name);
}

void track_decoder_declare(rg_tracks *tracks, rg_params *params, int32_t role, const char *name)
{
    const rg_track_config *c = &tracks->config;
    track_net *net = &tracks->net[role];
    int32_t d = c->width, books = c->roles[role].books, entries = c->roles[role].entries;
    double out_gain = 1 / sqrt(2.0 * c->decoder_layers);
    net->tokens = rg_table_declare(params, books, entries, d, 0.5 / sqrt((double)books),
                                   "track.%s.decoder.tokens", name);
    for (int32_t l = 0; l < c->decoder_layers; l++) {
        track_layer *layer = &net->layer[l];
        char text[RG_NAME_SIZE];
        snprintf(text, sizeof text, "track.%s.decoder.%d", name, l);
        layer->norm_self = rg_norm_declare(params, d, "%s.norm_self", text);
        layer->self =
            rg_self_attention_declare(params, d, c->heads, c->rope_base, out_gain, "%s.self", text);
        layer->norm_listen = rg_norm_declare(params, d, "%s.norm_listen", text);
        declare_listeners(c, layer, params, out_gain, track_near_layer(l) && c->n_roles > 1, text);
        layer->norm_feed = rg_norm_declare(params, d, "%s.norm_feed", text);
        layer->feed = rg_feed_declare(params, d, out_gain, "%s.feed", text);
    }
    net->last = rg_norm_declare(params, d, "track.%s.decoder.norm", name);
    for (int32_t q = 0; q < books; q++)
        net->head[q] = rg_weight_declare(params, d, entries, 1, "track.%s.head.%d", name, q);
}

/* h (B,n,d) listens to conditions, context and near frames; the sum of what they say. */
static rg_tensor *listen(rg_exec *ex, const rg_track_config *c, const track_layer *layer, int32_t l,
                         rg_tensor *h, const track_reading *reading, rg_tensor *pos)
{
    rg_attention_attr attr = {
        .heads = c->heads, .channels = c->width, .v_column = c->width, .window = -1};
    rg_tensor *q = rg_linear(ex, h, layer->cross_q, NULL, RG_ACT_NONE);
    rg_tensor *sum = rg_attention(ex, q, reading->prompt_kv[l], NULL, NULL, NULL, &attr);
    sum = rg_linear(ex, sum, layer->prompt_out, NULL, RG_ACT_NONE);
    attr.rope_base = c->rope_base;
    if (reading->context_mask) {
        rg_tensor *heard = rg_attention(ex, q, reading->context_kv[l], pos, reading->context_pos,
                                        reading->context_mask, &attr);
        heard = rg_linear(ex, heard, layer->context_out, NULL, RG_ACT_NONE);
        sum = rg_add(ex, sum, heard, 1, 1);
    }
    if (reading->near_mask && track_near_layer(l)) {
        attr.window = c->near_reach;
        q = rg_linear(ex, h, layer->near_q, NULL, RG_ACT_NONE);
        rg_tensor *heard = rg_attention(ex, q, reading->near_kv[l], pos, reading->near_pos,
                                        reading->near_mask, &attr);
        heard = rg_linear(ex, heard, layer->near_out, NULL, RG_ACT_NONE);
        sum = rg_add(ex, sum, heard, 1, 1);
    }
    return sum;
}

rg_tensor *track_decoder_run(rg_exec *ex, rg_tracks *tracks, int32_t role, rg_tensor *x,
                             const track_reading *reading, rg_kv_cache *caches, int32_t first)
{
    const rg_track_config *c = &tracks->config;
    track_net *net = &tracks->net[role];
    if (!x) return NULL;
    rg_tensor *pos = rg_positions(ex, first, x->shape.dim[1]), *branch = NULL;
    for (int32_t l = 0; l < c->decoder_layers; l++) {
        track_layer *layer = &net->layer[l];
        rg_tensor *h = rg_norm_add(ex, &layer->norm_self, &x, branch);
        branch = caches ? rg_attend_cached(ex, &layer->self, h, &caches[l], first)
                        : rg_attend_past(ex, &layer->self, h);
        branch = rg_dropout(ex, branch, c->dropout);
        h = rg_norm_add(ex, &layer->norm_listen, &x, branch);
        branch = rg_dropout(ex, listen(ex, c, layer, l, h, reading, pos), c->dropout);
        h = rg_norm_add(ex, &layer->norm_feed, &x, branch);
        branch = rg_dropout(ex, rg_feed_run(ex, &layer->feed, h), c->dropout);
    }
    return rg_norm_add(ex, &net->last, &x, branch);
}

rg_tensor *track_decoder_tokens(rg_exec *ex, rg_tracks *tracks, int32_t role, const int32_t *codes,
                                const uint8_t *seen, int32_t items, int32_t frames, int32_t first,
                                int32_t n)
{
    int64_t books = tracks->config.roles[role].books;
    rg_tensor *in = rg_tensor_new(ex, RG_I32, RG_SHAPE(items, n, books));
    int32_t *read_codes = rg_tensor_fill(ex, in);
    if (!read_codes) return NULL;
    for (int64_t b = 0; b < items; b++)
        for (int64_t s = 0; s < n; s++)
            for (int64_t q = 0; q < books; q++) {
                int64_t t = first + s - 1 - q;
                bool read = t >= 0 && t < frames && seen[b * frames + t];
                read_codes[(b * n + s) * books + q] =
                    read ? codes[(b * frames + t) * books + q] : -1;
            }
    return rg_embedding(ex, rg_tensor_filled(ex, in, read_codes), tracks->net[role].tokens);
}
