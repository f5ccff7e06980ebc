/*
 * Reading an EnCodec of transformers (hf.h).
 *
 * One idea: all tensors are looked at before one is read, and all that is wrong with them is told,
 * so that a file of another model is understood at once.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "models/bundle.h"
#include "models/hf_private.h"

/* A file that is being read, and what is said of it. */
typedef struct import {
    rg_st_reader *reader;
    const char *path;
    const char *prefix; /* before every name: "" or "audio_encoder." */
    bool original;      /* names of encodec and audiocraft */
    bool keep_training_state;
    rg_hf_tensors tensors;
    const rg_st_tensor **found; /* for each of tensors; NULL: not needed */
    const rg_log *log;
    size_t faults;
} import;

/* ---- names ---- */

/* Weight norm as torch.nn.utils.parametrizations names it. */
static void new_name(const char *name, char *out, size_t size)
{
    const size_t n = strlen(name), end = strlen("weight_g");
    const bool g = n > end && !strcmp(name + n - end, "weight_g");
    const bool v = n > end && !strcmp(name + n - end, "weight_v");
    if (g || v)
        snprintf(out, size, "%.*sparametrizations.weight.original%d", (int)(n - end), name, v);
    else
        rg_copy_text(out, size, name);
}

static const rg_st_tensor *find_tensor(const import *m, const rg_hf_tensor *t, char *name,
                                       size_t size)
{
    char plain[2 * RG_NAME_SIZE], other[2 * RG_NAME_SIZE];
    if (m->original)
        rg_hf_original_name(t, plain, sizeof plain);
    else
        rg_copy_text(plain, sizeof plain, t->name);
    snprintf(name, size, "%s%s", m->prefix, plain);
    new_name(name, other, sizeof other);
    const rg_st_tensor *found = rg_st_find(m->reader, name);
    return found ? found : rg_st_find(m->reader, other);
}

static bool has_names(const rg_st_reader *r, const char *prefix, const char *head)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, head);
    for (size_t i = 0; i < rg_st_count(r); i++)
        if (!strncmp(rg_st_at(r, i)->name, full, strlen(full))) return true;
    return false;
}

/* The rest of a MusicGen. */
static bool is_of_musicgen(const char *name)
{
    static const char *const heads[] = {"text_encoder.", "decoder.", "enc_to_dec_proj.",
                                        "audio_enc_to_dec_proj."};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (!strncmp(name, heads[i], strlen(heads[i]))) return true;
    return false;
}

/* ---- what is wrong ---- */

static void fault(import *m, rg_error *err, const char *text)
{
    if (m->faults++ == 0) rg_fail(err, RG_ERR_MISMATCH, "%s: %s", m->path, text);
    rg_log_line(m->log, RG_LOG_WARNING, "%s: %s", m->path, text);
}

static bool is_real(rg_dtype type)
{
    return type == RG_F32 || type == RG_F16 || type == RG_BF16 || type == RG_F64;
}

static void check_tensor(import *m, size_t i, rg_error *err)
{
    const rg_hf_tensor *t = &m->tensors.list[i];
    char name[2 * RG_NAME_SIZE], text[RG_ERROR_TEXT], want[96], have[96];
    const rg_st_tensor *found = find_tensor(m, t, name, sizeof name);
    const bool needed = t->kind == RG_HF_VALUE || t->kind == RG_HF_ADDED ||
                        (t->kind == RG_HF_TRAINING && m->keep_training_state);
    m->found[i] = found;
    if (!found && !needed) return;
    rg_shape_text(t->shape, want);
    if (!found) {
        snprintf(text, sizeof text, "tensor %s %s is missing", name, want);
        fault(m, err, text);
    } else if (!is_real(found->dtype) && t->kind != RG_HF_FLAG) {
        snprintf(text, sizeof text, "tensor %s is %s; numbers with a fraction are expected",
                 found->name, rg_dtype_text(found->dtype));
        fault(m, err, text);
    } else if (!rg_shape_equal(found->shape, t->shape)) {
        snprintf(text, sizeof text, "tensor %s is %s; %s is expected by config.json", found->name,
                 rg_shape_text(found->shape, have), want);
        fault(m, err, text);
    }
}

