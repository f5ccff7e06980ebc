/*
 * The losses of a codec (codec_loss.h).
 */
#include "train/codec_loss.h"

#include "audio/mel.h"

static const double mel_low_hz = 64, mel_floor = 1e-5;

/* The scalars of one term; the term is their sum times `share`. */
enum { MAX_ROOTS = RG_JUDGE_MAPS * RG_MAX_JUDGE_SCALES };
typedef struct roots {
    int32_t n;
    double share;
    rg_tensor *root[MAX_ROOTS];
} roots;

/* What terms compare: signals and, when there is a discriminator, what it makes of them. */
typedef struct heard {
    rg_tensor *y, *x;
    rg_judgement fake, real; /* n_scales 0: none */
} heard;

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
        float *weights = rg_tensor_fill(ex, loss->bank[i]);
        if (weights) RG_TRY(rg_mel_bank_make(&bank, weights, err));
        if (!rg_tensor_filled(ex, loss->bank[i], weights))
            return rg_fail(err, rg_exec_status(ex), "%s", ex->error.text);
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

static void l1_roots(rg_exec *ex, const rg_codec_loss *loss, const heard *h, roots *r)
{
    (void)loss;
    r->root[r->n++] = rg_distance(ex, h->y, h->x, RG_DISTANCE_L1);
}

static void mse_roots(rg_exec *ex, const rg_codec_loss *loss, const heard *h, roots *r)
{
    (void)loss;
    r->root[r->n++] = rg_distance(ex, h->y, h->x, RG_DISTANCE_RELATIVE_MSE);
}

static void mel_roots(rg_exec *ex, const rg_codec_loss *loss, const heard *h, roots *r)
{
    r->share = 1.0 / (2 * loss->n_scales);
    for (int32_t i = 0; i < loss->n_scales; i++) {
        rg_tensor *log_y = NULL, *log_x = NULL;
        bool recording = rg_set_recording(ex, false);
        rg_tensor *mel_x = mel_of(ex, loss, i, h->x, &log_x);
        rg_set_recording(ex, recording);
        rg_tensor *mel_y = mel_of(ex, loss, i, h->y, &log_y);
        bool linear = loss->mel_linear;
        r->root[r->n++] = rg_distance(ex, mel_y, mel_x, RG_DISTANCE_L1);
        r->root[r->n++] =
            rg_distance(ex, linear ? mel_y : log_y, linear ? mel_x : log_x, RG_DISTANCE_MSE);
    }
}

static void adv_roots(rg_exec *ex, const rg_codec_loss *loss, const heard *h, roots *r)
{
    r->share = 1.0 / h->fake.n_scales;
    for (int32_t i = 0; i < h->fake.n_scales; i++) {
        rg_tensor *logits = h->fake.logits[i];
        r->root[r->n++] =
            loss->adv_hinge ? rg_hinge(ex, logits, 1) : rg_scale(ex, rg_mean(ex, logits), -1);
    }
}

static void feat_roots(rg_exec *ex, const rg_codec_loss *loss, const heard *h, roots *r)
{
    rg_distance_kind kind = loss->feat_relative ? RG_DISTANCE_RELATIVE_L1 : RG_DISTANCE_L1;
    r->share = 1.0 / (h->fake.n_scales * RG_JUDGE_MAPS);
    for (int32_t i = 0; i < h->fake.n_scales; i++) {
        for (int32_t l = 0; l < RG_JUDGE_MAPS; l++)
            r->root[r->n++] = rg_distance(ex, h->fake.maps[i][l], h->real.maps[i][l], kind);
    }
}

static const struct {
    const char *name;
    void (*roots)(rg_exec *ex, const rg_codec_loss *loss, const heard *h, roots *r);
} terms[RG_CODEC_TERMS] = {
    [RG_CODEC_L1] = {"l1", l1_roots},       [RG_CODEC_MSE] = {"mse", mse_roots},
    [RG_CODEC_MEL] = {"mel", mel_roots},    [RG_CODEC_ADV] = {"adv", adv_roots},
    [RG_CODEC_FEAT] = {"feat", feat_roots},
};

const char *rg_codec_term_name(rg_codec_term term)
{
    return terms[term].name;
}

/* g times factor, in its own place. */
static rg_status multiply(rg_exec *ex, const rg_tensor *g, double factor)
{
    const rg_add_args args = {
        .a = g->data, .y = g->data, .n = rg_shape_count(g->shape), .alpha = factor};
    return ex->kernels->add.forward(&ex->kernel_ctx, &args);
}

/* The gradient at y of the term's sum, by one walk over all of its roots; `scale` times as large on
 * its way. */
static rg_tensor *gradient_of(rg_exec *ex, const roots *r, rg_tensor *y, double scale)
{
    rg_tensor *gradient = NULL, *seeds[MAX_ROOTS];
    float share = (float)(r->share * scale);
    rg_tensor *seed = rg_tensor_from_floats(ex, RG_SHAPE(1), &share);
    for (int32_t i = 0; i < r->n; i++) seeds[i] = seed;
    rg_tensor *wrt[] = {y};
    if (rg_backward(ex, r->root, seeds, r->n, wrt, 1, &gradient) != RG_OK) return NULL;
    if (scale == 1 || !gradient || multiply(ex, gradient, 1 / scale) == RG_OK) return gradient;
    rg_exec_fail(ex, RG_ERR_DEVICE, "a loss's gradient could not be scaled");
    return NULL;
}

/* Output and target before the discriminator; one judgement serves both of its terms. */
static heard listen(rg_exec *ex, const rg_discriminator *judge, rg_tensor *y, rg_tensor *x,
                    bool differentiated)
{
    heard h = {.y = y, .x = x};
    if (!judge) return h;
    bool recording = rg_set_recording(ex, false);
    h.real = rg_discriminator_run(ex, judge, x);
    rg_set_recording(ex, differentiated);
    h.fake = rg_discriminator_run(ex, judge, y);
    rg_set_recording(ex, recording);
    return h;
}

static double mean_logit(rg_exec *ex, const rg_judgement *judgement)
{
    double sum = 0;
    bool recording = rg_set_recording(ex, false);
    for (int32_t i = 0; i < judgement->n_scales; i++) {
        rg_tensor *mean = rg_mean(ex, judgement->logits[i]);
        if (mean) sum += rg_tensor_get(mean, 0) / judgement->n_scales;
    }
    rg_set_recording(ex, recording);
    return sum;
}

rg_status rg_codec_loss_gradients(rg_exec *ex, const rg_codec_loss *loss,
                                  const rg_discriminator *judge, rg_tensor *y, rg_tensor *x,
                                  const bool wanted[RG_CODEC_TERMS], rg_codec_losses *out)
{
    heard h = listen(ex, judge, y, x, wanted[RG_CODEC_ADV] || wanted[RG_CODEC_FEAT]);
    *out = (rg_codec_losses){.real = mean_logit(ex, &h.real), .fake = mean_logit(ex, &h.fake)};
    for (int32_t t = 0; t < (judge ? RG_CODEC_TERMS : RG_CODEC_ADV); t++) {
        roots r = {.share = 1};
        bool recording = rg_set_recording(ex, wanted[t]);
        terms[t].roots(ex, loss, &h, &r);
        rg_status status = rg_exec_status(ex);
        for (int32_t i = 0; i < r.n && status == RG_OK; i++)
            out->values[t] += r.share * rg_tensor_get(r.root[i], 0);
        const double scale = t >= RG_CODEC_ADV && loss->scale > 0 ? loss->scale : 1;
        if (wanted[t] && status == RG_OK) out->gradients[t] = gradient_of(ex, &r, y, scale);
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
