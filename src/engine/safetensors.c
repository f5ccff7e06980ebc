/*
 * Reading and writing safetensors files (safetensors.h).
 *
 * One idea: the reader builds its table from the JSON header one checked entry at a time, then
 * proves that the entries cover the data section exactly, in the order of their offsets; the writer
 * makes the same table and lets it be laid out by one comparison function.
 */
#include "engine/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");

enum { MAX_TENSORS = 100000, LENGTH_BYTES = 8, ALIGN = 64 };
static const int64_t max_header = 100 * 1000 * 1000;
static const char metadata_key[] = "__metadata__";

struct rg_st_reader {
    int fd;
    char *path;
    json_t *header;
    rg_st_tensor *tensors; /* sorted by name */
    size_t n;
    int64_t data_start, data_bytes;
};

/* ---- reading: the header ---- */

static rg_status parse_dtype(const json_t *entry, rg_st_tensor *t, const char *path, rg_error *err)
{
    const char *text = json_string_value(json_object_get(entry, "dtype"));
    if (!text) return rg_fail(err, RG_ERR_FORMAT, "%s: tensor %s has no dtype", path, t->name);
    if (!rg_dtype_parse(text, &t->dtype))
        return rg_fail(err, RG_ERR_UNSUPPORTED, "%s: tensor %s has dtype %s, which is not known",
                       path, t->name, text);
    return RG_OK;
}

static rg_status parse_shape(const json_t *entry, rg_st_tensor *t, const char *path, rg_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t ndim = json_array_size(shape);
    if (!json_is_array(shape))
        return rg_fail(err, RG_ERR_FORMAT, "%s: tensor %s has no shape", path, t->name);
    if (ndim > RG_MAX_DIMS)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "%s: tensor %s has %zu dims, at most %d are read",
                       path, t->name, ndim, RG_MAX_DIMS);
    t->bytes = (int64_t)rg_dtype_size(t->dtype);
    for (size_t i = 0; i < ndim; i++) {
        const json_t *dim = json_array_get(shape, i);
        int64_t n = json_integer_value(dim);
        if (!json_is_integer(dim) || n < 0)
            return rg_fail(err, RG_ERR_FORMAT, "%s: tensor %s: dim %zu is no count", path, t->name,
                           i);
        t->shape.dim[t->shape.ndim++] = n;
        if (__builtin_mul_overflow(t->bytes, n, &t->bytes))
            return rg_fail(err, RG_ERR_FORMAT, "%s: tensor %s: its shape overflows", path, t->name);
    }
    return RG_OK;
}

static rg_status parse_offsets(const json_t *entry, rg_st_tensor *t, const char *path,
                               rg_error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return rg_fail(err, RG_ERR_FORMAT, "%s: tensor %s: data_offsets are not two integers", path,
                       t->name);
    t->offset = json_integer_value(begin);
    int64_t stop = json_integer_value(end);
    if (t->offset < 0 || stop < t->offset)
        return rg_fail(err, RG_ERR_FORMAT, "%s: tensor %s: data_offsets run backwards", path,
                       t->name);
    if (stop - t->offset != t->bytes)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: tensor %s: data_offsets hold %" PRId64
                       " bytes, its shape and dtype need %" PRId64,
                       path, t->name, stop - t->offset, t->bytes);
    return RG_OK;
}

static rg_status parse_tensor(const char *name, const json_t *entry, rg_st_tensor *t,
                              const char *path, rg_error *err)
{
    t->name = strdup(name);
    if (!t->name) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    if (!json_is_object(entry) || json_object_size(entry) != 3)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: tensor %s: expected dtype, shape and data_offsets, nothing else", path,
                       name);
    RG_TRY(parse_dtype(entry, t, path, err));
    RG_TRY(parse_shape(entry, t, path, err));
    return parse_offsets(entry, t, path, err);
}

static rg_status check_metadata(const json_t *metadata, const char *path, rg_error *err)
{
    const char *key;
    json_t *value;
    if (metadata && !json_is_object(metadata))
        return rg_fail(err, RG_ERR_FORMAT, "%s: %s is no object", path, metadata_key);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value))
            return rg_fail(err, RG_ERR_FORMAT, "%s: metadata %s is no text", path, key);
    }
    return RG_OK;
}

static int by_offset(const void *a, const void *b)
{
    const rg_st_tensor *s = a, *t = b;
    if (s->offset != t->offset) return s->offset < t->offset ? -1 : 1;
    return (s->bytes > t->bytes) - (s->bytes < t->bytes); /* empty ones first */
}

static int by_name(const void *a, const void *b)
{
    const rg_st_tensor *s = a, *t = b;
    return strcmp(s->name, t->name);
}

