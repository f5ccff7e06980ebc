/*
 * Convolution layers over pieces (conv_stream.h).
 *
 * One idea: all is counted in rows since the start, so that a piece's padding and number of outputs
 * are differences of two such counts.
 */
#include "nn/conv_stream.h"

#include <assert.h>
#include <string.h>

enum { LINE = 64 };

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t div_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Rows before its first and behind its last that a step of a convolution reads. */
static rg_conv_pads pads_of(const rg_conv_spec *s)
{
    return rg_conv_padding(0, s->kernel, s->stride, s->dilation, s->causal);
}

static int64_t trim_of(const rg_conv_spec *s)
{
    return rg_conv_tr_trim(s->kernel, s->stride, s->causal, s->trim_right_ratio).left;
}

/* Rows up to which nothing is given, because a signal that ends here is too short to reflect. */
static int64_t held_of(const rg_conv_spec *s)
{
    const rg_conv_pads pads = pads_of(s);
    return s->pad_mode == RG_PAD_REFLECT ? larger(pads.left, pads.right + s->stride - 1) : 0;
}

/* Steps already given whose rows are kept: the reflected end may reach behind the next step's. */
static int64_t again_of(const rg_conv_spec *s)
{
    return s->pad_mode == RG_PAD_REFLECT && pads_of(s).left < s->stride;
}

/* The most rows that are kept. */
static int64_t room_of(const rg_conv_spec *s)
{
    const rg_conv_pads pads = pads_of(s);
    return pads.left + pads.right + (1 + again_of(s)) * s->stride;
}

int64_t rg_conv_stream_needs(const rg_conv_layer *layer, bool transposed, int64_t outputs)
{
    const rg_conv_spec *s = &layer->spec;
    if (transposed) return div_up(outputs + trim_of(s), s->stride);
    return larger(outputs * s->stride + pads_of(s).right, held_of(s) + 1);
}

/* ---- a transposed convolution as a convolution ---- */

/* Its `stride` rows of output from step * stride on are the channels of one row. */
static rg_conv_spec wide_spec(const rg_conv_spec *s)
{
    return (rg_conv_spec){.c_in = s->c_in,
                          .c_out = s->stride * s->c_out,
                          .kernel = (int32_t)div_up(s->kernel, s->stride),
                          .stride = 1,
                          .dilation = 1,
                          .causal = true,
                          .pad_mode = RG_PAD_ZERO,
                          .act_in = s->act_in};
}

/* The parts of a stream's memory, a cache line's multiple each: rows kept, and of a transposed
 * layer weight, bias and packed weight. */
enum { KEPT, WEIGHT, BIAS, PACKED, PARTS };

static rg_dtype packed_type(const rg_exec *ex)
{
    return ex->kernel_ctx.operands == RG_BF16 ? RG_BF16 : RG_F32;
}

/* Where each part begins; [PARTS]: their size. */
static void lay_out(const rg_exec *ex, const rg_conv_layer *layer, bool transposed,
                    size_t at[PARTS + 1])
{
    const rg_conv_spec s = transposed ? wide_spec(&layer->spec) : layer->spec;
    const int64_t rows = (int64_t)s.kernel * s.c_in;
    const size_t real = rg_dtype_size(ex->kernels->real);
    size_t size[PARTS] = {[KEPT] = (size_t)(room_of(&s) * s.c_in) * real};
    if (transposed) {
        size[WEIGHT] = (size_t)(rows * s.c_out) * real;
        size[BIAS] = (size_t)s.c_out * real;
        if (ex->kernels->matrix.packed_size)
            size[PACKED] = ex->kernels->matrix.packed_size(rows, s.c_out, packed_type(ex));
    }
    at[0] = 0;
    for (int i = 0; i < PARTS; i++) at[i + 1] = (at[i] + size[i] + LINE - 1) / LINE * LINE;
}

size_t rg_conv_stream_bytes(const rg_exec *ex, const rg_conv_layer *layer, bool transposed)
{
    size_t at[PARTS + 1];
    lay_out(ex, layer, transposed, at);
    return at[PARTS];
}

