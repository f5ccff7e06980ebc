/*
 * TensorBoard records (tensorboard.h): protocol-buffer fields written by hand, little-endian.
 */
#include "train/tensorboard.h"

#include <string.h>

#include "base/hash.h"

enum { TAG_LIMIT = 200 };

typedef struct writer {
    uint8_t *data;
    size_t n;
} writer;

static void put_varint(writer *w, uint64_t v)
{
    for (; v >= 128; v >>= 7) w->data[w->n++] = (uint8_t)(v | 128);
    w->data[w->n++] = (uint8_t)v;
}

static void put_bytes(writer *w, const void *bytes, size_t n)
{
    memcpy(w->data + w->n, bytes, n);
    w->n += n;
}

static void put_fixed(writer *w, uint8_t key, const void *bytes, size_t n)
{
    w->data[w->n++] = key;
    put_bytes(w, bytes, n);
}

static void put_message(writer *w, uint8_t key, const void *bytes, size_t n)
{
    w->data[w->n++] = key;
    put_varint(w, n);
    put_bytes(w, bytes, n);
}

static uint32_t masked_crc(const void *data, size_t n)
{
    uint32_t crc = rg_crc32c(0, data, n);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static size_t frame(const uint8_t *payload, size_t n, uint8_t *out)
{
    writer w = {out, 0};
    uint64_t length = n;
    uint32_t crc = masked_crc(&length, sizeof length);
    put_bytes(&w, &length, sizeof length);
    put_bytes(&w, &crc, sizeof crc);
    put_bytes(&w, payload, n);
    crc = masked_crc(payload, n);
    put_bytes(&w, &crc, sizeof crc);
    return w.n;
}

size_t rg_tensorboard_header(double wall_time, uint8_t out[RG_TENSORBOARD_MAX_RECORD])
{
    uint8_t event[64];
    writer w = {event, 0};
    put_fixed(&w, 0x09, &wall_time, sizeof wall_time);
    put_message(&w, 0x1a, "brain.Event:2", 13);
    return frame(event, w.n, out);
}

size_t rg_tensorboard_scalar(double wall_time, int64_t step, const char *tag, float value,
                             uint8_t out[RG_TENSORBOARD_MAX_RECORD])
{
    uint8_t value_bytes[256], summary_bytes[300], event[400];
    writer v = {value_bytes, 0}, s = {summary_bytes, 0}, e = {event, 0};
    size_t tag_length = strnlen(tag, TAG_LIMIT);
    put_message(&v, 0x0a, tag, tag_length);
    put_fixed(&v, 0x15, &value, sizeof value);
    put_message(&s, 0x0a, value_bytes, v.n);
    put_fixed(&e, 0x09, &wall_time, sizeof wall_time);
    event[e.n++] = 0x10;
    put_varint(&e, (uint64_t)step);
    put_message(&e, 0x2a, summary_bytes, s.n);
    return frame(event, e.n, out);
}
