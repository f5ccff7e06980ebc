/*
 * What a track's decoder reads: conditions, and the other tracks by three paths (rg_track_path).
 *
 * One idea: the encoder runs twice: over the conditions alone, and over conditions, state tokens
 * and patches of what is known; the second is listened to through a zero-started output. A window
 * without context costs and changes nothing. Not here: the shared space and the same-time paths
 * (track_space.c).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/track_internal.h"

int32_t track_most_words(const rg_track_config *config)
{
    int32_t most = RG_ACTIVITY_LEVELS;
    for (int32_t f = 0; f < config->n_fields; f++)
        if (config->fields[f].n_words > most) most = config->fields[f].n_words;
    return most;
}

void track_context_declare(rg_tracks *tracks, rg_params *params, int32_t role, const char *name)
{
    const rg_track_config *c = &tracks->config;
    track_net *net = &tracks->net[role];
    int32_t words = track_most_words(c), d = c->width;
    double out_gain = 1 / sqrt(2.0 * c->encoder_layers);
    net->prompt = rg_table_declare(params, c->n_fields + 1, words + 1, d, 0.5,
                                   "track.%s.encoder.prompt", name);
    net->states = rg_table_declare(params, c->n_roles, 4, d, 0.5, "track.%s.encoder.states", name);
    char text[RG_NAME_SIZE];
    snprintf(text, sizeof text, "track.%s.encoder.patch", name);
    net->patch = rg_params_add(params, text, RG_SHAPE(c->patch, d, d),
                               (rg_init){RG_INIT_TRUNCATED, 1 / sqrt((double)c->patch * d)});
    if (net->patch) rg_params_use_as_matrix(params, net->patch);
    for (int32_t l = 0; l < c->encoder_layers; l++)
        net->encoder[l] = rg_encoder_layer_declare(params, d, c->heads, c->rope_base, out_gain,
                                                   "track.%s.encoder.%d", name, l);
    net->encoder_norm = rg_norm_declare(params, d, "track.%s.encoder.norm", name);
    net->marks =
        rg_table_declare(params, c->n_fields + 1, words, d, 0.3, "track.%s.decoder.marks", name);
    net->beat = rg_weight_declare(params, RG_BEAT_FEATURES, d, 1, "track.%s.decoder.beat", name);
    track_same_declare(tracks, params, role, name);
}

/* ---- global: the encoder --------------------------------------------------------------------- */

static rg_tensor *prompt_tokens(rg_exec *ex, const rg_track_config *c, const track_net *net,
                                const rg_track_batch *batch)
{
    int32_t books = c->n_fields + 1;
    rg_tensor *codes = rg_tensor_new(ex, RG_I32, RG_SHAPE(batch->items, books, books));
    int32_t *out = rg_tensor_fill(ex, codes);
    if (!out) return NULL;
    memset(out, 0xff, (size_t)rg_shape_count(codes->shape) * sizeof(int32_t));
    for (int32_t b = 0; b < batch->items; b++) {
        int32_t *item = out + (int64_t)b * books * books;
        item[c->n_fields] = 0;
        for (int32_t f = 0; f < c->n_fields; f++)
            item[(f + 1) * books + f] = batch->conditions[b * c->n_fields + f] + 1;
    }
    return rg_embedding(ex, rg_tensor_filled(ex, codes, out), net->prompt);
}

/* Of one role in one window: 0 nothing known, 1 some frames, 2 all, 3 absent. */
static int32_t state_summary(const uint8_t *state, int32_t frames)
{
    int32_t known = 0, absent = 0;
    for (int32_t t = 0; t < frames; t++) {
        known += state[t] == RG_CELL_KNOWN;
        absent += state[t] == RG_CELL_ABSENT;
    }
    if (known == frames) return 2;
    if (known > 0) return 1;
    return absent > 0 ? 3 : 0;
}

