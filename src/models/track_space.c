/*
 * The shared space of all tracks, and the two same-time paths out of it: Same(s), which adds what
 * sounds at the same time to each step's input as StemGen does (arXiv 2312.08723), and the keys of
 * near attention. Without them small models were seen to leave the other tracks unheard.
 *
 * One idea: a frame that is not known is an exact zero here, and masked as a key, so nothing hidden
 * can leak. Roles of which no item of the batch shows anything are left out altogether; that
 * changes no number, only the time it takes.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "models/track_internal.h"

int32_t track_same_width(const rg_track_config *config)
{
    if (config->same_width > 0) return config->same_width;
    return config->width / 8 > 8 ? config->width / 8 : 8;
}

void track_same_declare(rg_tracks *tracks, rg_params *params, int32_t role, const char *name)
{
    const rg_track_config *c = &tracks->config;
    track_net *net = &tracks->net[role];
    int32_t width = track_same_width(c), others = c->n_roles - 1;
    if (others == 0) return;
    for (int32_t r = 0; r < c->n_roles; r++)
        if (r != role)
            net->same_in[r] = rg_weight_declare(params, c->width, width, 1, "track.%s.same.from_%s",
                                                name, c->roles[r].name);
    char text[RG_NAME_SIZE];
    snprintf(text, sizeof text, "track.%s.same.conv", name);
    net->same =
        rg_params_add(params, text, RG_SHAPE(2 * c->same_reach + 1, others * width, c->width),
                      (rg_init){RG_INIT_ZEROS, 0});
    if (net->same) rg_params_use_as_matrix(params, net->same);
    net->near_norm = rg_norm_declare(params, c->width, "track.%s.near_norm", name);
}

/* ---- what is shown --------------------------------------------------------------------------- */

track_shown track_look(const rg_track_config *c, const rg_track_batch *batch)
{
    track_shown shown = {0};
    int64_t cells = (int64_t)batch->items * batch->frames;
    for (int32_t r = 0; r < c->n_roles; r++) {
        bool any = false, known = false;
        for (int64_t i = 0; i < cells; i++) {
            any = any || batch->state[r][i] != RG_CELL_UNKNOWN;
            known = known || batch->state[r][i] == RG_CELL_KNOWN;
        }
        if (!any) continue;
        shown.role[shown.n++] = r;
        if (r == batch->target) continue;
        shown.others++;
        shown.others_known = shown.others_known || known;
    }
    return shown;
}

/* z (B,T,D): whitened latents of one role, zeros where not known. */
static rg_tensor *whitened(rg_exec *ex, const rg_tracks *tracks, const rg_track_batch *batch,
                           int32_t role)
{
    int64_t dim = tracks->config.roles[role].dim, cells = (int64_t)batch->items * batch->frames;
    rg_tensor *z = rg_tensor_new(ex, ex->kernels->real, RG_SHAPE(batch->items, batch->frames, dim));
    void *out = rg_tensor_fill(ex, z);
    if (!out) return NULL;
    const float *mean = tracks->mean[role]->host, *deviation = tracks->deviation[role]->host;
    const float *latents = batch->latents[role];
    for (int64_t i = 0; i < cells; i++) {
        bool known = batch->state[role][i] == RG_CELL_KNOWN;
        for (int64_t j = 0; j < dim; j++) {
            double scale = deviation[j] > 0 ? deviation[j] : 1;
            double v = known ? (latents[i * dim + j] - mean[j]) / scale : 0;
            if (z->dtype == RG_F64)
                ((double *)out)[i * dim + j] = v;
            else
                ((float *)out)[i * dim + j] = (float)v;
        }
    }
    return rg_tensor_filled(ex, z, out);
}

/* Concatenation of any number of parts, some RG_MAX_IN at a time. */
static rg_tensor *join(rg_exec *ex, rg_tensor **parts, int32_t n, int32_t axis)
{
    assert(n > 0);
    while (n > 1) {
        int32_t made = 0;
        for (int32_t i = 0; i < n; i += RG_MAX_IN) {
            int32_t m = n - i < RG_MAX_IN ? n - i : RG_MAX_IN;
            parts[made++] = m == 1 ? parts[i] : rg_concat(ex, parts + i, m, axis);
        }
        n = made;
    }
    return parts[0];
}

