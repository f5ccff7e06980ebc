/*
 * The tensors of transformers' EncodecModel and where their numbers are in ours (hf.h).
 *
 * One idea: our parameters have their names but for four things: convolutions are (K,C_in,C_out)
 * here and (C_out,C_in,K) or, transposed, (C_in,C_out,K) there; LSTM matrices are turned; two
 * biases of an LSTM are one; the codebooks are one tensor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/hf_private.h"

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

/* Number N of "decoder.layers.N."; -1 for other names. */
static int32_t decoder_layer(const char *name)
{
    static const char head[] = "decoder.layers.";
    return strncmp(name, head, sizeof head - 1) ? -1
                                                : (int32_t)strtol(name + sizeof head - 1, NULL, 10);
}

/* Layers of the decoder that are convolutions themselves are transposed but for the first and the
 * last. */
static bool is_transposed(const char *name, int32_t last)
{
    char plain[64];
    const int32_t layer = decoder_layer(name);
    snprintf(plain, sizeof plain, "decoder.layers.%d.conv.", (int)layer);
    return layer > 0 && layer < last && !strncmp(name, plain, strlen(plain));
}

static int32_t last_layer(const rg_params *params)
{
    int32_t last = 0;
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const int32_t layer = decoder_layer(rg_params_at(params, i)->name);
        if (layer > last) last = layer;
    }
    return last;
}

/* How a parameter whose name ends so lies there; `to` replaces the end. */
static const struct form {
    const char *end, *to;
    int32_t axis[RG_MAX_DIMS];
    int32_t transposed[RG_MAX_DIMS]; /* the same of a transposed convolution */
    int32_t ones;                    /* dims of 1 that follow there */
} forms[] = {
    {".conv.weight_g", ".conv.weight_g", {0}, {0}, 2},
    {".conv.weight_v", ".conv.weight_v", {2, 1, 0}, {1, 2, 0}, 0},
    {".conv.weight", ".conv.weight", {2, 1, 0}, {1, 2, 0}, 0},
    {".conv.bias", ".conv.bias", {0}, {0}, 0},
    {".conv.norm_gain", ".norm.weight", {0}, {0}, 0},
    {".conv.norm_bias", ".norm.bias", {0}, {0}, 0},
};

static rg_hf_tensor *add(rg_hf_tensors *out, const rg_param *p, const int32_t *axis)
{
    rg_hf_tensor *t = &out->list[out->n++];
    *t = (rg_hf_tensor){.param = *p, .shape = p->shape, .kind = RG_HF_VALUE};
    for (int32_t i = 0; i < p->shape.ndim; i++) {
        t->axis[i] = axis[i];
        t->shape.dim[i] = p->shape.dim[axis[i]];
    }
    return t;
}

static void add_form(rg_hf_tensors *out, const rg_param *p, const struct form *f, int32_t last)
{
    const bool transposed = is_transposed(p->name, last);
    rg_hf_tensor *t = add(out, p, transposed ? f->transposed : f->axis);
    t->transposed = transposed;
    for (int32_t i = 0; i < f->ones; i++) t->shape.dim[t->shape.ndim++] = 1;
    snprintf(t->name, sizeof t->name, "%.*s%s", (int)(strlen(p->name) - strlen(f->end)), p->name,
             f->to);
}

static void add_lstm(rg_hf_tensors *out, const rg_param *p)
{
    static const int32_t turned[RG_MAX_DIMS] = {1, 0}, straight[RG_MAX_DIMS] = {0};
    const char *bias = strstr(p->name, ".bias_l");
    rg_hf_tensor *t = add(out, p, bias ? straight : turned);
    snprintf(t->name, sizeof t->name, "%s", p->name);
    if (!bias) return;
    const int head = (int)(bias - p->name);
    const char *layer = bias + strlen(".bias_l");
    snprintf(t->name, sizeof t->name, "%.*s.bias_ih_l%s", head, p->name, layer);
    t = add(out, p, straight);
    t->kind = RG_HF_ADDED;
    snprintf(t->name, sizeof t->name, "%.*s.bias_hh_l%s", head, p->name, layer);
}

