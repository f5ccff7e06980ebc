/*
 * What every slot takes and costs (idle.h). Sums and means over an operand that is read anyway are
 * free.
 */
#include "kernels/idle.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What one call takes. */
typedef struct cost {
    double products, other;
    double reals;  /* activations and packed weights, moved */
    double floats; /* fp32 values moved: parameters, their gradients, statistics, codes */
    double chain;
} cost;

/* The row of a slot and shape, from the start a new one. */
static rg_tally_row *find_row(rg_tally *tally, const char *slot, bool grad, const char *shape)
{
    for (int32_t i = 0; i < tally->n; i++) {
        rg_tally_row *row = &tally->rows[i];
        tally->last = i;
        if (row->grad == grad && !strcmp(row->slot, slot) && !strcmp(row->shape, shape)) return row;
    }
    if (tally->n == RG_TALLY_ROWS) {
        rg_tally_row *last = &tally->rows[RG_TALLY_ROWS - 1];
        last->slot = "(others)";
        last->shape[0] = 0;
        return last;
    }
    tally->last = tally->n++;
    rg_tally_row *row = &tally->rows[tally->last];
    *row = (rg_tally_row){.slot = slot, .grad = grad};
    snprintf(row->shape, sizeof row->shape, "%s", shape);
    return row;
}

static rg_status count(rg_kernel_ctx *ctx, const char *slot, bool grad, cost c, const char *fmt,
                       ...) RG_PRINTF(5, 6);
static rg_status count(rg_kernel_ctx *ctx, const char *slot, bool grad, cost c, const char *fmt,
                       ...)
{
    char shape[RG_TALLY_TEXT];
    va_list args;
    if (!ctx->tally) return RG_OK;
    va_start(args, fmt);
    vsnprintf(shape, sizeof shape, fmt, args);
    va_end(args);
    rg_tally_row *row = find_row(ctx->tally, slot, grad, shape);
    row->calls++;
    row->products += c.products;
    row->other += c.other;
    row->bytes += c.reals * ctx->tally->real_bytes + c.floats * 4;
    row->chain += c.chain;
    return RG_OK;
}

static rg_status scratch(rg_kernel_ctx *ctx, int64_t n)
{
    if (rg_arena_alloc(ctx->scratch, (size_t)n * sizeof(float))) return RG_OK;
    return rg_fail(ctx->error, RG_ERR_NOMEM, "scratch arena is full; use a smaller batch");
}

static double product(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (double)a * (double)b * (double)c * (double)d;
}

/* n values written, or added to. */
static double result(const void *at, bool add, double n)
{
    if (!at) return 0;
    return add ? 2 * n : n;
}

/* ---- what has a weight: x (in), w (weights), y (out), `work` multiplications ---- */

typedef struct weighted {
    double in, weights, out, work;
} weighted;

static cost weighted_forward(weighted s, bool keeps)
{
    return (cost){.products = 2 * s.work, .reals = s.in + s.weights + s.out * (keeps ? 2 : 1)};
}

/* dx and dw are products of their own, each of which reads dy. */
static cost weighted_grad(weighted s, const void *dx, bool add_dx, const void *dw, bool add_dw,
                          bool reads_more)
{
    cost c = {0};
    if (dx) {
        c.products += 2 * s.work;
        c.reals += s.out + s.weights + result(dx, add_dx, s.in) + (reads_more ? s.in : 0);
    }
    if (dw) {
        c.products += 2 * s.work;
        c.reals += s.in + s.out;
        c.floats += result(dw, add_dw, s.weights);
    }
    return c;
}

#define WEIGHTED_GRAD(a, sizes, more) \
    weighted_grad(sizes, (a)->dx, (a)->add_dx, (a)->dw, (a)->add_dw, more)

static weighted linear_sizes(const rg_linear_args *a)
{
    return (weighted){(double)(a->rows * a->c_in), (double)(a->c_in * a->c_out),
                      (double)(a->rows * a->c_out), product(a->rows, a->c_in, a->c_out, 1)};
}

#define LINEAR_TEXT "%lld x %lld -> %lld"
#define LINEAR_SHAPE(a) (long long)(a)->rows, (long long)(a)->c_in, (long long)(a)->c_out