/* Tap k adds to row k % stride of the step that begins k / stride steps later. */
static void widen(const rg_conv_layer *from, rg_conv_stream *to)
{
    const rg_conv_spec *s = &from->spec, *w = &to->layer.spec;
    const size_t real = rg_dtype_size(from->weight->dtype), run = (size_t)s->c_out * real;
    memset(to->wide_weight.data, 0, (size_t)rg_shape_count(to->wide_weight.shape) * real);
    for (int64_t i = 0; i < (int64_t)s->kernel * s->c_in; i++) {
        const int64_t k = i / s->c_in, c = i % s->c_in, tap = w->kernel - 1 - k / s->stride;
        const size_t place = (size_t)((tap * s->c_in + c) * s->stride + k % s->stride);
        memcpy((char *)to->wide_weight.data + place * run,
               (const char *)from->weight->data + (size_t)i * run, run);
    }
    for (int32_t j = 0; j < s->stride; j++)
        memcpy((char *)to->wide_bias.data + (size_t)j * run, from->bias->data, run);
}

static rg_status make_wide(rg_exec *ex, const rg_conv_layer *from, char *memory, const size_t *at,
                           rg_conv_stream *s)
{
    s->layer = (rg_conv_layer){
        .spec = wide_spec(&from->spec), .weight = &s->wide_weight, .bias = &s->wide_bias};
    s->fan = from->spec.stride;
    s->trim = trim_of(&from->spec);
    const rg_conv_spec *w = &s->layer.spec;
    s->wide_weight = (rg_tensor){.shape = RG_SHAPE(w->kernel, w->c_in, w->c_out),
                                 .dtype = from->weight->dtype,
                                 .flags = RG_TENSOR_STATE,
                                 .data = memory + at[WEIGHT],
                                 .packed_type = packed_type(ex)};
    s->wide_bias = (rg_tensor){.shape = RG_SHAPE(w->c_out),
                               .dtype = from->weight->dtype,
                               .flags = RG_TENSOR_STATE,
                               .data = memory + at[BIAS]};
    widen(from, s);
    if (at[PARTS] == at[PACKED]) return RG_OK;
    s->wide_weight.packed = memory + at[PACKED];
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    rg_status status =
        ex->kernels->matrix.pack(&ex->kernel_ctx, s->wide_weight.data, (int64_t)w->kernel * w->c_in,
                                 w->c_out, packed_type(ex), memory + at[PACKED]);
    rg_arena_restore(ex->scratch, mark);
    return status;
}

rg_status rg_conv_stream_init(rg_exec *ex, const rg_conv_layer *layer, bool transposed,
                              void *memory, rg_conv_stream *out)
{
    size_t at[PARTS + 1];
    lay_out(ex, layer, transposed, at);
    *out = (rg_conv_stream){.layer = *layer, .fan = 1, .kept = (char *)memory + at[KEPT]};
    return transposed ? make_wide(ex, layer, memory, at, out) : RG_OK;
}

void rg_conv_stream_reset(rg_conv_stream *s)
{
    s->n_kept = s->taken = s->steps = 0;
}

/* ---- pieces ---- */

/* What is kept, then x. */
static rg_tensor *window_of(rg_exec *ex, const rg_conv_stream *s, rg_tensor *x)
{
    if (!x || s->n_kept == 0) return x;
    rg_tensor *kept =
        rg_tensor_wrap(ex, x->dtype, RG_SHAPE(1, s->n_kept, x->shape.dim[2]), s->kept);
    return rg_concat(ex, (rg_tensor *[]){kept, x}, 2, 1);
}

/* Keeps the window's last `rows` rows. */
static void keep(rg_conv_stream *s, const rg_tensor *window, int64_t rows)
{
    const size_t row = (size_t)window->shape.dim[2] * rg_dtype_size(window->dtype);
    assert(rows <= room_of(&s->layer.spec));
    if (rows > 0)
        memcpy(s->kept, (const char *)window->data + (size_t)(window->shape.dim[1] - rows) * row,
               (size_t)rows * row);
    s->n_kept = rows;
}

