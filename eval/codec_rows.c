/*
 * The rows beside a codec: Opus, 8-bit PCM, its band alone, silence.
 *
 * One idea: a row is a function from the excerpt to another sound, so that whatever is measured of
 * the codec is measured of all of them.
 */
#include <math.h>
#include <string.h>

#include "eval/internal.h"
#include "eval/metrics/lowpass.h"
#include "eval/metrics/opus_baseline.h"
#include "eval/metrics/pcm_baseline.h"

const codec_row_kind rg__codec_rows[CODEC_ROWS] = {
    [CODEC_OURS] = {"codec", "codec", "codec", RG_ROW_OURS},
    [CODEC_OPUS] = {"opus", "Opus", "Opus", RG_ROW_PLAIN},
    [CODEC_PCM] = {"pcm", "8-bit PCM", "8-bit PCM", RG_ROW_FLOOR},
    [CODEC_LOWPASS] = {"lowpass", "low-pass", "low-pass at the band", RG_ROW_PLAIN},
    [CODEC_SILENCE] = {"silence", "silence", "silence", RG_ROW_FLOOR},
};

void rg__codec_find_rows(codec_result *r)
{
    rg_error why = {0};
    if (rg_opus_installed(&why) != RG_OK)
        rg_copy_text(r->missing[CODEC_OPUS], sizeof r->missing[0], why.text);
    if (r->codec->band[1] >= r->codec->config.sample_rate / 2.0)
        rg_copy_text(r->missing[CODEC_LOWPASS], sizeof r->missing[0],
                     "the band reaches half the rate");
}

static rg_status silence(const codec_result *r, const rg_audio *x, float *y, double *bitrate,
                         rg_error *err)
{
    (void)r;
    (void)err;
    memset(y, 0, (size_t)x->frames * sizeof *y);
    *bitrate = 0;
    return RG_OK;
}

static rg_status pcm(const codec_result *r, const rg_audio *x, float *y, double *bitrate,
                     rg_error *err)
{
    *bitrate = r->nominal_bitrate;
    return rg_pcm_baseline(x->samples, x->frames, x->rate, r->nominal_bitrate, y, err);
}

static rg_status lowpass(const codec_result *r, const rg_audio *x, float *y, double *bitrate,
                         rg_error *err)
{
    *bitrate = NAN;
    return rg_lowpass(x->samples, x->frames, x->rate, r->codec->band[1], y, err);
}

static rg_status opus(const codec_result *r, const rg_audio *x, float *y, double *bitrate,
                      rg_error *err)
{
    return rg_opus_baseline(x->samples, x->frames, x->rate, r->nominal_bitrate, y, bitrate, err);
}

rg_status rg__codec_reference(const codec_result *r, enum codec_row row, const rg_audio *x,
                              float *y, double *bitrate, rg_error *err)
{
    typedef rg_status row_fn(const codec_result *, const rg_audio *, float *, double *, rg_error *);
    static row_fn *const make[CODEC_ROWS] = {[CODEC_OPUS] = opus,
                                             [CODEC_PCM] = pcm,
                                             [CODEC_LOWPASS] = lowpass,
                                             [CODEC_SILENCE] = silence};
    return make[row](r, x, y, bitrate, err);
}