static rg_tensor *state_tokens(rg_exec *ex, const rg_track_config *c, const track_net *net,
                               const rg_track_batch *batch)
{
    int32_t roles = c->n_roles;
    rg_tensor *codes = rg_tensor_new(ex, RG_I32, RG_SHAPE(batch->items, roles, roles));
    int32_t *out = rg_tensor_fill(ex, codes);
    if (!out) return NULL;
    memset(out, 0xff, (size_t)rg_shape_count(codes->shape) * sizeof(int32_t));
    for (int64_t b = 0; b < batch->items; b++)
        for (int32_t r = 0; r < roles; r++)
            out[(b * roles + r) * roles + r] =
                state_summary(batch->state[r] + b * batch->frames, batch->frames);
    return rg_embedding(ex, rg_tensor_filled(ex, codes, out), net->states);
}

/*
 * Masks over [prompt, states, patches]: `read` for the encoder, `heard` for the decoder, which has
 * the prompt already. Patches without a known frame are left out; an item that sees nothing hears
 * nothing.
 */
static void fill_masks(const rg_track_config *c, const rg_track_batch *batch,
                       const track_shown *shown, uint8_t *read, uint8_t *heard)
{
    int32_t patches = batch->frames / c->patch, prompt = c->n_fields + 1;
    int64_t keys = prompt + c->n_roles + (int64_t)shown->n * patches;
    memset(read, 0, (size_t)(batch->items * keys));
    for (int64_t b = 0; b < batch->items; b++) {
        uint8_t *row = read + b * keys, visible = 0;
        for (int32_t i = 0; i < shown->n; i++)
            for (int32_t t = 0; t < batch->frames; t++) {
                uint8_t state = batch->state[shown->role[i]][b * batch->frames + t];
                visible |= state != RG_CELL_UNKNOWN;
                int32_t p = i * patches + t / c->patch;
                row[prompt + c->n_roles + p] |= state == RG_CELL_KNOWN;
            }
        memset(row, 1, (size_t)prompt);
        memset(row + prompt, visible, (size_t)c->n_roles);
        memcpy(heard + b * keys, row, (size_t)keys);
        memset(heard + b * keys, 0, (size_t)prompt);
    }
}

/* Rotary positions of the encoder's tokens: 0 for prompt and states, a patch's middle frame. */
static rg_tensor *context_positions(rg_exec *ex, const rg_track_config *c, int32_t frames,
                                    int32_t shown)
{
    int32_t patches = frames / c->patch, lead = c->n_fields + 1 + c->n_roles;
    rg_tensor *pos = rg_tensor_new(ex, RG_F32, RG_SHAPE(lead + shown * patches));
    float *p = rg_tensor_fill(ex, pos);
    if (!p) return NULL;
    memset(p, 0, (size_t)lead * sizeof *p);
    for (int32_t i = 0; i < shown * patches; i++)
        p[lead + i] = (float)(i % patches * c->patch) + 0.5F * (float)(c->patch - 1);
    return rg_tensor_filled(ex, pos, p);
}

static void keys_of_layers(rg_exec *ex, const rg_track_config *c, const track_net *net,
                           rg_tensor *source, rg_tensor **kv)
{
    for (int32_t l = 0; l < c->decoder_layers; l++)
        kv[l] = rg_linear(ex, source, net->layer[l].cross_kv, NULL, RG_ACT_NONE);
}

static void read_context(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                         const track_shown *shown, rg_tensor *u, rg_tensor *prompt,
                         track_reading *out)
{
    const rg_track_config *c = &tracks->config;
    const track_net *net = &tracks->net[batch->target];
    rg_conv1d_attr patching = {.stride = c->patch, .dilation = 1};
    rg_tensor *parts[3] = {prompt, state_tokens(ex, c, net, batch),
                           rg_conv1d(ex, u, net->patch, NULL, &patching)};
    rg_tensor *x = rg_concat(ex, parts, 3, 1);
    if (!x) return;
    int64_t keys = x->shape.dim[1];
    rg_tensor *read = rg_tensor_new(ex, RG_U8, RG_SHAPE(batch->items, keys));
    out->context_mask = rg_tensor_new(ex, RG_U8, RG_SHAPE(batch->items, keys));
    out->context_pos = context_positions(ex, c, batch->frames, shown->n);
    uint8_t *reads = rg_tensor_fill(ex, read), *hears = rg_tensor_fill(ex, out->context_mask);
    if (!reads || !hears || !out->context_pos) return;
    fill_masks(c, batch, shown, reads, hears);
    read = rg_tensor_filled(ex, read, reads);
    out->context_mask = rg_tensor_filled(ex, out->context_mask, hears);
    rg_tensor *memory = rg_encoder_run(ex, net->encoder, c->encoder_layers, &net->encoder_norm, x,
                                       out->context_pos, read, c->dropout);
    keys_of_layers(ex, c, net, memory, out->context_kv);
}

