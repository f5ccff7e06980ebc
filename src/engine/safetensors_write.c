/*
 * Writing safetensors files (safetensors.h).
 *
 * One idea: one comparison function decides where tensors lie; the header is made from the result.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "engine/safetensors_private.h"

enum { ALIGN = 64 };

char *rg_st_checksum_key(const char *name)
{
    size_t n = strlen(name) + sizeof "crc32c:";
    char *key = malloc(n);
    if (key) snprintf(key, n, "crc32c:%s", name);
    return key;
}

void rg_st_checksum(const void *data, int64_t n, char out[16])
{
    snprintf(out, 16, "%08" PRIx32, rg_crc32c(0, data, (size_t)n));
}

typedef struct item {
    rg_st_tensor tensor;
    const void *data;
} item;

struct rg_st_writer {
    item *items;
    size_t n, capacity;
    json_t *metadata;
    rg_error error; /* of an add; told by rg_st_write */
};

rg_st_writer *rg_st_writer_create(rg_error *err)
{
    rg_st_writer *w = calloc(1, sizeof *w);
    if (w) w->metadata = json_object();
    if (w && w->metadata) return w;
    rg_st_writer_free(w);
    rg_fail(err, RG_ERR_NOMEM, "safetensors: out of memory");
    return NULL;
}

void rg_st_writer_free(rg_st_writer *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->n; i++) free(w->items[i].tensor.name);
    free(w->items);
    json_decref(w->metadata);
    free(w);
}

static bool make_room(rg_st_writer *w)
{
    if (w->n < w->capacity) return true;
    size_t capacity = w->capacity ? 2 * w->capacity : 64;
    item *more = realloc(w->items, capacity * sizeof *more);
    if (!more) return false;
    w->items = more;
    w->capacity = capacity;
    return true;
}

void rg_st_add(rg_st_writer *w, const char *name, rg_dtype dtype, rg_shape shape, const void *data)
{
    if (w->error.code) return;
    char *copy = strdup(name);
    if (!copy || !make_room(w)) {
        free(copy);
        rg_fail(&w->error, RG_ERR_NOMEM, "out of memory");
        return;
    }
    w->items[w->n++] = (item){
        .tensor = {.name = copy,
                   .dtype = dtype,
                   .shape = shape,
                   .bytes = rg_shape_count(shape) * (int64_t)rg_dtype_size(dtype)},
        .data = data,
    };
}

void rg_st_add_metadata(rg_st_writer *w, const char *key, const char *value)
{
    if (w->error.code) return;
    if (json_object_set_new(w->metadata, key, json_string(value)) != 0)
        rg_fail(&w->error, RG_ERR_FORMAT, "metadata %s is no UTF-8 text, or out of memory", key);
}

/* Sizes that keep the 64-byte alignment first, then by element size, then by name. */
static int by_layout(const void *a, const void *b)
{
    const rg_st_tensor *s = &((const item *)a)->tensor, *t = &((const item *)b)->tensor;
    int odd_s = s->bytes % ALIGN != 0, odd_t = t->bytes % ALIGN != 0;
    if (odd_s != odd_t) return odd_s - odd_t;
    size_t size_s = rg_dtype_size(s->dtype), size_t_ = rg_dtype_size(t->dtype);
    if (size_s != size_t_) return size_s > size_t_ ? -1 : 1;
    return strcmp(s->name, t->name);
}

/* NULL when out of memory. */
static json_t *shape_json(rg_shape shape)
{
    json_t *dims = json_array();
    for (int32_t i = 0; i < shape.ndim; i++) {
        if (json_array_append_new(dims, json_integer(shape.dim[i])) == 0) continue;
        json_decref(dims);
        return NULL;
    }
    return dims;
}

static void add_checksum(rg_st_writer *w, const item *it)
{
    char *key = rg_st_checksum_key(it->tensor.name), text[16];
    rg_st_checksum(it->data, it->tensor.bytes, text);
    if (key)
        rg_st_add_metadata(w, key, text);
    else
        rg_fail(&w->error, RG_ERR_NOMEM, "out of memory");
    free(key);
}