static rg_status linear_forward(rg_kernel_ctx *ctx, const rg_linear_args *a)
{
    cost c = weighted_forward(linear_sizes(a), a->pre != NULL);
    return count(ctx, "linear", false, c, LINEAR_TEXT, LINEAR_SHAPE(a));
}

static rg_status linear_grad(rg_kernel_ctx *ctx, const rg_linear_grad_args *a)
{
    cost c = WEIGHTED_GRAD(a, linear_sizes(&a->fwd), false);
    if (a->fwd.act != RG_ACT_NONE) { /* the gradient before the activation */
        c.reals += (double)(a->fwd.rows * a->fwd.c_out);
        RG_TRY(scratch(ctx, a->fwd.rows * a->fwd.c_out));
    }
    return count(ctx, "linear", true, c, LINEAR_TEXT, LINEAR_SHAPE(&a->fwd));
}

static weighted conv1d_sizes(const rg_conv1d_args *a)
{
    double kernel = (double)a->kernel * (double)(a->c_in * a->c_out);
    return (weighted){(double)(a->batch * a->t_in * a->c_in), kernel,
                      (double)(a->batch * a->t_out * a->c_out),
                      kernel * (double)(a->batch * a->t_out)};
}

#define CONV_TEXT "%lld x %lld x %lld -> %lld, kernel %d, stride %d"
#define CONV_SHAPE(a)                                                                         \
    (long long)(a)->batch, (long long)(a)->t_in, (long long)(a)->c_in, (long long)(a)->c_out, \
        (int)(a)->kernel, (int)(a)->stride

static rg_status conv1d_forward(rg_kernel_ctx *ctx, const rg_conv1d_args *a)
{
    cost c = weighted_forward(conv1d_sizes(a), false);
    return count(ctx, "conv1d", false, c, CONV_TEXT, CONV_SHAPE(a));
}

static rg_status conv1d_grad(rg_kernel_ctx *ctx, const rg_conv1d_grad_args *a)
{
    cost c = WEIGHTED_GRAD(a, conv1d_sizes(&a->fwd), a->fwd.act_in != RG_ACT_NONE);
    return count(ctx, "conv1d", true, c, CONV_TEXT, CONV_SHAPE(&a->fwd));
}

static weighted conv_tr1d_sizes(const rg_conv_tr1d_args *a)
{
    double kernel = (double)a->kernel * (double)(a->c_in * a->c_out);
    return (weighted){(double)(a->batch * a->t_in * a->c_in), kernel,
                      (double)(a->batch * a->t_out * a->c_out),
                      kernel * (double)(a->batch * a->t_in)};
}

static rg_status conv_tr1d_forward(rg_kernel_ctx *ctx, const rg_conv_tr1d_args *a)
{
    cost c = weighted_forward(conv_tr1d_sizes(a), false);
    return count(ctx, "conv_tr1d", false, c, CONV_TEXT, CONV_SHAPE(a));
}

static rg_status conv_tr1d_grad(rg_kernel_ctx *ctx, const rg_conv_tr1d_grad_args *a)
{
    cost c = WEIGHTED_GRAD(a, conv_tr1d_sizes(&a->fwd), a->fwd.act_in != RG_ACT_NONE);
    return count(ctx, "conv_tr1d", true, c, CONV_TEXT, CONV_SHAPE(&a->fwd));
}

static weighted conv2d_sizes(const rg_conv2d_args *a)
{
    double kernel = product(a->kernel_h, a->kernel_w, a->c_in, a->c_out);
    double out = product(a->batch, a->h_out, a->w_out, 1);
    return (weighted){product(a->batch, a->h_in, a->w_in, a->c_in), kernel, out * (double)a->c_out,
                      kernel * out};
}

#define CONV2D_TEXT "%lld x %lld x %lld x %lld -> %lld, kernel %d x %d"
#define CONV2D_SHAPE(a)                                                                      \
    (long long)(a)->batch, (long long)(a)->h_in, (long long)(a)->w_in, (long long)(a)->c_in, \
        (long long)(a)->c_out, (int)(a)->kernel_h, (int)(a)->kernel_w

static rg_status conv2d_forward(rg_kernel_ctx *ctx, const rg_conv2d_args *a)
{
    cost c = weighted_forward(conv2d_sizes(a), false);
    return count(ctx, "conv2d", false, c, CONV2D_TEXT, CONV2D_SHAPE(a));
}