/* No gap, no overlap, nothing left over. */
static rg_status check_cover(rg_st_reader *r, rg_error *err)
{
    int64_t at = 0;
    if (r->n) qsort(r->tensors, r->n, sizeof *r->tensors, by_offset);
    for (size_t i = 0; i < r->n; i++) {
        const rg_st_tensor *t = &r->tensors[i];
        if (t->offset != at)
            return rg_fail(err, RG_ERR_FORMAT,
                           "%s: tensor %s starts at byte %" PRId64 " of the data, expected %" PRId64
                           " (%s)",
                           r->path, t->name, t->offset, at, t->offset < at ? "overlap" : "gap");
        if (t->bytes > r->data_bytes - at)
            return rg_fail(err, RG_ERR_FORMAT,
                           "%s: tensor %s ends beyond the file: the file is cut", r->path, t->name);
        at += t->bytes;
    }
    if (at != r->data_bytes)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %" PRId64 " bytes after the last tensor", r->path,
                       r->data_bytes - at);
    if (r->n) qsort(r->tensors, r->n, sizeof *r->tensors, by_name);
    return RG_OK;
}

static rg_status parse_header(rg_st_reader *r, const char *text, size_t n, rg_error *err)
{
    json_error_t fault;
    if (text[0] != '{')
        return rg_fail(err, RG_ERR_FORMAT, "%s: the header does not start with '{'", r->path);
    r->header = json_loadb(text, n, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(r->header))
        return rg_fail(err, RG_ERR_FORMAT, "%s: header, byte %d: %s", r->path, fault.position,
                       fault.text);
    size_t members = json_object_size(r->header);
    if (members > MAX_TENSORS + 1)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %zu tensors, at most %d are read", r->path, members,
                       MAX_TENSORS);
    r->tensors = calloc(members + 1, sizeof *r->tensors);
    if (!r->tensors) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", r->path);
    const char *name;
    json_t *entry;
    json_object_foreach(r->header, name, entry)
    {
        if (!strcmp(name, metadata_key)) continue;
        RG_TRY(parse_tensor(name, entry, &r->tensors[r->n++], r->path, err));
    }
    RG_TRY(check_metadata(json_object_get(r->header, metadata_key), r->path, err));
    return check_cover(r, err);
}

static rg_status read_header(rg_st_reader *r, rg_error *err)
{
    int64_t size = rg_fs_size(r->path), length;
    if (size < LENGTH_BYTES + 2)
        return rg_fail(err, RG_ERR_FORMAT, "%s: too short to be a safetensors file", r->path);
    RG_TRY(rg_fs_pread_exact(r->fd, &length, LENGTH_BYTES, 0, r->path, err));
    if (length < 2 || length > max_header || length > size - LENGTH_BYTES)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: header of %" PRIu64 " bytes in a file of %" PRId64
                       ": no safetensors file, or cut",
                       r->path, (uint64_t)length, size);
    r->data_start = LENGTH_BYTES + length;
    r->data_bytes = size - r->data_start;
    char *text = malloc((size_t)length);
    if (!text) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", r->path);
    rg_status status = rg_fs_pread_exact(r->fd, text, (size_t)length, LENGTH_BYTES, r->path, err);
    if (status == RG_OK) status = parse_header(r, text, (size_t)length, err);
    free(text);
    return status;
}

rg_st_reader *rg_st_open(const char *path, rg_error *err)
{
    rg_st_reader *r = calloc(1, sizeof *r);
    if (r) r->path = strdup(path);
    if (!r || !r->path) {
        free(r);
        rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
        return NULL;
    }
    r->fd = rg_fs_current()->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (r->fd < 0) rg_fail(err, RG_ERR_IO, "%s: %s", path, strerror(errno));
    if (r->fd < 0 || read_header(r, err) != RG_OK) {
        rg_st_close(r);
        return NULL;
    }
    return r;
}

void rg_st_close(rg_st_reader *r)
{
    if (!r) return;
    if (r->fd >= 0) rg_fs_current()->close(r->fd);
    for (size_t i = 0; i < r->n; i++) free(r->tensors[i].name);
    free(r->tensors);
    json_decref(r->header);
    free(r->path);
    free(r);
}

/* ---- reading: tensors ---- */

size_t rg_st_count(const rg_st_reader *r)
{
    return r->n;
}

const rg_st_tensor *rg_st_at(const rg_st_reader *r, size_t i)
{
    return i < r->n ? &r->tensors[i] : NULL;
}

const rg_st_tensor *rg_st_find(const rg_st_reader *r, const char *name)
{
    const rg_st_tensor key = {.name = (char *)(uintptr_t)name};
    return r->n ? bsearch(&key, r->tensors, r->n, sizeof key, by_name) : NULL;
}

const char *rg_st_metadata(const rg_st_reader *r, const char *key)
{
    return json_string_value(json_object_get(json_object_get(r->header, metadata_key), key));
}

/* The metadata key of a tensor's checksum; heap. */
static char *checksum_key(const char *name)
{
    size_t n = strlen(name) + sizeof "crc32c:";
    char *key = malloc(n);
    if (key) snprintf(key, n, "crc32c:%s", name);
    return key;
}

static void checksum_text(const void *data, int64_t n, char out[16])
{
    snprintf(out, 16, "%08" PRIx32, rg_crc32c(0, data, (size_t)n));
}