/* ---- the base of every step: beat, conditions, activity, Same -------------------------------- */

static rg_tensor *beat_of(rg_exec *ex, const rg_track_batch *batch, int32_t steps)
{
    rg_tensor *x =
        rg_tensor_new(ex, ex->kernels->real, RG_SHAPE(batch->items, steps, RG_BEAT_FEATURES));
    void *out = rg_tensor_fill(ex, x);
    if (!out) return NULL;
    for (int64_t b = 0; b < batch->items; b++)
        for (int64_t s = 0; s < steps; s++) {
            int64_t t = s < batch->frames ? s : batch->frames - 1;
            const float *from = batch->beat + (b * batch->frames + t) * RG_BEAT_FEATURES;
            for (int64_t i = 0; i < RG_BEAT_FEATURES; i++) {
                int64_t at = (b * steps + s) * RG_BEAT_FEATURES + i;
                if (x->dtype == RG_F64)
                    ((double *)out)[at] = from[i];
                else
                    ((float *)out)[at] = from[i];
            }
        }
    return rg_tensor_filled(ex, x, out);
}

static rg_tensor *marks_of(rg_exec *ex, const rg_track_config *c, const rg_track_batch *batch,
                           int32_t steps)
{
    int64_t books = c->n_fields + 1;
    rg_tensor *codes = rg_tensor_new(ex, RG_I32, RG_SHAPE(batch->items, steps, books));
    int32_t *out = rg_tensor_fill(ex, codes);
    if (!out) return NULL;
    for (int64_t b = 0; b < batch->items; b++)
        for (int64_t s = 0; s < steps; s++) {
            int64_t t = s < batch->frames ? s : batch->frames - 1;
            int32_t *row = out + (b * steps + s) * books;
            memcpy(row, batch->conditions + b * c->n_fields, (size_t)c->n_fields * sizeof(int32_t));
            row[c->n_fields] = batch->activity[b * batch->frames + t];
        }
    return rg_tensor_filled(ex, codes, out);
}

rg_status track_reading_make(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                             track_reading *out)
{
    const rg_track_config *c = &tracks->config;
    const track_net *net = &tracks->net[batch->target];
    memset(out, 0, sizeof *out);
    out->items = batch->items;
    out->steps = batch->frames + c->roles[batch->target].books - 1;
    rg_tensor *prompt = prompt_tokens(ex, c, net, batch);
    rg_tensor *memory = rg_encoder_run(ex, net->encoder, c->encoder_layers, &net->encoder_norm,
                                       prompt, NULL, NULL, c->dropout);
    keys_of_layers(ex, c, net, memory, out->prompt_kv);
    rg_tensor *beat = rg_linear(ex, beat_of(ex, batch, out->steps), net->beat, NULL, RG_ACT_NONE);
    rg_tensor *marks = rg_embedding(ex, marks_of(ex, c, batch, out->steps), net->marks);
    out->base = rg_add(ex, beat, marks, 1, 1);
    track_shown shown = track_look(c, batch);
    if (shown.n == 0) return rg_exec_status(ex);
    rg_tensor *u = track_space(ex, tracks, batch, &shown);
    if (!(batch->cut & RG_PATH_GLOBAL)) read_context(ex, tracks, batch, &shown, u, prompt, out);
    if (shown.others == 0) return rg_exec_status(ex);
    track_other others[RG_TRACK_ROLES];
    int32_t n = track_others(ex, batch, &shown, u, others);
    if (!(batch->cut & RG_PATH_SAME))
        out->base = rg_add(ex, out->base, track_same(ex, tracks, batch, others, n), 1, 1);
    if (!(batch->cut & RG_PATH_NEAR) && shown.others_known)
        track_near(ex, tracks, batch, others, n, out);
    return rg_exec_status(ex);
}