static rg_status conv2d_grad(rg_kernel_ctx *ctx, const rg_conv2d_grad_args *a)
{
    weighted s = conv2d_sizes(&a->fwd);
    cost c = WEIGHTED_GRAD(a, s, false);
    if (a->fwd.act != RG_ACT_NONE) c.reals += s.out;
    return count(ctx, "conv2d", true, c, CONV2D_TEXT, CONV2D_SHAPE(&a->fwd));
}

/* ---- lstm ---- */

static weighted lstm_sizes(const rg_lstm_args *a)
{
    double gates = 4 * (double)a->hidden, cells = (double)(a->batch * a->steps);
    double weights = gates * (double)(a->c_in + a->hidden);
    return (weighted){cells * (double)a->c_in, weights, cells * (double)a->hidden, cells * weights};
}

#define LSTM_TEXT "%lld x %lld x %lld -> %lld"
#define LSTM_SHAPE(a) \
    (long long)(a)->batch, (long long)(a)->steps, (long long)(a)->c_in, (long long)(a)->hidden

static rg_status lstm_forward(rg_kernel_ctx *ctx, const rg_lstm_args *a)
{
    weighted s = lstm_sizes(a);
    cost c = weighted_forward(s, false);
    c.reals += s.out * ((a->gates ? 4 : 0) + (a->cells ? 1 : 0));
    c.chain = (double)a->steps;
    if (!a->gates) RG_TRY(scratch(ctx, a->batch * a->steps * 4 * a->hidden));
    return count(ctx, "lstm", false, c, LSTM_TEXT, LSTM_SHAPE(a));
}

/* The gradients of the gates are written once and read by the products. */
static rg_status lstm_grad(rg_kernel_ctx *ctx, const rg_lstm_grad_args *a)
{
    weighted s = lstm_sizes(&a->fwd);
    cost c = {.products = 4 * s.work,
              .reals =
                  s.in + s.weights + s.out * (1 + 1 + 4 + 4 + 4) + result(a->dx, a->add_dx, s.in),
              .floats = result(a->dw_hh, a->add_dw_hh, s.weights),
              .chain = (double)a->fwd.steps};
    RG_TRY(scratch(ctx, a->fwd.batch * (a->fwd.steps * 4 + 2) * a->fwd.hidden));
    return count(ctx, "lstm", true, c, LSTM_TEXT, LSTM_SHAPE(&a->fwd));
}

/* ---- norms over channels ---- */

static rg_status layernorm_forward(rg_kernel_ctx *ctx, const rg_layernorm_args *a)
{
    double n = (double)(a->rows * a->channels);
    cost c = {.reals = n * (a->residual ? 4 : 2), .floats = 2 * (double)a->rows};
    return count(ctx, "layernorm", false, c, "%lld x %lld", (long long)a->rows,
                 (long long)a->channels);
}

static rg_status layernorm_grad(rg_kernel_ctx *ctx, const rg_layernorm_grad_args *a)
{
    double n = (double)(a->fwd.rows * a->fwd.channels);
    cost c = {.reals = n * (1 + (a->dy ? 1 : 0) + (a->dsum ? 1 : 0)) + result(a->dx, a->add_dx, n),
              .floats = 2 * (double)a->fwd.rows};
    return count(ctx, "layernorm", true, c, "%lld x %lld", (long long)a->fwd.rows,
                 (long long)a->fwd.channels);
}

/* Statistics of a whole item come before its first value can be written: two passes. */
static rg_status groupnorm_forward(rg_kernel_ctx *ctx, const rg_groupnorm_args *a)
{
    cost c = {.reals = 3 * product(a->batch, a->steps, a->channels, 1)};
    return count(ctx, "groupnorm", false, c, "%lld x %lld x %lld", (long long)a->batch,
                 (long long)a->steps, (long long)a->channels);
}

static rg_status groupnorm_grad(rg_kernel_ctx *ctx, const rg_groupnorm_grad_args *a)
{
    double n = product(a->fwd.batch, a->fwd.steps, a->fwd.channels, 1);
    cost c = {.reals = 4 * n + result(a->dx, a->add_dx, n)};
    return count(ctx, "groupnorm", true, c, "%lld x %lld x %lld", (long long)a->fwd.batch,
                 (long long)a->fwd.steps, (long long)a->fwd.channels);
}

