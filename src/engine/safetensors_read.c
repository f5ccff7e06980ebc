/*
 * Reading safetensors files (safetensors.h).
 *
 * One idea: a table is built from the JSON header one checked entry at a time; then it is proved
 * that the entries cover the data section exactly, in the order of their offsets.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "engine/safetensors_private.h"

enum { MAX_TENSORS = 100000 };
static const int64_t max_header = 100 * 1000 * 1000;

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
        return rg_fail(err, RG_ERR_FORMAT, "%s: %s is no object", path, RG_ST_METADATA);
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
        if (!strcmp(name, RG_ST_METADATA)) continue;
        RG_TRY(parse_tensor(name, entry, &r->tensors[r->n++], r->path, err));
    }
    RG_TRY(check_metadata(json_object_get(r->header, RG_ST_METADATA), r->path, err));
    return check_cover(r, err);
}

static rg_status read_header(rg_st_reader *r, rg_error *err)
{
    int64_t size = rg_fs_size(r->path), length;
    if (size < RG_ST_LENGTH_BYTES + 2)
        return rg_fail(err, RG_ERR_FORMAT, "%s: too short to be a safetensors file", r->path);
    RG_TRY(rg_fs_pread_exact(r->fd, &length, RG_ST_LENGTH_BYTES, 0, r->path, err));
    if (length < 2 || length > max_header || length > size - RG_ST_LENGTH_BYTES)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: header of %" PRIu64 " bytes in a file of %" PRId64
                       ": no safetensors file, or cut",
                       r->path, (uint64_t)length, size);
    r->data_start = RG_ST_LENGTH_BYTES + length;
    r->data_bytes = size - r->data_start;
    char *text = malloc((size_t)length);
    if (!text) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", r->path);
    rg_status status =
        rg_fs_pread_exact(r->fd, text, (size_t)length, RG_ST_LENGTH_BYTES, r->path, err);
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
    return json_string_value(json_object_get(json_object_get(r->header, RG_ST_METADATA), key));
}

rg_status rg_st_read(rg_st_reader *r, const rg_st_tensor *t, void *out, rg_error *err)
{
    if (t->bytes)
        RG_TRY(rg_fs_pread_exact(r->fd, out, (size_t)t->bytes, r->data_start + t->offset, r->path,
                                 err));
    char *key = rg_st_checksum_key(t->name), found[16];
    if (!key) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", r->path);
    const char *want = rg_st_metadata(r, key);
    free(key);
    if (!want) return RG_OK;
    rg_st_checksum(out, t->bytes, found);
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
    if (t->dtype != RG_F32 && t->dtype != RG_F64 && t->dtype != RG_F16 && t->dtype != RG_BF16)
        return rg_fail(err, RG_ERR_DTYPE, "%s: tensor %s is %s, expected a float type", r->path,
                       t->name, rg_dtype_text(t->dtype));
    if (t->dtype == RG_F32 || !t->bytes) return rg_st_read(r, t, out, err);
    void *raw = malloc((size_t)t->bytes);
    if (!raw) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", r->path);
    rg_status status = rg_st_read(r, t, raw, err);
    int64_t n = rg_shape_count(t->shape);
    for (int64_t i = 0; status == RG_OK && i < n; i++) out[i] = element_as_float(t->dtype, raw, i);
    free(raw);
    return status;
}
