/*
 * The reconstruction losses of a codec (codec_loss.h).
 */
#include "train/codec_loss.h"

#include "audio/mel.h"

static const double mel_low_hz = 64, mel_floor = 1e-5;

/* The scalars of one term; the term is their sum times `share`. */
enum { MAX_ROOTS = 2 * RG_MAX_MEL_SCALES };
typedef struct roots {
    int32_t n;
    double share;
    rg_tensor *root[MAX_ROOTS];
} roots;

rg_status rg_codec_loss_make(rg_codec_loss *loss, rg_exec *ex, int32_t rate, int32_t bands,
                             const int32_t *n_fft, int32_t n_scales, rg_error *err)
{
    if (n_scales < 1 || n_scales > RG_MAX_MEL_SCALES)
        return rg_fail(err, RG_ERR_CONFIG, "%d mel scales; 1 to %d are possible", (int)n_scales,
                       RG_MAX_MEL_SCALES);
    *loss = (rg_codec_loss){.rate = rate, .bands = bands, .n_scales = n_scales};
    for (int32_t i = 0; i < n_scales; i++) {
        if (n_fft[i] < 16 || n_fft[i] > 65536 || (n_fft[i] & (n_fft[i] - 1)))
            return rg_fail(err, RG_ERR_CONFIG, "mel scale %d is no power of two from 16 to 65536",
                           (int)n_fft[i]);
        rg_mel_bank bank = {rate, n_fft[i], bands, mel_low_hz, 0, RG_MEL_HTK, false};
        loss->n_fft[i] = n_fft[i];
        loss->bank[i] = rg_tensor_state(ex, RG_F32, RG_SHAPE(n_fft[i] / 2 + 1, bands));
        if (!loss->bank[i]) return rg_fail(err, rg_exec_status(ex), "%s", ex->error.text);
        RG_TRY(rg_mel_bank_make(&bank, loss->bank[i]->data, err));
    }
    return RG_OK;
}

/* audiocraft's frames: reflected half a frame less half a hop, one frame for each started hop. */
static rg_spectrogram_attr spectrogram_of(int32_t n_fft, int64_t samples)
{
    int32_t hop = n_fft / 4;
    return (rg_spectrogram_attr){.stft = {.n_fft = n_fft,
                                          .hop = hop,
                                          .pad_left = (n_fft - hop) / 2,
                                          .pad_right = (n_fft - hop) / 2,
                                          .frames = (samples + hop - 1) / hop,
                                          .pad_mode = RG_PAD_REFLECT,
                                          .normalized = true},
                                 .power = 2,
                                 .log_floor = mel_floor};
}

static rg_tensor *mel_of(rg_exec *ex, const rg_codec_loss *loss, int32_t scale, rg_tensor *x,
                         rg_tensor **log_mel)
{
    if (!x) return NULL;
    rg_spectrogram_attr attr = spectrogram_of(loss->n_fft[scale], x->shape.dim[1]);
    return rg_spectrogram(ex, x, loss->bank[scale], &attr, log_mel);
}

static void l1_roots(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y, rg_tensor *x, roots *r)
{
    (void)loss;
    r->root[r->n++] = rg_distance(ex, y, x, RG_DISTANCE_L1);
}

static void mse_roots(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y, rg_tensor *x, roots *r)
{
    (void)loss;
    r->root[r->n++] = rg_distance(ex, y, x, RG_DISTANCE_RELATIVE_MSE);
}

static void mel_roots(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y, rg_tensor *x, roots *r)
{
    r->share = 1.0 / (2 * loss->n_scales);
    for (int32_t i = 0; i < loss->n_scales; i++) {
        rg_tensor *log_y = NULL, *log_x = NULL;
        bool recording = rg_set_recording(ex, false);
        rg_tensor *mel_x = mel_of(ex, loss, i, x, &log_x);
        rg_set_recording(ex, recording);
        rg_tensor *mel_y = mel_of(ex, loss, i, y, &log_y);
        r->root[r->n++] = rg_distance(ex, mel_y, mel_x, RG_DISTANCE_L1);
        r->root[r->n++] = rg_distance(ex, log_y, log_x, RG_DISTANCE_MSE);
    }
}

static const struct {
    const char *name;
    void (*roots)(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y, rg_tensor *x, roots *r);
} terms[RG_CODEC_TERMS] = {
    [RG_CODEC_L1] = {"l1", l1_roots},
    [RG_CODEC_MSE] = {"mse", mse_roots},
    [RG_CODEC_MEL] = {"mel", mel_roots},
};

const char *rg_codec_term_name(rg_codec_term term)
{
    return terms[term].name;
}

/* The gradient at y of the term's sum, by one walk over all of its roots. */
static rg_tensor *gradient_of(rg_exec *ex, const roots *r, rg_tensor *y)
{
    rg_tensor *gradient = NULL, *seeds[MAX_ROOTS];
    float share = (float)r->share;
    rg_tensor *seed = rg_tensor_from_floats(ex, RG_SHAPE(1), &share);
    for (int32_t i = 0; i < r->n; i++) seeds[i] = seed;
    rg_tensor *wrt[] = {y};
    if (rg_backward(ex, r->root, seeds, r->n, wrt, 1, &gradient) != RG_OK) return NULL;
    return gradient;
}

rg_status rg_codec_loss_gradients(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y,
                                  rg_tensor *x, const bool wanted[RG_CODEC_TERMS],
                                  double values[RG_CODEC_TERMS],
                                  rg_tensor *gradients[RG_CODEC_TERMS])
{
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        roots r = {.share = 1};
        bool recording = rg_set_recording(ex, wanted[t]);
        terms[t].roots(ex, loss, y, x, &r);
        values[t] = 0;
        gradients[t] = NULL;
        rg_status status = rg_exec_status(ex);
        for (int32_t i = 0; i < r.n && status == RG_OK; i++) {
            values[t] += r.share * rg_tensor_get(r.root[i], 0);
        }
        if (wanted[t] && status == RG_OK) gradients[t] = gradient_of(ex, &r, y);
        rg_set_recording(ex, recording);
        RG_TRY(rg_exec_status(ex));
    }
    return RG_OK;
}

rg_status rg_codec_mel_distance(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y, rg_tensor *x,
                                double *out)
{
    bool recording = rg_set_recording(ex, false);
    double sum = 0;
    for (int32_t i = 0; i < loss->n_scales; i++) {
        rg_tensor *log_y = NULL, *log_x = NULL;
        mel_of(ex, loss, i, y, &log_y);
        mel_of(ex, loss, i, x, &log_x);
        rg_tensor *distance = rg_distance(ex, log_y, log_x, RG_DISTANCE_L1);
        if (distance) sum += rg_tensor_get(distance, 0);
    }
    rg_set_recording(ex, recording);
    *out = sum / loss->n_scales;
    return rg_exec_status(ex);
}