/* ---- attention ---- */

/* Pairs of a query and a key that it may see. */
static double attention_pairs(const rg_attention_args *a)
{
    double all = product(a->batch, a->heads, a->t_q, a->t_k);
    double share = a->window >= 0 ? fmin(1, (2 * a->window + 1) / fmax(1, (double)a->t_k)) : 1;
    return all * share * (a->causal ? 0.5 : 1);
}

/* Keys and values in panels. */
static rg_status panels(rg_kernel_ctx *ctx, const rg_attention_args *a, int64_t of)
{
    return scratch(ctx, of * a->batch * a->heads * a->t_k * a->head_dim);
}

#define ATTENTION_TEXT "%lld x %lld heads of %lld, %lld x %lld%s"
#define ATTENTION_SHAPE(a)                                                                       \
    (long long)(a)->batch, (long long)(a)->heads, (long long)(a)->head_dim, (long long)(a)->t_q, \
        (long long)(a)->t_k, (a)->causal ? ", causal" : ""

static rg_status attention_forward(rg_kernel_ctx *ctx, const rg_attention_args *a)
{
    double queries = product(a->batch, a->heads, a->t_q, a->head_dim);
    double keys = product(a->batch, a->heads, a->t_k, a->head_dim);
    cost c = {.products = 4 * attention_pairs(a) * (double)a->head_dim,
              .reals = 2 * queries + 2 * keys};
    RG_TRY(panels(ctx, a, 1));
    return count(ctx, "attention", false, c, ATTENTION_TEXT, ATTENTION_SHAPE(a));
}

/* Scores are computed again: five products to forward's two. */
static rg_status attention_grad(rg_kernel_ctx *ctx, const rg_attention_grad_args *a)
{
    const rg_attention_args *f = &a->fwd;
    double queries = product(f->batch, f->heads, f->t_q, f->head_dim);
    double keys = product(f->batch, f->heads, f->t_k, f->head_dim);
    cost c = {.products = 10 * attention_pairs(f) * (double)f->head_dim,
              .reals = 5 * queries + 6 * keys};
    RG_TRY(panels(ctx, f, 2));
    return count(ctx, "attention", true, c, ATTENTION_TEXT, ATTENTION_SHAPE(f));
}

/* ---- codes ---- */

static rg_status embedding_forward(rg_kernel_ctx *ctx, const rg_embedding_args *a)
{
    double n = (double)(a->rows * a->channels);
    cost c = {.reals = n, .floats = (double)a->books * (n + (double)a->rows)};
    return count(ctx, "embedding", false, c, "%lld x %lld -> %lld", (long long)a->rows,
                 (long long)a->books, (long long)a->channels);
}

static rg_status embedding_grad(rg_kernel_ctx *ctx, const rg_embedding_grad_args *a)
{
    const rg_embedding_args *f = &a->fwd;
    double n = (double)(f->rows * f->channels),
           table = product(f->books, f->entries, f->channels, 1);
    cost c = {.reals = (double)f->books * n,
              .floats = (double)(f->rows * f->books) + result(a->dtable, a->add_dtable, table)};
    return count(ctx, "embedding", true, c, "%lld x %lld -> %lld", (long long)f->rows,
                 (long long)f->books, (long long)f->channels);
}

static rg_status rvq(rg_kernel_ctx *ctx, const rg_rvq_args *a)
{
    double n = (double)(a->rows * a->dim), books = (double)a->n_q * (double)(a->entries * a->dim);
    cost c = {.other = a->fixed_codes ? 0 : 2 * (double)a->rows * books,
              .reals = 2 * n + (a->dcommit ? n : 0),
              .floats = books + (a->residuals ? a->n_q * n : 0)};
    return count(ctx, "rvq", false, c, "%lld x %lld, %d of %lld", (long long)a->rows,
                 (long long)a->dim, (int)a->n_q, (long long)a->entries);
}

static rg_status softmax_ce(rg_kernel_ctx *ctx, const rg_softmax_ce_args *a)
{
    double n = (double)(a->rows * a->classes);
    cost c = {.reals = n * (a->dlogits ? 2 : 1)};
    return count(ctx, "softmax_ce", false, c, "%lld x %lld", (long long)a->rows,
                 (long long)a->classes);
}

