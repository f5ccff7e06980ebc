/*
 * The safetensors container: named tensors and a map of texts in one file.
 *
 * One idea: the header is checked completely before a byte of data is touched (limits, overlaps,
 * gaps, types, sizes, duplicate names), because such files come from anywhere. Format:
 * huggingface/safetensors README, "Format". Writing pads the header so that data starts at a
 * multiple of 64, and puts tensors whose size is a multiple of 64 first. A CRC-32C per tensor goes
 * into the metadata (key "crc32c:<name>") and is checked on reading when present.
 */
#ifndef RG_ENGINE_SAFETENSORS_H
#define RG_ENGINE_SAFETENSORS_H

#include "base/fs.h"
#include "engine/tensor.h"

typedef struct rg_st_tensor {
    char *name;
    rg_dtype dtype;
    rg_shape shape;
    int64_t offset, bytes; /* within the data section */
} rg_st_tensor;

typedef struct rg_st_reader rg_st_reader;

/* Opens and checks; NULL and "path: ..." in err otherwise. Header at most 100 MB, 100,000 tensors.
 */
rg_st_reader *rg_st_open(const char *path, rg_error *err);
void rg_st_close(rg_st_reader *reader); /* NULL is fine */
size_t rg_st_count(const rg_st_reader *reader);
const rg_st_tensor *rg_st_at(const rg_st_reader *reader, size_t i);
const rg_st_tensor *rg_st_find(const rg_st_reader *reader, const char *name); /* NULL: none */
const char *rg_st_metadata(const rg_st_reader *reader, const char *key);      /* NULL: none */
/* The tensor's bytes into `out` (its `bytes` long); RG_ERR_FORMAT on a wrong checksum. */
rg_status rg_st_read(rg_st_reader *reader, const rg_st_tensor *tensor, void *out,
                     rg_error *err) RG_MUST_USE;
/* The same converted to float from F32, F16, BF16 or F64. */
rg_status rg_st_read_floats(rg_st_reader *reader, const rg_st_tensor *tensor, float *out,
                            rg_error *err) RG_MUST_USE;

typedef struct rg_st_writer rg_st_writer;
rg_st_writer *rg_st_writer_create(rg_error *err);
/* `data` must stay until rg_st_write. */
void rg_st_add(rg_st_writer *writer, const char *name, rg_dtype dtype, rg_shape shape,
               const void *data);
void rg_st_add_metadata(rg_st_writer *writer, const char *key, const char *value);
/* Writes atomically (fs.h) and frees the writer, whatever happens. */
rg_status rg_st_write(rg_st_writer *writer, const char *path, rg_error *err) RG_MUST_USE;
void rg_st_writer_free(rg_st_writer *writer);

#endif
