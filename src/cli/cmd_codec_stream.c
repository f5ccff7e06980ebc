/*
 * resonant codec stream: sound on standard input, sound on standard output, frame by frame.
 *
 * One idea: whatever is asked for (to codes, from codes, or both in one process), a step takes what
 * one frame brings, passes on what has become known and flushes it; the time between is a frame's.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/commands.h"
#include "engine/machine.h"
#include "models/bundle.h"
#include "models/codec_stream.h"
#include "models/codec_wire.h"

const rg_option rg_cmd_codec_stream_options[] = {
    {"encode", NULL, "write codes, for a process that decodes them"},
    {"decode", NULL, "read such codes"},
    {"pcm", "s16le|f32le", "samples of the sound, mono at the codec's rate (s16le)"},
    {"codebooks", "N", "send the first N codebooks only (all)"},
    {0},
};

enum { WIDEST = 4 /* bytes of a sample: float */ };

typedef struct live {
    const rg_cli *cli;
    rg_machine cpu;
    rg_codec codec;
    rg_codec_stream *encoder, *decoder; /* NULL: not in this process */
    rg_wire wire;
    int32_t sample_bytes;         /* 2: int16, 4: float */
    int64_t taken, given, frames; /* samples in and out, frames in or out */
    int64_t clipped;
    double busy, worst; /* seconds of work: in all, longest of a frame */
    uint8_t *bytes;     /* (most samples * WIDEST) of input, then of output */
    float *sound;
    int32_t *codes;
} live;

/* ---- standard input and output ---- */

/* Up to n bytes; fewer at the end of the input and when the user wants to stop. */
static rg_status take(const live *l, void *to, size_t n, size_t *got, rg_error *err)
{
    *got = 0;
    while (*got < n && !*l->cli->stop) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&in, 1, 200) <= 0) continue; /* a signal between two looks is seen by the next */
        int64_t count = rg_fs_current()->read(STDIN_FILENO, (char *)to + *got, n - *got);
        if (count == 0) return RG_OK;
        if (count > 0) *got += (size_t)count;
        if (count < 0 && errno != EINTR)
            return rg_fail(err, RG_ERR_IO, "cannot read standard input: %s", strerror(errno));
    }
    return RG_OK;
}

/* main() reports what goes wrong here, also for a pipe that nobody reads any more. */
static void give(const void *bytes, size_t n)
{
    fwrite(bytes, 1, n, stdout);
    fflush(stdout);
}

static uint32_t get(const uint8_t *in, int32_t bytes)
{
    uint32_t value = 0;
    for (int32_t i = 0; i < bytes; i++) value |= (uint32_t)in[i] << (8 * i);
    return value;
}

/* The next frame's samples, up to a hop of them. */
static rg_status take_sound(live *l, int64_t *n, rg_error *err)
{
    size_t got, size = (size_t)l->sample_bytes;
    RG_TRY(take(l, l->bytes, (size_t)l->wire.hop * size, &got, err));
    if (got % size && !*l->cli->stop)
        return rg_fail(err, RG_ERR_FORMAT, "standard input ends inside a sample");
    *n = (int64_t)(got / size);
    for (int64_t i = 0; i < *n; i++) {
        uint32_t value = get(l->bytes + (size_t)i * size, l->sample_bytes);
        if (l->sample_bytes == 2)
            l->sound[i] = (float)(int16_t)value / 32768;
        else
            memcpy(&l->sound[i], &value, sizeof value);
        if (!isfinite(l->sound[i]))
            return rg_fail(err, RG_ERR_NUMERIC, "sample %lld of standard input is not a number",
                           (long long)(l->taken + i));
    }
    l->taken += *n;
    return RG_OK;
}