/* ---- spectra ---- */

static double transforms(const rg_stft_args *a)
{
    double n = a->n_fft;
    return 2.5 * n * log2(n) * (double)(a->batch * a->frames); /* of a real signal */
}

#define STFT_TEXT "%lld x %lld, n_fft %d, hop %d"
#define STFT_SHAPE(a) (long long)(a)->batch, (long long)(a)->frames, (int)(a)->n_fft, (int)(a)->hop

static rg_status stft_forward(rg_kernel_ctx *ctx, const rg_stft_args *a)
{
    cost c = {.other = transforms(a),
              .reals = (double)(a->batch * (a->t_in + a->frames * (a->n_fft + 2)))};
    return count(ctx, "stft", false, c, STFT_TEXT, STFT_SHAPE(a));
}

static rg_status stft_grad(rg_kernel_ctx *ctx, const rg_stft_grad_args *a)
{
    const rg_stft_args *f = &a->fwd;
    cost c = {.other = transforms(f),
              .reals = (double)(f->batch * f->frames * (f->n_fft + 2)) +
                       result(a->dx, a->add_dx, (double)(f->batch * f->t_in))};
    return count(ctx, "stft", true, c, STFT_TEXT, STFT_SHAPE(f));
}

static double bins(const rg_spectrogram_args *a)
{
    const int32_t n = a->stft.n_fft / 2 + 1;
    return n;
}

static double bands(const rg_spectrogram_args *a)
{
    return a->bank ? (double)a->n_bands : bins(a);
}

static rg_status spectrogram_forward(rg_kernel_ctx *ctx, const rg_spectrogram_args *a)
{
    double frames = (double)(a->stft.batch * a->stft.frames), out = frames * bands(a);
    cost c = {.other = transforms(&a->stft) + (a->bank ? 2 * out * bins(a) : 0),
              .reals = (double)(a->stft.batch * a->stft.t_in) + result(a->y, false, out) +
                       result(a->log_y, false, out)};
    return count(ctx, "spectrogram", false, c, STFT_TEXT, STFT_SHAPE(&a->stft));
}

/* Forward again, the bands' transpose, and the way back. */
static rg_status spectrogram_grad(rg_kernel_ctx *ctx, const rg_spectrogram_grad_args *a)
{
    const rg_spectrogram_args *f = &a->fwd;
    double in = (double)(f->stft.batch * f->stft.t_in);
    double out = (double)(f->stft.batch * f->stft.frames) * bands(f);
    cost c = {.other = 2 * transforms(&f->stft) + (f->bank ? 4 * out * bins(f) : 0),
              .reals = in + result(a->dy, false, out) + result(a->dlog_y, false, out) +
                       result(a->dx, a->add_dx, in)};
    return count(ctx, "spectrogram", true, c, STFT_TEXT, STFT_SHAPE(&f->stft));
}

/* ---- elementwise ---- */

#define MOVES(slot, grad, reals_, n_) \
    count(ctx, slot, grad, (cost){.reals = (reals_)}, "%lld", (long long)(n_))

static rg_status activation_forward(rg_kernel_ctx *ctx, const rg_activation_args *a)
{
    return MOVES("activation", false, 2 * (double)a->n, a->n);
}

static rg_status activation_grad(rg_kernel_ctx *ctx, const rg_activation_grad_args *a)
{
    double n = (double)a->fwd.n;
    return MOVES("activation", true, 2 * n + result(a->dx, a->add_dx, n), a->fwd.n);
}

static rg_status distance_forward(rg_kernel_ctx *ctx, const rg_distance_args *a)
{
    return MOVES("distance", false, 2 * (double)(a->batch * a->n), a->batch * a->n);
}

static rg_status distance_grad(rg_kernel_ctx *ctx, const rg_distance_grad_args *a)
{
    double n = (double)(a->fwd.batch * a->fwd.n);
    return MOVES("distance", true, 2 * n + result(a->da, a->add_da, n), a->fwd.batch * a->fwd.n);
}

static rg_status add_forward(rg_kernel_ctx *ctx, const rg_add_args *a)
{
    return MOVES("add", false, 2 * (double)a->n + (a->b ? (double)a->n_b : 0), a->n);
}