static int compare_pointers(const void *a, const void *b)
{
    const rg_st_tensor *const *x = a, *const *y = b;
    return (*x > *y) - (*x < *y);
}

/* Every tensor of the file is one of ours, or of another part of a MusicGen. */
static void check_rest(import *m, rg_error *err)
{
    const rg_st_tensor **known = malloc((m->tensors.n + 1) * sizeof *known);
    if (!known) {
        fault(m, err, "out of memory");
        return;
    }
    memcpy(known, m->found, m->tensors.n * sizeof *known);
    qsort(known, m->tensors.n, sizeof *known, compare_pointers);
    for (size_t i = 0; i < rg_st_count(m->reader); i++) {
        const rg_st_tensor *t = rg_st_at(m->reader, i);
        char text[RG_ERROR_TEXT], have[96];
        if (bsearch(&t, known, m->tensors.n, sizeof *known, compare_pointers)) continue;
        if (m->prefix[0] && strncmp(t->name, m->prefix, strlen(m->prefix)) != 0 &&
            is_of_musicgen(t->name))
            continue;
        snprintf(text, sizeof text, "tensor %s %s is not known in an EnCodec of this config.json",
                 t->name, rg_shape_text(t->shape, have));
        fault(m, err, text);
    }
    free(known);
}

static rg_status check_tensors(import *m, rg_error *err)
{
    rg_error first = {0};
    for (size_t i = 0; i < m->tensors.n; i++) check_tensor(m, i, &first);
    check_rest(m, &first);
    if (m->faults < 2) return m->faults ? rg_fail(err, first.code, "%s", first.text) : RG_OK;
    return rg_fail(err, first.code, "%s (and %zu more)", first.text, m->faults - 1);
}

/* ---- values ---- */

static rg_status put_values(import *m, size_t i, rg_params *params, const float *from,
                            rg_error *err)
{
    const rg_hf_tensor *t = &m->tensors.list[i];
    float *to = rg_param_data(params, &t->param);
    for (int64_t k = 0; k < rg_shape_count(t->shape); k++) {
        if (!isfinite(from[k]))
            return rg_fail(err, RG_ERR_FORMAT,
                           "%s: tensor %s: number %lld is not finite; the file is damaged or its "
                           "training failed",
                           m->path, m->found[i]->name, (long long)k);
        float *at = to + t->first + rg_hf_index(t, k);
        *at = t->kind == RG_HF_ADDED ? *at + from[k] : from[k];
    }
    return RG_OK;
}

/* What a codebook has that is not to be trained on: each entry seen once. */
static void set_started(rg_quantizer *q)
{
    const int64_t entries = (int64_t)q->n_books * q->entries;
    memcpy(q->sums->host, q->books->host, (size_t)(entries * q->dim) * sizeof(float));
    for (int64_t i = 0; i < entries; i++) ((float *)q->cluster_size->host)[i] = 1;
    for (int32_t i = 0; i < q->n_books; i++) ((int32_t *)q->started->host)[i] = 1;
}

static rg_status read_values(import *m, rg_codec *codec, rg_error *err)
{
    rg_status status = RG_OK;
    for (int pass = 0; pass < 2; pass++) { /* training state after what stands in for it */
        for (size_t i = 0; i < m->tensors.n && status == RG_OK; i++) {
            const rg_hf_tensor *t = &m->tensors.list[i];
            if (t->kind == RG_HF_FLAG || (t->kind == RG_HF_TRAINING) != pass) continue;
            if (t->kind == RG_HF_TRAINING && !m->keep_training_state) continue;
            const int64_t n = rg_shape_count(t->shape);
            float *values = malloc(((size_t)n + 1) * sizeof *values);
            status = values ? rg_st_read_floats(m->reader, m->found[i], values, err)
                            : rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", m->path);
            if (status == RG_OK) status = put_values(m, i, codec->params, values, err);
            free(values);
        }
        if (!pass && status == RG_OK) set_started(rg_encodec_quantizer(codec->model));
    }
    return status;
}

