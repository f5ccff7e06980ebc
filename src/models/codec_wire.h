/*
 * Codes on their way from one process to another: the bytes of a live stream.
 *
 * One idea: what the receiver cannot know stands in the header, and every record says what it is
 * by its first byte, so that a frame can be decoded the moment it is there and a stream that is cut
 * off is known from one that ends.
 *
 *   header  56 bytes: "RGSTREAM", then little-endian u16 version, u16 codebooks, u32 entries,
 *           u32 sample rate, u32 hop, and the 32 bytes of the codec's model hash
 *   frame   u8 1, then its codes
 *   rest    u8 2, u32 samples below hop, then the codes of the last frame, which has only so many
 *   end     u8 0
 *
 * Codes are packed one after another, each in as few bits as entries - 1 needs, lowest bit first;
 * bits that are left over are 0. Not here: reading and writing (cli/cmd_codec_stream.c).
 */
#ifndef RG_MODELS_CODEC_WIRE_H
#define RG_MODELS_CODEC_WIRE_H

#include "models/encodec.h"

enum { RG_WIRE_HEADER = 56, RG_WIRE_END = 0, RG_WIRE_FRAME = 1, RG_WIRE_REST = 2 };
/* Room for any record: tag, samples and the codes of a frame. */
enum { RG_WIRE_RECORD = 5 + RG_MAX_BOOKS * 2 };

typedef struct rg_wire {
    int32_t codebooks; /* of a frame: the first ones of the codec */
    int32_t entries, sample_rate, hop;
    char model_hash[65];
} rg_wire;

/* The header of a codec's first `codebooks` codebooks. */
rg_wire rg_wire_of(const rg_codec *codec, int32_t codebooks);
/* RG_ERR_FORMAT when the hash is not 64 hexadecimal digits. */
rg_status rg_wire_write_header(const rg_wire *wire, uint8_t out[RG_WIRE_HEADER],
                               rg_error *err) RG_MUST_USE;
/* RG_ERR_FORMAT when this is not the header of such a stream. */
rg_status rg_wire_read_header(const uint8_t in[RG_WIRE_HEADER], rg_wire *out,
                              rg_error *err) RG_MUST_USE;
/* RG_ERR_MISMATCH when another codec made the stream, by name. */
rg_status rg_wire_check(const rg_wire *wire, const rg_codec *codec, rg_error *err) RG_MUST_USE;

/* Bytes of the codes of a frame. */
int32_t rg_wire_frame_bytes(const rg_wire *wire);
/* The record of a frame of `samples` samples, 1 to hop; returns its bytes. */
int32_t rg_wire_write_frame(const rg_wire *wire, const int32_t *codes, int32_t samples,
                            uint8_t out[RG_WIRE_RECORD]);
/* Codes (codebooks) from the bytes of a frame. RG_ERR_FORMAT on a code beyond the entries. */
rg_status rg_wire_read_codes(const rg_wire *wire, const uint8_t *in, int32_t *codes,
                             rg_error *err) RG_MUST_USE;
/* The samples of a rest's frame. RG_ERR_FORMAT unless 1 to hop - 1. */
rg_status rg_wire_read_rest(const rg_wire *wire, const uint8_t in[4], int32_t *samples,
                            rg_error *err) RG_MUST_USE;

#endif