/* The window without its first `rows` rows. */
static rg_tensor *behind(rg_exec *ex, rg_tensor *window, int64_t rows)
{
    const int64_t n = window->shape.dim[1] - rows, c = window->shape.dim[2];
    const size_t skip = (size_t)(rows * c) * rg_dtype_size(window->dtype);
    if (rows == 0) return window;
    return rg_tensor_wrap(ex, window->dtype, RG_SHAPE(1, n, c), (char *)window->data + skip);
}

/* The first row that step `step` reads and a signal has. */
static int64_t first_row(const rg_conv_spec *s, int64_t step)
{
    return larger(0, step * s->stride - pads_of(s).left);
}

/* Steps [from, to) of a window that begins with what step `from` reads; behind its end is padding.
 */
static rg_tensor *convolve(rg_exec *ex, const rg_conv_stream *s, rg_tensor *window, int64_t from,
                           int64_t to)
{
    const rg_conv_spec *spec = &s->layer.spec;
    const rg_conv_pads pads = pads_of(spec);
    if (to <= from) return rg_tensor_new(ex, window->dtype, RG_SHAPE(1, 0, spec->c_out));
    rg_conv1d_attr attr = {.stride = spec->stride,
                           .dilation = spec->dilation,
                           .pad_left = larger(0, pads.left - from * spec->stride),
                           .pad_right = larger(0, to * spec->stride + pads.right - s->taken),
                           .pad_mode = spec->pad_mode,
                           .act_in = spec->act_in};
    return rg_conv1d(ex, window, s->layer.weight, s->layer.bias, &attr);
}

/* The steps that the rows so far allow; they read no padding behind the last. */
static rg_tensor *run_known(rg_exec *ex, rg_conv_stream *s, rg_tensor *window)
{
    const rg_conv_spec *spec = &s->layer.spec;
    const int64_t from = s->steps, known = s->taken - pads_of(spec).right;
    if (s->taken > held_of(spec) && known > 0) s->steps = known / spec->stride;
    const int64_t kept_for = from - again_of(spec);
    rg_tensor *rest = behind(ex, window, first_row(spec, from) - first_row(spec, kept_for));
    rg_tensor *y = rest ? convolve(ex, s, rest, from, s->steps) : NULL;
    keep(s, window, s->taken - first_row(spec, s->steps - again_of(spec)));
    return y;
}

/* The remaining steps, `more` of them behind the last row. */
static rg_tensor *run_rest(rg_exec *ex, rg_conv_stream *s, rg_tensor *window, int64_t more)
{
    const rg_conv_spec *spec = &s->layer.spec;
    const int64_t from = s->steps, again = smaller(from, again_of(spec));
    s->steps = div_up(s->taken, spec->stride) + more;
    rg_tensor *y = convolve(ex, s, window, from - again, s->steps);
    return again ? rg_slice(ex, y, 1, again, s->steps - from) : y;
}

/* y (1,m,fan*C) as rows of C, less those at the start that are trimmed. */
static rg_tensor *unfold(rg_exec *ex, const rg_conv_stream *s, rg_tensor *y, bool last)
{
    if (!y || s->fan == 1) return y;
    const int64_t steps = y->shape.dim[1], begin = (s->steps - steps) * s->fan;
    const int64_t end = last ? s->taken * s->fan + s->trim : s->steps * s->fan;
    y = rg_tensor_wrap(ex, y->dtype, RG_SHAPE(1, steps * s->fan, y->shape.dim[2] / s->fan),
                       y->data);
    if (s->trim == 0) return y;
    const int64_t from = smaller(larger(begin, s->trim), end);
    return rg_slice(ex, y, 1, from - begin, end - from);
}

rg_tensor *rg_conv_stream_run(rg_exec *ex, rg_conv_stream *s, rg_tensor *x, bool last,
                              rg_tensor **inputs)
{
    rg_tensor *window = window_of(ex, s, x);
    if (!window) return NULL;
    const int64_t before = s->steps, first = s->taken - s->n_kept;
    s->taken += x->shape.dim[1];
    const int64_t more = s->taken ? div_up(s->trim, s->fan) : 0;
    rg_tensor *y = last ? run_rest(ex, s, window, more) : run_known(ex, s, window);
    if (inputs) *inputs = rg_slice(ex, window, 1, before - first, s->steps - before);
    return unfold(ex, s, y, last && s->taken);
}