static const struct part {
    const char *ours, *theirs;
    int kind;
} parts[] = {{"quantizer.books", "embed", RG_HF_VALUE},
             {"quantizer.sums", "embed_avg", RG_HF_TRAINING},
             {"quantizer.cluster_size", "cluster_size", RG_HF_TRAINING},
             {"quantizer.started", "inited", RG_HF_FLAG}};

/* (K, ...) of ours, one tensor for each of K there. */
static void add_books(rg_hf_tensors *out, const rg_param *p)
{
    static const int32_t straight[RG_MAX_DIMS] = {0, 1};
    const struct part *part = parts;
    while (strcmp(part->ours, p->name) != 0) part++;
    rg_param one = *p;
    one.shape.ndim = p->shape.ndim > 1 ? p->shape.ndim - 1 : 1;
    for (int32_t i = 0; i < one.shape.ndim; i++)
        one.shape.dim[i] = p->shape.ndim > 1 ? p->shape.dim[i + 1] : 1;
    for (int32_t q = 0; q < p->shape.dim[0]; q++) {
        rg_hf_tensor *t = add(out, &one, straight);
        t->kind = part->kind;
        t->first = q * rg_shape_count(one.shape);
        snprintf(t->name, sizeof t->name, "quantizer.layers.%d.codebook.%s", (int)q, part->theirs);
    }
}

static void add_param(rg_hf_tensors *out, const rg_param *p, int32_t last)
{
    if (!strncmp(p->name, "quantizer.", 10)) {
        add_books(out, p);
        return;
    }
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!ends_with(p->name, forms[i].end)) continue;
        add_form(out, p, &forms[i], last);
        return;
    }
    add_lstm(out, p);
}

rg_status rg_hf_list(const rg_params *params, const rg_encodec_config *config, rg_hf_tensors *out,
                     rg_error *err)
{
    const size_t n = rg_params_count(params), books = (size_t)config->codebooks;
    *out = (rg_hf_tensors){.list = calloc(2 * n + 4 * books, sizeof *out->list)};
    if (!out->list) return rg_fail(err, RG_ERR_NOMEM, "no memory for a list of tensors");
    const int32_t last = last_layer(params);
    for (size_t i = 0; i < n; i++) add_param(out, rg_params_at(params, i), last);
    return RG_OK;
}

void rg_hf_original_name(const rg_hf_tensor *t, char *out, size_t size)
{
    const char *conv = t->transposed ? "convtr" : "conv", *at, *leaf;
    if ((at = strstr(t->name, ".codebook."))) {
        const int q = (int)strtol(strstr(t->name, "layers.") + 7, NULL, 10);
        snprintf(out, size, "quantizer.vq.layers.%d._codebook.%s", q, at + strlen(".codebook."));
        return;
    }
    const int head = (int)(strchr(t->name, '.') - t->name); /* "encoder" or "decoder" */
    const char *rest = t->name + head + strlen(".layers");
    if ((at = strstr(rest, ".conv."))) {
        leaf = at + strlen(".conv.");
        snprintf(out, size, "%.*s.model%.*s.%s.%s.%s", head, t->name, (int)(at - rest), rest, conv,
                 conv, leaf);
    } else if ((at = strstr(rest, ".norm."))) {
        snprintf(out, size, "%.*s.model%.*s.%s%s", head, t->name, (int)(at - rest), rest, conv, at);
    } else {
        snprintf(out, size, "%.*s.model%s", head, t->name, rest);
    }
}

int64_t rg_hf_index(const rg_hf_tensor *t, int64_t i)
{
    const rg_shape ours = t->param.shape;
    int64_t at[RG_MAX_DIMS] = {0}, index = 0;
    for (int32_t k = ours.ndim - 1; k >= 0; k--) {
        at[t->axis[k]] = i % t->shape.dim[k];
        i /= t->shape.dim[k];
    }
    for (int32_t k = 0; k < ours.ndim; k++) index = index * ours.dim[k] + at[k];
    return index;
}
