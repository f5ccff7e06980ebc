/*
 * Bytes of a live stream of codes (codec_wire.h).
 */
#include "models/codec_wire.h"

#include <stdio.h>
#include <string.h>

static const char magic[8] = {'R', 'G', 'S', 'T', 'R', 'E', 'A', 'M'};
enum { VERSION = 1, HASH = 24, HASH_BYTES = 32 };

/* The numbers of the header behind the magic, `bytes` each. */
static const struct number {
    int32_t at, bytes;
    size_t member;
    int64_t low, high;
    const char *name;
} numbers[] = {
    {10, 2, offsetof(rg_wire, codebooks), 1, RG_MAX_BOOKS, "codebooks"},
    {12, 4, offsetof(rg_wire, entries), 2, 65536, "entries"},
    {16, 4, offsetof(rg_wire, sample_rate), 1000, 384000, "sample rate"},
    {20, 4, offsetof(rg_wire, hop), 1, 384000, "hop"},
};
enum { N_NUMBERS = sizeof numbers / sizeof numbers[0] };

static void put(uint8_t *out, uint32_t value, int32_t bytes)
{
    for (int32_t i = 0; i < bytes; i++) out[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get(const uint8_t *in, int32_t bytes)
{
    uint32_t value = 0;
    for (int32_t i = 0; i < bytes; i++) value |= (uint32_t)in[i] << (8 * i);
    return value;
}

static int32_t code_bits(const rg_wire *wire)
{
    int32_t bits = 1;
    while (bits < 31 && (1 << bits) < wire->entries) bits++;
    return bits;
}

int32_t rg_wire_frame_bytes(const rg_wire *wire)
{
    return (wire->codebooks * code_bits(wire) + 7) / 8;
}

/* ---- header ---- */

rg_wire rg_wire_of(const rg_codec *codec, int32_t codebooks)
{
    rg_wire wire = {codebooks,
                    codec->config.entries,
                    codec->config.sample_rate,
                    rg_encodec_hop(&codec->config),
                    {0}};
    memcpy(wire.model_hash, codec->hash, sizeof wire.model_hash);
    return wire;
}

rg_status rg_wire_write_header(const rg_wire *wire, uint8_t out[RG_WIRE_HEADER], rg_error *err)
{
    memcpy(out, magic, sizeof magic);
    put(out + sizeof magic, VERSION, 2);
    for (size_t i = 0; i < N_NUMBERS; i++) {
        const struct number *n = &numbers[i];
        put(out + n->at,
            (uint32_t) * (const int32_t *)(const void *)((const char *)wire + n->member), n->bytes);
    }
    static const char digits[] = "0123456789abcdef";
    for (int32_t i = 0; i < HASH_BYTES; i++) {
        const char *high = strchr(digits, wire->model_hash[2 * i]), *low = NULL;
        if (high && *high) low = strchr(digits, wire->model_hash[2 * i + 1]);
        if (!low || !*low)
            return rg_fail(err, RG_ERR_FORMAT, "the codec has no model hash; export it again");
        out[HASH + i] = (uint8_t)((high - digits) * 16 + (low - digits));
    }
    return RG_OK;
}

rg_status rg_wire_read_header(const uint8_t in[RG_WIRE_HEADER], rg_wire *out, rg_error *err)
{
    *out = (rg_wire){0};
    if (memcmp(in, magic, sizeof magic) != 0)
        return rg_fail(err, RG_ERR_FORMAT,
                       "this is no stream of codes; 'resonant codec stream --encode' makes one");
    uint32_t version = get(in + sizeof magic, 2);
    if (version != VERSION)
        return rg_fail(err, RG_ERR_FORMAT, "the stream has version %u; %d is known here", version,
                       VERSION);
    for (size_t i = 0; i < N_NUMBERS; i++) {
        const struct number *n = &numbers[i];
        int64_t value = get(in + n->at, n->bytes);
        if (value < n->low || value > n->high)
            return rg_fail(err, RG_ERR_FORMAT, "the stream's %s is %lld; it must be %lld to %lld",
                           n->name, (long long)value, (long long)n->low, (long long)n->high);
        *(int32_t *)(void *)((char *)out + n->member) = (int32_t)value;
    }
    for (int32_t i = 0; i < HASH_BYTES; i++)
        snprintf(out->model_hash + 2 * i, 3, "%02x", in[HASH + i]);
    return RG_OK;
}

rg_status rg_wire_check(const rg_wire *wire, const rg_codec *codec, rg_error *err)
{
    rg_wire own = rg_wire_of(codec, wire->codebooks);
    if (strcmp(own.model_hash, wire->model_hash) != 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "the stream was made by codec %.12s, this one is %.12s (role %s); decode it "
                       "with the codec that made it",
                       wire->model_hash, own.model_hash, codec->role);
    if (own.entries != wire->entries || own.sample_rate != wire->sample_rate ||
        own.hop != wire->hop || wire->codebooks > codec->config.codebooks)
        return rg_fail(err, RG_ERR_FORMAT, "the stream does not fit the codec that it names");
    return RG_OK;
}

/* ---- frames ---- */

int32_t rg_wire_write_frame(const rg_wire *wire, const int32_t *codes, int32_t samples,
                            uint8_t out[RG_WIRE_RECORD])
{
    int32_t bits = code_bits(wire), bytes = rg_wire_frame_bytes(wire);
    bool whole = samples == wire->hop;
    uint8_t *packed = out + (whole ? 1 : 5);
    out[0] = whole ? RG_WIRE_FRAME : RG_WIRE_REST;
    if (!whole) put(out + 1, (uint32_t)samples, 4);
    memset(packed, 0, (size_t)bytes);
    for (int32_t i = 0; i < wire->codebooks * bits; i++)
        packed[i / 8] |= (uint8_t)((codes[i / bits] >> (i % bits) & 1) << (i % 8));
    return (int32_t)(packed - out) + bytes;
}

rg_status rg_wire_read_codes(const rg_wire *wire, const uint8_t *in, int32_t *codes, rg_error *err)
{
    int32_t bits = code_bits(wire);
    memset(codes, 0, (size_t)wire->codebooks * sizeof *codes);
    for (int32_t i = 0; i < wire->codebooks * bits; i++)
        codes[i / bits] |= (in[i / 8] >> (i % 8) & 1) << (i % bits);
    for (int32_t k = 0; k < wire->codebooks; k++)
        if (codes[k] >= wire->entries)
            return rg_fail(err, RG_ERR_FORMAT,
                           "code %d of codebook %d; the codebooks have %d entries", (int)codes[k],
                           (int)k, (int)wire->entries);
    return RG_OK;
}

rg_status rg_wire_read_rest(const rg_wire *wire, const uint8_t in[4], int32_t *samples,
                            rg_error *err)
{
    uint32_t n = get(in, 4);
    if (n < 1 || n >= (uint32_t)wire->hop)
        return rg_fail(err, RG_ERR_FORMAT, "the last frame has %u samples; it must be 1 to %d", n,
                       (int)wire->hop - 1);
    *samples = (int32_t)n;
    return RG_OK;
}