rg_tensor *track_space(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                       const track_shown *shown)
{
    int64_t items = batch->items, frames = batch->frames, roles = shown->n;
    rg_tensor *parts[RG_TRACK_ROLES] = {NULL};
    rg_tensor *codes = rg_tensor_new(ex, RG_I32, RG_SHAPE(items, roles * frames, 2));
    int32_t *cells = rg_tensor_fill(ex, codes);
    if (!cells) return NULL;
    for (int32_t i = 0; i < roles; i++) {
        int32_t r = shown->role[i];
        parts[i] =
            rg_linear(ex, whitened(ex, tracks, batch, r), tracks->project[r], NULL, RG_ACT_NONE);
        for (int64_t b = 0; b < items; b++)
            for (int64_t t = 0; t < frames; t++) {
                uint8_t state = batch->state[r][b * frames + t];
                int32_t *code = cells + 2 * ((b * roles + i) * frames + t);
                code[0] = state == RG_CELL_UNKNOWN ? -1 : state;
                code[1] = state == RG_CELL_UNKNOWN ? -1 : r;
            }
    }
    codes = rg_tensor_filled(ex, codes, cells);
    rg_tensor *z = join(ex, parts, shown->n, 1);
    return rg_add(ex, z, rg_embedding(ex, codes, tracks->space), 1, 1);
}

int32_t track_others(rg_exec *ex, const rg_track_batch *batch, const track_shown *shown,
                     rg_tensor *u, track_other *out)
{
    int32_t n = 0;
    for (int32_t i = 0; i < shown->n; i++) {
        if (shown->role[i] == batch->target) continue;
        rg_tensor *part = rg_slice(ex, u, 1, (int64_t)i * batch->frames, batch->frames);
        out[n++] = (track_other){shown->role[i], part};
    }
    return n;
}

/* ---- the two paths --------------------------------------------------------------------------- */

/*
 * The convolution has channels for all other roles in order; those that are not shown are zeros.
 * Adam moves every weight by about its learning rate, so a layer with many inputs moves its output
 * further, and what it learns from few songs is their noise: the input is scaled by width / inputs,
 * as if it had no more inputs than the layers around it.
 */
rg_tensor *track_same(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                      const track_other *others, int32_t n)
{
    const rg_track_config *c = &tracks->config;
    const track_net *net = &tracks->net[batch->target];
    rg_tensor *parts[RG_TRACK_ROLES] = {NULL}, *zeros = NULL;
    int32_t made = 0, i = 0;
    for (int32_t r = 0; r < c->n_roles; r++) {
        if (r == batch->target) continue;
        if (i < n && others[i].role == r) {
            parts[made++] = rg_linear(ex, others[i++].u, net->same_in[r], NULL, RG_ACT_NONE);
            continue;
        }
        if (!zeros) {
            zeros = rg_tensor_new(ex, ex->kernels->real,
                                  RG_SHAPE(batch->items, batch->frames, track_same_width(c)));
            if (!zeros) return NULL;
            rg_exec_zero(ex, zeros->data,
                         (size_t)rg_shape_count(zeros->shape) * rg_dtype_size(zeros->dtype));
        }
        parts[made++] = zeros;
    }
    rg_conv1d_attr attr = {.stride = 1,
                           .dilation = 1,
                           .pad_left = c->same_reach,
                           .pad_right = c->same_reach + c->roles[batch->target].books - 1};
    rg_tensor *heard = join(ex, parts, made, 2);
    double inputs = (2.0 * c->same_reach + 1) * made * track_same_width(c);
    if (inputs > c->width) heard = rg_scale(ex, heard, c->width / inputs);
    return rg_conv1d(ex, heard, net->same, NULL, &attr);
}

void track_near(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                const track_other *others, int32_t n, track_reading *out)
{
    const rg_track_config *c = &tracks->config;
    const track_net *net = &tracks->net[batch->target];
    int64_t frames = batch->frames, keys = n * frames;
    rg_tensor *parts[RG_TRACK_ROLES] = {NULL};
    rg_tensor *mask = rg_tensor_new(ex, RG_U8, RG_SHAPE(batch->items, keys));
    rg_tensor *pos = rg_tensor_new(ex, RG_F32, RG_SHAPE(keys));
    uint8_t *known = rg_tensor_fill(ex, mask);
    float *at = rg_tensor_fill(ex, pos);
    if (!known || !at) return;
    for (int64_t k = 0; k < keys; k++) at[k] = (float)(k % frames);
    for (int32_t i = 0; i < n; i++) {
        parts[i] = others[i].u;
        for (int64_t b = 0; b < batch->items; b++)
            for (int64_t t = 0; t < frames; t++)
                known[b * keys + i * frames + t] =
                    batch->state[others[i].role][b * frames + t] == RG_CELL_KNOWN;
    }
    rg_tensor *x = rg_norm_run(ex, &net->near_norm, join(ex, parts, n, 1));
    for (int32_t l = 0; l < c->decoder_layers; l++)
        if (track_near_layer(l))
            out->near_kv[l] = rg_linear(ex, x, net->layer[l].near_kv, NULL, RG_ACT_NONE);
    out->near_mask = rg_tensor_filled(ex, mask, known);
    out->near_pos = rg_tensor_filled(ex, pos, at);
}