static rg_status add_grad(rg_kernel_ctx *ctx, const rg_reduce_args *a)
{
    return MOVES("add", true, (double)a->n + result(a->db, a->add_db, (double)a->n_b), a->n);
}

static rg_status converted(rg_kernel_ctx *ctx, bool grad, int64_t n, bool add)
{
    cost c = {.reals = (double)n, .floats = (double)n};
    if (add) *(grad ? &c.floats : &c.reals) *= 2;
    return count(ctx, "convert", grad, c, "%lld", (long long)n);
}

static rg_status convert_forward(rg_kernel_ctx *ctx, const rg_convert_args *a)
{
    return converted(ctx, false, a->n, a->add_y);
}

static rg_status convert_grad(rg_kernel_ctx *ctx, const rg_convert_grad_args *a)
{
    return converted(ctx, true, a->n, a->add_dx);
}

static rg_status copy(rg_kernel_ctx *ctx, const rg_copy_args *a)
{
    double n = (double)(a->rows * a->cols);
    return MOVES("copy", false, n + result(a->dst, a->add, n), a->rows * a->cols);
}

static rg_status dropout(rg_kernel_ctx *ctx, const rg_dropout_args *a)
{
    double n = (double)a->n;
    return MOVES("dropout", false, n + result(a->y, a->add_y, n), a->n);
}

/* ---- parameters: fp32 but for packed copies ---- */

static rg_status weight_norm_fold(rg_kernel_ctx *ctx, const rg_weight_norm_args *a)
{
    double n = product(a->outer, a->n, a->inner, 1);
    return count(ctx, "weight_norm", false, (cost){.floats = 2 * n}, "%lld", (long long)n);
}

static rg_status weight_norm_grad(rg_kernel_ctx *ctx, const rg_weight_norm_args *a)
{
    double n = product(a->outer, a->n, a->inner, 1);
    return count(ctx, "weight_norm", true, (cost){.floats = 3 * n}, "%lld", (long long)n);
}

static rg_status pack(rg_kernel_ctx *ctx, const void *w, int64_t rows, int64_t cols, rg_dtype type,
                      void *packed)
{
    (void)w, (void)type, (void)packed;
    double n = (double)(rows * cols);
    return count(ctx, "pack", false, (cost){.floats = n, .reals = n}, "%lld x %lld",
                 (long long)rows, (long long)cols);
}

/* Some numbers, whatever the model. */
static rg_status adamw_begin(rg_kernel_ctx *ctx, const rg_adamw_begin_args *a)
{
    (void)a;
    return count(ctx, "adamw_begin", false, (cost){0}, "1");
}

/* Values and two moments read and written, the gradient read, and the average if there is one. */
static rg_status adamw(rg_kernel_ctx *ctx, const rg_adamw_args *a)
{
    cost c = {.floats = (double)a->n * (a->ema ? 9 : 7)};
    for (int64_t i = 0; i < a->n_matrices; i++)
        c.reals += (double)(a->matrices[i].rows * a->matrices[i].cols);
    return count(ctx, "adamw", false, c, "%lld", (long long)a->n);
}

static rg_status norm(rg_kernel_ctx *ctx, const rg_norm_args *a)
{
    return count(ctx, "norm", false, (cost){.floats = (double)a->n}, "%lld", (long long)a->n);
}

#define SLOT(name) .name = {name##_forward, name##_grad}

rg_kernels rg_kernels_idle(const rg_kernels *like)
{
    return (rg_kernels){.name = "idle",
                        .real = like->real,
                        .matrix = {like->matrix.packed_size, pack},
                        SLOT(linear),
                        SLOT(conv1d),
                        SLOT(conv_tr1d),
                        SLOT(conv2d),
                        SLOT(lstm),
                        SLOT(layernorm),
                        SLOT(groupnorm),
                        SLOT(attention),
                        SLOT(embedding),
                        SLOT(activation),
                        SLOT(stft),
                        SLOT(spectrogram),
                        SLOT(distance),
                        SLOT(add),
                        SLOT(convert),
                        .weight_norm = {weight_norm_fold, weight_norm_grad},
                        .softmax_ce = softmax_ce,
                        .rvq = rvq,
                        .copy = copy,
                        .dropout = dropout,
                        .adamw_begin = adamw_begin,
                        .adamw = adamw,
                        .norm = norm};
}
