/*
 * Any codec on signals of any length (encodec.h): chunks that overlap, each with its loudness.
 *
 * One idea: a codec without chunks has one, as long as the signal, so there is one way through.
 * The last chunk is what is left of the signal; its codes are filled up with zeros, which are not
 * decoded (as encodec and transformers' EncodecModel do; the weights of the overlap are theirs).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/codec_signal.h"

rg_codec_cut rg_codec_cut_of(const rg_encodec_config *config, int64_t n)
{
    const int64_t hop = rg_encodec_hop(config);
    rg_codec_cut cut = {.samples = n, .stride = n > 0 ? n : 1};
    if (config->chunk_seconds > 0) {
        const int64_t chunk = (int64_t)(config->chunk_seconds * config->sample_rate);
        cut.samples = n < chunk ? n : chunk;
        cut.stride = (int64_t)((1 - config->chunk_overlap) * (double)chunk);
        if (cut.stride < 1) cut.stride = 1;
    }
    cut.chunks = (n + cut.stride - 1) / cut.stride;
    cut.frames = (cut.samples + hop - 1) / hop;
    return cut;
}

static rg_status list_bandwidths(const rg_encodec_config *config, double kbps, rg_error *err)
{
    rg_text list;
    rg_text_init(&list, 1024);
    for (int32_t i = 0; i < config->n_bandwidths; i++)
        rg_text_printf(&list, "%s%g", i ? ", " : "", config->bandwidths[i]);
    rg_fail(err, RG_ERR_USAGE, "the codec has no bandwidth %g; it has %s kbit/s", kbps,
            list.data ? list.data : "others");
    rg_text_free(&list);
    return RG_ERR_USAGE;
}

rg_status rg_codec_books_for(const rg_encodec_config *config, double kbps, int32_t *books,
                             rg_error *err)
{
    bool known = config->n_bandwidths == 0;
    for (int32_t i = 0; i < config->n_bandwidths; i++)
        known = known || config->bandwidths[i] == kbps;
    if (!known) return list_bandwidths(config, kbps, err);
    const double each = log2((double)config->entries) * rg_encodec_frame_rate(config);
    const double paid = floor(1000 * kbps / each), most = config->codebooks;
    *books = (int32_t)fmax(1, fmin(paid, most));
    return RG_OK;
}

/* How many samples chunk c has of a signal of n. */
static int64_t chunk_length(const rg_codec_cut *cut, int64_t c, int64_t n)
{
    const int64_t left = n - c * cut->stride;
    return left < cut->samples ? left : cut->samples;
}

static float loudness(const float *x, int64_t channels, int64_t n)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double mono = 0;
        for (int64_t c = 0; c < channels; c++) mono += (double)x[i * channels + c];
        squares += mono * mono / (double)(channels * channels);
    }
    return (float)(sqrt(squares / (double)n) + 1e-8);
}

/* What one chunk needs: its samples, and its codes of all codebooks. */
typedef struct room {
    float *samples;
    int32_t *codes;
} room;

static rg_status make_room(rg_exec *ex, const rg_codec *codec, const rg_codec_cut *cut, room *out)
{
    const int64_t length = cut->frames * rg_encodec_hop(&codec->config);
    const size_t samples = (size_t)(length * codec->config.channels) + 1;
    const size_t codes = (size_t)(cut->frames * codec->config.codebooks) + 1;
    *out = (room){malloc(samples * sizeof *out->samples), malloc(codes * sizeof *out->codes)};
    if (out->samples && out->codes) return RG_OK;
    return rg_exec_fail(ex, RG_ERR_NOMEM, "codec: no memory for a chunk");
}

static void free_room(room *r)
{
    free(r->samples);
    free(r->codes);
}