rg_status rg_st_read(rg_st_reader *r, const rg_st_tensor *t, void *out, rg_error *err)
{
    if (t->bytes)
        RG_TRY(rg_fs_pread_exact(r->fd, out, (size_t)t->bytes, r->data_start + t->offset, r->path,
                                 err));
    char *key = checksum_key(t->name), found[16];
    if (!key) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", r->path);
    const char *want = rg_st_metadata(r, key);
    free(key);
    if (!want) return RG_OK;
    checksum_text(out, t->bytes, found);
    if (strcmp(want, found) != 0)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: tensor %s is damaged: CRC-32C %s, expected %s; use another copy",
                       r->path, t->name, found, want);
    return RG_OK;
}

static float element_as_float(rg_dtype type, const void *data, int64_t i)
{
    switch (type) {
    case RG_F64:
        return (float)((const double *)data)[i];
    case RG_F16:
        return rg_f16_to_float(((const uint16_t *)data)[i]);
    default:
        return rg_bf16_to_float(((const uint16_t *)data)[i]);
    }
}

rg_status rg_st_read_floats(rg_st_reader *r, const rg_st_tensor *t, float *out, rg_error *err)
{
    if (t->dtype == RG_F32) return rg_st_read(r, t, out, err);
    if (t->dtype != RG_F64 && t->dtype != RG_F16 && t->dtype != RG_BF16)
        return rg_fail(err, RG_ERR_DTYPE, "%s: tensor %s is %s, expected a float type", r->path,
                       t->name, rg_dtype_text(t->dtype));
    void *raw = malloc(t->bytes ? (size_t)t->bytes : 1);
    if (!raw) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", r->path);
    rg_status status = rg_st_read(r, t, raw, err);
    int64_t n = rg_shape_count(t->shape);
    for (int64_t i = 0; status == RG_OK && i < n; i++) out[i] = element_as_float(t->dtype, raw, i);
    free(raw);
    return status;
}

/* ---- writing ---- */

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
        rg_fail(&w->error, RG_ERR_NOMEM, "safetensors: out of memory");
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
        rg_fail(&w->error, RG_ERR_FORMAT, "safetensors: metadata %s is no UTF-8 text", key);
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

static json_t *shape_json(rg_shape shape)
{
    json_t *dims = json_array();
    for (int32_t i = 0; i < shape.ndim; i++)
        json_array_append_new(dims, json_integer(shape.dim[i]));
    return dims;
}

static void add_checksum(rg_st_writer *w, const item *it)
{
    char *key = checksum_key(it->tensor.name), text[16];
    checksum_text(it->data, it->tensor.bytes, text);
    if (key)
        rg_st_add_metadata(w, key, text);
    else
        rg_fail(&w->error, RG_ERR_NOMEM, "safetensors: out of memory");
    free(key);
}

/* Lays the tensors out and describes them; NULL with the reason in w->error. */
static json_t *make_header(rg_st_writer *w)
{
    json_t *header = json_object();
    int64_t at = 0;
    if (w->n) qsort(w->items, w->n, sizeof *w->items, by_layout);
    json_object_set(header, metadata_key, w->metadata);
    for (size_t i = 0; i < w->n; i++) {
        rg_st_tensor *t = &w->items[i].tensor;
        if (json_object_get(header, t->name))
            rg_fail(&w->error, RG_ERR_MISMATCH, "safetensors: two tensors have the name %s",
                    t->name);
        t->offset = at;
        at += t->bytes;
        json_t *entry =
            json_pack("{s:s, s:o, s:[I,I]}", "dtype", rg_dtype_text(t->dtype), "shape",
                      shape_json(t->shape), "data_offsets", (json_int_t)t->offset, (json_int_t)at);
        if (json_object_set_new(header, t->name, entry) != 0)
            rg_fail(&w->error, RG_ERR_FORMAT, "safetensors: tensor name %s is no UTF-8 text",
                    t->name);
        add_checksum(w, &w->items[i]);
    }
    if (!w->error.code) return header;
    json_decref(header);
    return NULL;
}

/* The header's bytes, padded with spaces so that data starts at a multiple of 64; heap. */
static char *header_bytes(rg_st_writer *w, size_t *n)
{
    json_t *header = make_header(w);
    if (!header) return NULL;
    size_t text = json_dumpb(header, NULL, 0, JSON_COMPACT);
    size_t total = (LENGTH_BYTES + text + ALIGN - 1) / ALIGN * ALIGN;
    char *bytes = text ? malloc(total) : NULL;
    if (bytes) {
        uint64_t length = total - LENGTH_BYTES;
        memset(bytes, ' ', total);
        memcpy(bytes, &length, LENGTH_BYTES);
        json_dumpb(header, bytes + LENGTH_BYTES, text, JSON_COMPACT);
        *n = total;
    } else {
        rg_fail(&w->error, RG_ERR_NOMEM, "safetensors: out of memory");
    }
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