/* ---- files ---- */

static bool holds(const char *data, size_t n, const char *text)
{
    return memmem(data, n, text, strlen(text)) != NULL;
}

/* What a file is that is not safetensors, and what is wanted in its place. RG_OK: nothing known. */
static rg_status refuse_foreign(const char *path, rg_error *err)
{
    enum { HEAD = 4096 };
    rg_error unread = {0};
    char *data = NULL;
    size_t n = 0;
    if (rg_fs_size(path) <= HEAD && rg_fs_read_all(path, HEAD, &data, &n, &unread) != RG_OK)
        return RG_OK;
    static const char names[] = "facebook/encodec";
    const char *pointer = data ? memmem(data, n, names, sizeof names - 1) : NULL;
    rg_status status = RG_OK;
    if (data && holds(data, n, "git-lfs"))
        status = rg_fail(
            err, RG_ERR_UNSUPPORTED,
            "%s: is a pointer of git-lfs (%zu bytes), not the file; run `git lfs pull`", path, n);
    else if (pointer)
        status = rg_fail(err, RG_ERR_UNSUPPORTED,
                         "%s: only points to another model (%zu bytes); give the folder of %.*s "
                         "with its config.json and model.safetensors",
                         path, n, (int)strspn(pointer, "abcdefghijklmnopqrstuvwxyz/_0123456789"),
                         pointer);
    free(data);
    return status;
}

static bool is_pickle_name(const char *name)
{
    static const char *const ends[] = {".bin", ".pt", ".pth", ".th", ".pkl", ".ckpt"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (!strcmp(dot, ends[i])) return true;
    return false;
}

static rg_status refuse_pickle(const char *path, rg_error *err)
{
    RG_TRY(refuse_foreign(path, err));
    return rg_fail(err, RG_ERR_UNSUPPORTED,
                   "%s: is a pickle, which runs code when it is read; the folder must hold %s with "
                   "%s (transformers' save_pretrained writes both)",
                   path, RG_HF_MODEL, RG_HF_CONFIG);
}

/* A folder without the model's file: says which file there cannot be read, and what is wanted. */
static rg_status refuse_folder(const char *folder, rg_error *err)
{
    char **names, path[1024];
    size_t n;
    RG_TRY(rg_fs_list(folder, &names, &n, err));
    rg_status status = RG_OK;
    for (size_t i = 0; i < n && status == RG_OK; i++) {
        if (!strcmp(names[i], "model.safetensors.index.json"))
            status = rg_fail(err, RG_ERR_UNSUPPORTED,
                             "%s/%s: the model lies in several files; save its audio_encoder by "
                             "itself, as one %s",
                             folder, names[i], RG_HF_MODEL);
        else if (is_pickle_name(names[i]) &&
                 (status = rg_fs_join(path, sizeof path, folder, names[i], err)) == RG_OK)
            status = refuse_pickle(path, err);
    }
    rg_fs_free_names(names, n);
    RG_TRY(status);
    return rg_fail(err, RG_ERR_FORMAT, "%s: has no %s; a folder with %s and %s is wanted", folder,
                   RG_HF_MODEL, RG_HF_CONFIG, RG_HF_MODEL);
}

static rg_status find_files(const char *folder, char config[1024], char model[1024], rg_error *err)
{
    if (!rg_fs_exists(folder)) return rg_fail(err, RG_ERR_FORMAT, "%s: does not exist", folder);
    if (!rg_fs_is_folder(folder)) {
        if (is_pickle_name(folder)) return refuse_pickle(folder, err);
        return rg_fail(err, RG_ERR_FORMAT, "%s: is no folder; one with %s and %s is wanted", folder,
                       RG_HF_CONFIG, RG_HF_MODEL);
    }
    RG_TRY(rg_fs_join(config, 1024, folder, RG_HF_CONFIG, err));
    RG_TRY(rg_fs_join(model, 1024, folder, RG_HF_MODEL, err));
    if (!rg_fs_is_file(model)) return refuse_folder(folder, err);
    RG_TRY(refuse_foreign(model, err));
    if (rg_fs_is_file(config)) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT, "%s: has no %s, which says what the tensors mean", folder,
                   RG_HF_CONFIG);
}

