/*
 * Fuzzing live streams of codes (codec_wire.h): a header and records, read as `codec stream
 * --decode` reads them. What is accepted is written again and must be the same, but for bits that
 * nobody reads.
 */
#include <string.h>

#include "fuzz.h"
#include "models/codec_wire.h"

static void check_refusal(const rg_error *err)
{
    if (!err->text[0] || strchr(err->text, '\n')) abort();
}

static void check_header(const rg_wire *wire, const uint8_t *header)
{
    uint8_t again[RG_WIRE_HEADER];
    rg_error err = {0};
    if (rg_wire_write_header(wire, again, &err) || memcmp(again, header, sizeof again) != 0)
        abort();
    if (1 + rg_wire_frame_bytes(wire) > RG_WIRE_RECORD) abort();
}

/* Bytes of the record at `in`; 0: it ends the stream, or is refused, or is cut off. */
static size_t read_record(const rg_wire *wire, const uint8_t *in, size_t n)
{
    const size_t head = in[0] == RG_WIRE_REST ? 5 : 1;
    const size_t bytes = head + (size_t)rg_wire_frame_bytes(wire);
    int32_t codes[RG_MAX_BOOKS], back[RG_MAX_BOOKS], samples = wire->hop, again = 0;
    uint8_t record[RG_WIRE_RECORD];
    rg_error err = {0};
    if ((in[0] != RG_WIRE_FRAME && in[0] != RG_WIRE_REST) || n < bytes) return 0;
    if ((head > 1 && rg_wire_read_rest(wire, in + 1, &samples, &err)) ||
        rg_wire_read_codes(wire, in + head, codes, &err)) {
        check_refusal(&err);
        return 0;
    }
    if (rg_wire_write_frame(wire, codes, samples, record) != (int32_t)bytes ||
        memcmp(record, in, head) != 0 || rg_wire_read_codes(wire, record + head, back, &err) ||
        memcmp(codes, back, (size_t)wire->codebooks * sizeof *codes) != 0)
        abort();
    if (head > 1 && (rg_wire_read_rest(wire, record + 1, &again, &err) || again != samples))
        abort();
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    rg_error err = {0};
    rg_wire wire;
    if (n < RG_WIRE_HEADER) return 0;
    if (rg_wire_read_header(data, &wire, &err)) {
        check_refusal(&err);
        return 0;
    }
    check_header(&wire, data);
    for (size_t at = RG_WIRE_HEADER, step; at < n; at += step) {
        step = read_record(&wire, data + at, n - at);
        if (!step) break;
    }
    return 0;
}