static void give_sound(live *l, int64_t n)
{
    uint8_t *to = l->bytes;
    if (n > l->taken - l->given) n = l->taken - l->given; /* the last frame is filled up */
    for (int64_t i = 0; i < n; i++) {
        uint32_t value;
        float x = l->sound[i], v = nearbyintf(x * 32768);
        memcpy(&value, &x, sizeof value);
        if (l->sample_bytes == 2) {
            l->clipped += x > 1 || x < -1;
            value = (uint32_t)(int32_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
        }
        for (int32_t b = 0; b < l->sample_bytes; b++) *to++ = (uint8_t)(value >> (8 * b));
    }
    give(l->bytes, (size_t)(to - l->bytes));
    l->given += n;
}

static void give_codes(live *l, int64_t frames)
{
    uint8_t record[RG_WIRE_RECORD];
    for (int64_t f = 0; f < frames; f++, l->frames++) {
        int64_t samples = l->taken - l->frames * l->wire.hop;
        int32_t n =
            rg_wire_write_frame(&l->wire, l->codes + f * l->codec.config.codebooks,
                                samples < l->wire.hop ? (int32_t)samples : l->wire.hop, record);
        give(record, (size_t)n);
    }
}

/* The rest of a record with this tag into l->codes. */
static rg_status take_frame(live *l, uint8_t tag, rg_error *err)
{
    uint8_t rest[4], packed[RG_WIRE_RECORD];
    int32_t samples = l->wire.hop;
    size_t bytes = (size_t)rg_wire_frame_bytes(&l->wire), got = sizeof rest;
    if (tag == RG_WIRE_REST) RG_TRY(take(l, rest, sizeof rest, &got, err));
    bool whole = got == sizeof rest;
    if (whole) RG_TRY(take(l, packed, bytes, &got, err));
    if (!whole || got < bytes)
        return rg_fail(err, RG_ERR_FORMAT, "the stream is cut off behind frame %lld",
                       (long long)l->frames);
    if (tag == RG_WIRE_REST) RG_TRY(rg_wire_read_rest(&l->wire, rest, &samples, err));
    for (int32_t k = 0; k < l->codec.config.codebooks; k++) l->codes[k] = -1;
    RG_TRY(rg_wire_read_codes(&l->wire, packed, l->codes, err));
    l->taken += samples;
    l->frames++;
    return RG_OK;
}

/* The next frame of a stream into l->codes: *n is 1, or 0 at its end. */
static rg_status take_codes(live *l, int64_t *n, rg_error *err)
{
    uint8_t tag = RG_WIRE_END;
    size_t got;
    *n = 0;
    RG_TRY(take(l, &tag, 1, &got, err));
    if (*l->cli->stop || (got && tag == RG_WIRE_END)) return RG_OK;
    bool short_before = l->taken % l->wire.hop != 0; /* only the last frame may be short */
    if (got && (short_before || (tag != RG_WIRE_FRAME && tag != RG_WIRE_REST)))
        return rg_fail(err, RG_ERR_FORMAT, "the stream is damaged behind frame %lld",
                       (long long)l->frames);
    rg_status status = take_frame(l, got ? tag : RG_WIRE_FRAME, err);
    if (*l->cli->stop) return RG_OK; /* it may have been cut off by that */
    *n = status == RG_OK;
    return status;
}

/* ---- frames ---- */

/* Runs what is here of the two directions on n samples or frames; then l->codes or l->sound holds
 * *made. */
static rg_status work(live *l, int64_t n, bool last, int64_t *made, rg_error *err)
{
    double start = rg_clock_seconds();
    rg_status status = RG_OK;
    *made = n;
    if (l->encoder) status = rg_codec_stream_encode(l->encoder, l->sound, n, last, l->codes, made);
    if (l->decoder && status == RG_OK)
        status = rg_codec_stream_decode(l->decoder, l->codes, *made, last, l->sound, made);
    double seconds = rg_clock_seconds() - start;
    l->busy += seconds;
    if (seconds > l->worst) l->worst = seconds;
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", l->cpu.ex->error.text);
}

static rg_status run(live *l, rg_error *err)
{
    int64_t n = 0, made;
    for (bool last = false; !last && !ferror(stdout);) {
        RG_TRY(l->encoder ? take_sound(l, &n, err) : take_codes(l, &n, err));
        last = l->encoder ? n < l->wire.hop : n == 0;
        RG_TRY(work(l, n, last, &made, err));
        if (l->decoder)
            give_sound(l, made);
        else
            give_codes(l, made);
    }
    if (!l->decoder) give(&(const uint8_t){RG_WIRE_END}, 1);
    return RG_OK;
}

static rg_status exchange_headers(live *l, rg_error *err)
{
    uint8_t header[RG_WIRE_HEADER];
    size_t got;
    if (l->encoder && l->decoder) return RG_OK;
    if (l->encoder) {
        RG_TRY(rg_wire_write_header(&l->wire, header, err));
        give(header, sizeof header);
        return RG_OK;
    }
    RG_TRY(take(l, header, sizeof header, &got, err));
    if (*l->cli->stop) return RG_ERR_CANCELLED;
    if (got < sizeof header) memset(header, 0, sizeof header);
    RG_TRY(rg_wire_read_header(header, &l->wire, err));
    return rg_wire_check(&l->wire, &l->codec, err);
}

/* ---- the command ---- */

/* Buffers, and a silent frame through everything: what is done once is no part of a frame. */
static rg_status prepare(live *l, rg_error *err)
{
    int64_t hop = l->wire.hop, frames = 1, samples = hop, made;
    if (l->encoder) frames = rg_codec_encoder_room(l->encoder, hop);
    if (l->decoder && rg_codec_decoder_room(l->decoder, frames) > samples)
        samples = rg_codec_decoder_room(l->decoder, frames);
    l->bytes = calloc((size_t)samples, WIDEST);
    l->sound = calloc((size_t)samples, sizeof *l->sound);
    l->codes = calloc((size_t)(frames * l->codec.config.codebooks), sizeof *l->codes);
    if (!l->bytes || !l->sound || !l->codes)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for a stream");
    RG_TRY(work(l, l->encoder ? hop : 1, true, &made, err));
    if (l->encoder) rg_codec_stream_reset(l->encoder);
    if (l->decoder) rg_codec_stream_reset(l->decoder);
    l->busy = l->worst = 0;
    return RG_OK;
}

static rg_status open_streams(live *l, const rg_args *args, rg_error *err)
{
    bool encode = rg_option_given(args, "encode"), decode = rg_option_given(args, "decode");
    const char *pcm = rg_option_text(args, "pcm", "s16le");
    int64_t books = l->codec.config.codebooks;
    if (encode && decode)
        return rg_fail(err, RG_ERR_USAGE,
                       "codec stream: --encode and --decode exclude each other; "
                       "without both it does both");
    if (strcmp(pcm, "s16le") != 0 && strcmp(pcm, "f32le") != 0)
        return rg_fail(err, RG_ERR_USAGE, "codec stream: --pcm '%s' is not s16le or f32le", pcm);
    RG_TRY(rg_option_int(args, "codebooks", 1, books, &books, err));
    l->sample_bytes = pcm[0] == 's' ? 2 : 4;
    l->wire = rg_wire_of(&l->codec, (int32_t)books);
    RG_TRY(rg_codec_stream_check(&l->codec.config, err));
    if (!decode) l->encoder = rg_codec_encoder(l->cpu.ex, &l->codec, (int32_t)books, err);
    if (!encode) l->decoder = rg_codec_decoder(l->cpu.ex, &l->codec, err);
    return (decode || l->encoder) && (encode || l->decoder) ? RG_OK : err->code;
}

static void report(const live *l)
{
    double rate = l->wire.sample_rate, frame = 1000 * l->wire.hop / rate;
    rg_codec_latency latency = rg_codec_latency_of(&l->codec);
    if (l->clipped)
        rg_log_line(l->cli->log, RG_LOG_WARNING, "%lld samples beyond full scale were clipped",
                    (long long)l->clipped);
    rg_log_line(l->cli->log, RG_LOG_INFO,
                "%.2f s of sound in %.2f s of work: %.1f times real time; frames of %.2f ms took "
                "%.2f ms at most",
                (double)l->taken / rate, l->busy,
                l->busy > 0 ? (double)l->taken / rate / l->busy : 0, frame, 1000 * l->worst);
    rg_log_line(l->cli->log, RG_LOG_INFO,
                "latency of encoder and decoder: %.2f ms; at the start %.2f ms",
                1000 * (double)latency.frame / rate, 1000 * (double)latency.start / rate);
}

static void close_streams(live *l)
{
    rg_codec_stream_destroy(l->encoder);
    rg_codec_stream_destroy(l->decoder);
    rg_codec_free(&l->codec);
    rg_machine_close(&l->cpu);
    free(l->bytes);
    free(l->sound);
    free(l->codes);
}

rg_status rg_cmd_codec_stream(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    live l = {.cli = cli};
    RG_TRY(rg_machine_open(&l.cpu, NULL, NULL, err));
    rg_status status = rg_codec_open(rg_arg(args, 0), l.cpu.ex, &l.codec, err);
    if (status == RG_OK) status = open_streams(&l, args, err);
    if (status == RG_OK) status = prepare(&l, err);
    if (status == RG_OK) status = exchange_headers(&l, err);
    if (status == RG_OK) status = run(&l, err);
    if (status == RG_OK && !ferror(stdout)) report(&l);
    close_streams(&l);
    return status;
}