static rg_status encode_chunk(rg_exec *ex, rg_codec *codec, const float *x, int64_t n, int32_t n_q,
                              const room *r, int32_t *codes, float *scale)
{
    const int64_t channels = codec->config.channels, hop = rg_encodec_hop(&codec->config);
    const int64_t books = codec->config.codebooks, frames = (n + hop - 1) / hop;
    *scale = codec->config.normalize ? loudness(x, channels, n) : 1;
    for (int64_t i = 0; i < n * channels; i++) r->samples[i] = x[i] / *scale;
    RG_TRY(rg_codec_encode_signal(ex, codec, r->samples, n, n_q, r->codes));
    for (int64_t i = 0; i < frames * n_q; i++) codes[i] = r->codes[i / n_q * books + i % n_q];
    return RG_OK;
}

rg_status rg_codec_encode_chunks(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                                 int32_t n_q, int32_t *codes, float *scales)
{
    const rg_codec_cut cut = rg_codec_cut_of(&codec->config, n);
    const int64_t channels = codec->config.channels, each = cut.frames * n_q;
    room r;
    rg_status status = make_room(ex, codec, &cut, &r);
    memset(codes, 0, (size_t)(cut.chunks * each) * sizeof *codes);
    for (int64_t c = 0; c < cut.chunks && status == RG_OK; c++)
        status = encode_chunk(ex, codec, x + c * cut.stride * channels, chunk_length(&cut, c, n),
                              n_q, &r, codes + c * each, &scales[c]);
    free_room(&r);
    return status;
}

/* What a chunk's sample i of n counts where chunks overlap: a triangle. */
static float weight_at(int64_t i, int64_t n)
{
    return (float)(0.5 - fabs((double)(i + 1) / (double)(n + 1) - 0.5));
}

/* out += weight * scale * chunk, sums += weight; `whole`: the length the triangle is made for, 0
 * for a chunk that is alone. */
static void add_chunk(const float *chunk, int64_t length, int64_t whole, float scale,
                      int64_t channels, float *out, float *sums)
{
    for (int64_t i = 0; i < length; i++) {
        const float weight = whole ? weight_at(i, whole) : 1;
        sums[i] += weight;
        for (int64_t c = 0; c < channels; c++)
            out[i * channels + c] += weight * (scale * chunk[i * channels + c]);
    }
}

/* codes (frames,n_q) -> n samples in r. */
static rg_status decode_chunk(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                              int32_t n_q, const room *r, int64_t n)
{
    const int64_t books = codec->config.codebooks;
    for (int64_t i = 0; i < frames * books; i++)
        r->codes[i] = i % books < n_q ? codes[i / books * n_q + i % books] : -1;
    return rg_codec_decode_signal(ex, codec, r->codes, frames, r->samples, n);
}

rg_status rg_codec_decode_chunks(rg_exec *ex, rg_codec *codec, const int32_t *codes,
                                 const float *scales, int32_t n_q, float *out, int64_t n)
{
    const rg_codec_cut cut = rg_codec_cut_of(&codec->config, n);
    const int64_t channels = codec->config.channels, hop = rg_encodec_hop(&codec->config);
    room r;
    rg_status status = make_room(ex, codec, &cut, &r);
    float *sums = calloc((size_t)n + 1, sizeof *sums);
    if (!sums) status = rg_exec_fail(ex, RG_ERR_NOMEM, "codec: no memory for a chunk");
    memset(out, 0, (size_t)(n * channels) * sizeof *out);
    for (int64_t c = 0; c < cut.chunks && status == RG_OK; c++) {
        const int64_t at = c * cut.stride;
        const int64_t frames = (chunk_length(&cut, c, n) + hop - 1) / hop;
        const int64_t length = frames * hop < n - at ? frames * hop : n - at;
        status = decode_chunk(ex, codec, codes + c * cut.frames * n_q, frames, n_q, &r, length);
        if (status == RG_OK)
            add_chunk(r.samples, length, cut.chunks > 1 ? cut.frames * hop : 0,
                      scales ? scales[c] : 1, channels, out + at * channels, sums + at);
    }
    for (int64_t i = 0; i < n * channels && status == RG_OK; i++) out[i] /= sums[i / channels];
    free_room(&r);
    free(sums);
    return status;
}