/* NULL when out of memory. */
static json_t *tensor_json(const rg_st_tensor *t)
{
    json_t *shape = shape_json(t->shape);
    json_int_t begin = t->offset, end = t->offset + t->bytes;
    if (!shape) return NULL;
    json_t *entry = json_pack("{s:s, s:O, s:[I,I]}", "dtype", rg_dtype_text(t->dtype), "shape",
                              shape, "data_offsets", begin, end);
    json_decref(shape);
    return entry;
}

/* Lays the tensors out and describes them; NULL with the reason in w->error. */
static json_t *make_header(rg_st_writer *w)
{
    json_t *header = json_object();
    int64_t at = 0;
    if (json_object_set(header, RG_ST_METADATA, w->metadata) != 0)
        rg_fail(&w->error, RG_ERR_NOMEM, "out of memory");
    if (w->n) qsort(w->items, w->n, sizeof *w->items, by_layout);
    for (size_t i = 0; i < w->n; i++) {
        rg_st_tensor *t = &w->items[i].tensor;
        if (json_object_get(header, t->name))
            rg_fail(&w->error, RG_ERR_MISMATCH, "two tensors have the name %s", t->name);
        t->offset = at;
        at += t->bytes;
        if (json_object_set_new(header, t->name, tensor_json(t)) != 0)
            rg_fail(&w->error, RG_ERR_FORMAT,
                    "cannot describe tensor %s: its name is no UTF-8 text, or out of memory",
                    t->name);
        add_checksum(w, &w->items[i]);
    }
    if (!w->error.code) return header;
    json_decref(header);
    return NULL;
}

/*
 * The header as bytes, padded with spaces so that data starts at a multiple of 64; heap. Dumped
 * into a buffer that is large enough: jansson loses keys when a growing one runs out of memory.
 */
static char *padded_header(const json_t *header, size_t *n)
{
    size_t text = json_dumpb(header, NULL, 0, JSON_COMPACT);
    *n = (RG_ST_LENGTH_BYTES + text + ALIGN - 1) / ALIGN * ALIGN;
    uint64_t length = *n - RG_ST_LENGTH_BYTES;
    char *bytes = text ? malloc(*n) : NULL;
    if (!bytes) return NULL;
    memset(bytes, ' ', *n);
    memcpy(bytes, &length, RG_ST_LENGTH_BYTES);
    if (json_dumpb(header, bytes + RG_ST_LENGTH_BYTES, text, JSON_COMPACT) == text) return bytes;
    free(bytes);
    return NULL;
}

static char *header_bytes(rg_st_writer *w, size_t *n)
{
    json_t *header = make_header(w);
    if (!header) return NULL;
    char *bytes = padded_header(header, n);
    if (!bytes) rg_fail(&w->error, RG_ERR_NOMEM, "out of memory");
    json_decref(header);
    return bytes;
}

static rg_status write_all(const rg_st_writer *w, const char *header, size_t n,
                           rg_atomic_file *file, rg_error *err)
{
    RG_TRY(rg_fs_write_exact(file->fd, header, n, file->path, err));
    for (size_t i = 0; i < w->n; i++) {
        const item *it = &w->items[i];
        if (!it->tensor.bytes) continue;
        RG_TRY(rg_fs_write_exact(file->fd, it->data, (size_t)it->tensor.bytes, file->path, err));
    }
    return RG_OK;
}

static rg_status write_file(rg_st_writer *w, const char *path, rg_error *err)
{
    if (w->error.code) return rg_fail(err, w->error.code, "%s: %s", path, w->error.text);
    size_t n = 0;
    char *header = header_bytes(w, &n);
    if (!header) return rg_fail(err, w->error.code, "%s: %s", path, w->error.text);
    rg_atomic_file file;
    rg_status status = rg_fs_begin(&file, path, err);
    if (status == RG_OK) {
        status = write_all(w, header, n, &file, err);
        if (status == RG_OK)
            status = rg_fs_commit(&file, err);
        else
            rg_fs_abandon(&file);
    }
    free(header);
    return status;
}

rg_status rg_st_write(rg_st_writer *w, const char *path, rg_error *err)
{
    rg_status status = write_file(w, path, err);
    rg_st_writer_free(w);
    return status;
}