/* ---- all of it ---- */

/* Older configurations count ten bits a code whatever the size of the codebooks: the file decides
 * between the two counts. */
static void count_books(const import *m, rg_encodec_config *c)
{
    const double frames = ceil(rg_encodec_frame_rate(c));
    const int64_t tens = (int64_t)floor(100 * c->bandwidths[c->n_bandwidths - 1] / frames);
    rg_hf_tensor last = {0};
    char name[2 * RG_NAME_SIZE];
    snprintf(last.name, sizeof last.name, "quantizer.layers.%lld.codebook.embed",
             (long long)tens - 1);
    if (tens > c->codebooks && tens <= RG_MAX_BOOKS && find_tensor(m, &last, name, sizeof name))
        c->codebooks = (int32_t)tens;
}

static rg_status make_codec(import *m, rg_exec *ex, rg_codec *codec, rg_error *err)
{
    count_books(m, &codec->config);
    codec->params = rg_params_create(err);
    if (!codec->params) return err->code;
    codec->model = rg_encodec_create(codec->params, "", &codec->config, err);
    if (!codec->model) return err->code;
    RG_TRY(rg_hf_list(codec->params, &codec->config, &m->tensors, err));
    m->found = calloc(m->tensors.n + 1, sizeof *m->found);
    if (!m->found) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", m->path);
    RG_TRY(check_tensors(m, err));
    rg_status status = rg_params_finish(codec->params, ex, 0, false, err);
    RG_TRY(status);
    memset(rg_params_values(codec->params), 0,
           (size_t)rg_params_elements(codec->params) * sizeof(float)); /* biases are sums */
    free(m->tensors.list); /* parameters have got their places */
    RG_TRY(rg_hf_list(codec->params, &codec->config, &m->tensors, err));
    RG_TRY(read_values(m, codec, err));
    status = rg_params_refresh(codec->params, ex);
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s: %s", m->path, ex->error.text);
}

static rg_status load(const char *folder, const rg_hf_options *options, rg_exec *ex,
                      const rg_log *log, rg_codec *codec, rg_error *err)
{
    char config[1024], path[1024];
    bool inside = false;
    RG_TRY(find_files(folder, config, path, err));
    RG_TRY(rg_hf_read_config(config, &codec->config, &inside, err));
import m = {.path = path, .log = log, .keep_training_state = options->keep_training_state };
    m.reader = rg_st_open(path, err);
    if (!m.reader) return err->code;
    m.prefix = inside && has_names(m.reader, "audio_encoder.", "") ? "audio_encoder." : "";
    m.original = has_names(m.reader, m.prefix, "encoder.model.");
    rg_status status = make_codec(&m, ex, codec, err);
    rg_st_close(m.reader);
    free(m.tensors.list);
    free(m.found);
    rg_copy_text(codec->role, sizeof codec->role, options->role ? options->role : "mix");
    codec->band[1] = codec->config.sample_rate / 2.0;
    return status;
}

rg_status rg_hf_load(const char *folder, const rg_hf_options *options, rg_exec *ex,
                     const rg_log *log, rg_codec *codec, rg_error *err)
{
    rg_error local = {0};
    *codec = (rg_codec){0};
    rg_status status = load(folder, options, ex, log, codec, err ? err : &local);
    if (status != RG_OK) rg_codec_free(codec);
    return status;
}

rg_status rg_hf_import(const char *folder, const char *out, const rg_hf_options *options,
                       rg_exec *ex, const rg_log *log, rg_error *err)
{
    rg_codec codec;
    RG_TRY(rg_hf_load(folder, options, ex, log, &codec, err));
    rg_status status = rg_bundle_of_codec(&codec, folder, out, err);
    rg_codec_free(&codec);
    return status;
}
