/*
 * The bytes of a live stream: what is written is read back, and nothing else is.
 */
#include "base/rng.h"
#include "models/codec_wire.h"
#include "test.h"

static rg_wire wire_of(int32_t codebooks, int32_t entries)
{
    rg_wire wire = {codebooks, entries, 24000, 320, {0}};
    for (int i = 0; i < 64; i++) wire.model_hash[i] = "0123456789abcdef"[(i * 7 + i / 16) % 16];
    return wire;
}

START_TEST(frames_come_back)
{
    static const struct {
        int32_t codebooks, entries, bytes;
    } rows[] = {{8, 1024, 10}, {1, 2, 1}, {3, 16, 2},      {4, 2048, 6},
                {1, 1000, 2},  {5, 3, 2}, {32, 65536, 64}, {7, 65535, 14}};
    rg_rng rng = rg_rng_make(1, 2);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rg_error err = {0};
        rg_wire wire = wire_of(rows[i].codebooks, rows[i].entries);
        ck_assert_int_eq(rg_wire_frame_bytes(&wire), rows[i].bytes);
        for (int round = 0; round < 50; round++) {
            int32_t codes[RG_MAX_BOOKS] = {0}, back[RG_MAX_BOOKS], samples = 320 - round % 2 * 19,
                    rest;
            uint8_t record[RG_WIRE_RECORD];
            for (int32_t k = 0; k < wire.codebooks; k++)
                codes[k] = round < 2 ? wire.entries - 1
                                     : (int32_t)rg_rng_below(&rng, (uint64_t)wire.entries);
            int32_t n = rg_wire_write_frame(&wire, codes, samples, record);
            int32_t head = samples == 320 ? 1 : 5;
            ck_assert_int_eq(n, head + rows[i].bytes);
            ck_assert_int_eq(record[0], samples == 320 ? RG_WIRE_FRAME : RG_WIRE_REST);
            RG_ASSERT_OK(rg_wire_read_codes(&wire, record + head, back, &err), &err);
            ck_assert_mem_eq(codes, back, (size_t)wire.codebooks * sizeof *codes);
            if (samples == 320) continue;
            RG_ASSERT_OK(rg_wire_read_rest(&wire, record + 1, &rest, &err), &err);
            ck_assert_int_eq(rest, samples);
        }
    }
}
END_TEST

/* Ten-bit codes, lowest bit first: written down, so that another program can rely on it. */
START_TEST(bytes_are_as_documented)
{
    rg_error err = {0};
    rg_wire wire = wire_of(2, 1024);
    uint8_t record[RG_WIRE_RECORD], header[RG_WIRE_HEADER];
    const int32_t codes[] = {0x201, 0x003};
    const uint8_t want[] = {1, 0x01, 0x0e, 0x00}, rest[] = {2, 0x3f, 0x01, 0, 0, 0x01, 0x0e, 0x00};
    ck_assert_int_eq(rg_wire_write_frame(&wire, codes, 320, record), sizeof want);
    ck_assert_mem_eq(record, want, sizeof want);
    ck_assert_int_eq(rg_wire_write_frame(&wire, codes, 319, record), sizeof rest);
    ck_assert_mem_eq(record, rest, sizeof rest);
    RG_ASSERT_OK(rg_wire_write_header(&wire, header, &err), &err);
    const uint8_t start[] = {'R', 'G', 'S', 'T', 'R',  'E',  'A', 'M', 1,    0, 2, 0,
                             0,   4,   0,   0,   0xc0, 0x5d, 0,   0,   0x40, 1, 0, 0};
    ck_assert_mem_eq(header, start, sizeof start);
    ck_assert_int_eq(header[24], 0x07);
}
END_TEST

START_TEST(headers_come_back_or_are_refused)
{
    static const struct {
        int at;
        uint8_t value;
        const char *word;
    } faults[] = {{0, 'X', "no stream of codes"},
                  {8, 2, "version 2"},
                  {10, 0, "codebooks is 0"},
                  {10, 33, "codebooks is 33"},
                  {14, 2, "entries is"},
                  {19, 1, "sample rate is"},
                  {23, 1, "hop is"}};
    rg_error err = {0};
    rg_wire wire = wire_of(8, 1024), back;
    uint8_t header[RG_WIRE_HEADER];
    RG_ASSERT_OK(rg_wire_write_header(&wire, header, &err), &err);
    RG_ASSERT_OK(rg_wire_read_header(header, &back, &err), &err);
    ck_assert(back.codebooks == 8 && back.entries == 1024 && back.sample_rate == 24000 &&
              back.hop == 320);
    ck_assert_str_eq(back.model_hash, wire.model_hash);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        uint8_t wrong[RG_WIRE_HEADER];
        memcpy(wrong, header, sizeof wrong);
        wrong[faults[i].at] = faults[i].value;
        err = (rg_error){0};
        ck_assert_int_eq(rg_wire_read_header(wrong, &back, &err), RG_ERR_FORMAT);
        ck_assert_msg(strstr(err.text, faults[i].word) != NULL, "%s", err.text);
    }
    err = (rg_error){0};
    wire.model_hash[63] = 'g';
    ck_assert_int_eq(rg_wire_write_header(&wire, header, &err), RG_ERR_FORMAT);
    memset(wire.model_hash, 0, sizeof wire.model_hash);
    ck_assert_int_eq(rg_wire_write_header(&wire, header, &err), RG_ERR_FORMAT);
}
END_TEST

START_TEST(impossible_values_are_refused)
{
    rg_error err = {0};
    rg_wire wire = wire_of(2, 1000);
    const uint8_t codes[3] = {0xe8, 0x03, 0}, rests[3][4] = {{0}, {0x40, 1}, {0, 0, 0, 0x80}};
    int32_t out[2];
    ck_assert_int_eq(rg_wire_read_codes(&wire, codes, out, &err), RG_ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "code 1000 of codebook 0") != NULL, "%s", err.text);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(rg_wire_read_rest(&wire, rests[i], out, NULL), RG_ERR_FORMAT);
}
END_TEST

START_TEST(a_codec_knows_its_own)
{
    rg_error err = {0};
    rg_wire wire = wire_of(2, 1024);
    rg_codec codec = {.config = rg_encodec_defaults(), .role = "bass"};
    const int32_t ratios[] = {8, 5, 4, 2};
    codec.config.sample_rate = 24000, codec.config.n_ratios = 4;
    codec.config.codebooks = 8, codec.config.entries = 1024;
    memcpy(codec.config.ratios, ratios, sizeof ratios);
    memcpy(codec.hash, wire.model_hash, sizeof codec.hash);
    RG_ASSERT_OK(rg_wire_check(&wire, &codec, &err), &err);
    wire.codebooks = 9;
    ck_assert_int_eq(rg_wire_check(&wire, &codec, &err), RG_ERR_FORMAT);
    err = (rg_error){0};
    wire.codebooks = 8, wire.model_hash[0] = 'f';
    ck_assert_int_eq(rg_wire_check(&wire, &codec, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "role bass") != NULL, "%s", err.text);
}
END_TEST

RG_TEST_MAIN("models/codec wire", 30, frames_come_back, bytes_are_as_documented,
             headers_come_back_or_are_refused, impossible_values_are_refused, a_codec_knows_its_own)
