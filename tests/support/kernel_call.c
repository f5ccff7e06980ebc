/*
 * Buffers, variants and comparisons of kernel calls (kernel_call.h).
 *
 * One idea: every buffer is its own mapping that ends at an unmapped page, filled with a canary
 * byte outside the data.
 */
#include "kernel_call.h"

#include <math.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "test.h"

/* Check writes a record for every assertion met; in loops over elements only failures may. */
#define REQUIRE(cond, ...)                      \
    do {                                        \
        if (!(cond)) ck_abort_msg(__VA_ARGS__); \
    } while (0)

enum { CANARY = 0xA5, PAGE = 4096, MARGIN = 128 };
static const size_t scratch_bytes = (size_t)1 << 30;

static rg_call_field *add_field(rg_call *c, const char *name, size_t offset, int64_t n)
{
    REQUIRE(c->n_fields < RG_CALL_FIELDS, "%s: too many fields", c->name);
    rg_call_field *f = &c->fields[c->n_fields++];
    *f = (rg_call_field){.name = name, .offset = offset, .type = RG_DTYPE_COUNT, .add = -1, .n = n};
    f->length = 1;
    f->values = rg_arena_zalloc(c->memory, (size_t)n * sizeof *f->values);
    REQUIRE(f->values, "%s: no room for %s", c->name, name);
    return f;
}

static rg_rng field_rng(const rg_call *c, const char *name)
{
    uint64_t stream = 0;
    for (const char *p = name; *p; p++) stream = stream * 31 + (uint64_t)*p;
    return rg_rng_make(c->seed, stream);
}

rg_call_field *rg_call_in(rg_call *c, const char *name, size_t offset, int64_t n, double scale)
{
    rg_call_field *f = add_field(c, name, offset, n);
    rg_rng rng = field_rng(c, name);
    for (int64_t i = 0; i < n; i++) f->values[i] = (float)(rg_rng_normal(&rng) * scale);
    return f;
}

rg_call_field *rg_call_ints(rg_call *c, const char *name, size_t offset, int64_t n, int64_t low,
                            int64_t high)
{
    rg_call_field *f = add_field(c, name, offset, n);
    rg_rng rng = field_rng(c, name);
    f->type = RG_I32;
    for (int64_t i = 0; i < n; i++)
        f->values[i] = (double)(low + (int64_t)rg_rng_below(&rng, (uint64_t)(high - low + 1)));
    return f;
}

rg_call_field *rg_call_out(rg_call *c, const char *name, size_t offset, int64_t n, double length)
{
    rg_call_field *f = rg_call_in(c, name, offset, n, 1);
    f->out = true;
    f->length = length > 1 ? length : 1;
    return f;
}

rg_call_field *rg_call_find(rg_call *c, const char *name)
{
    for (int32_t i = 0; i < c->n_fields; i++)
        if (!strcmp(c->fields[i].name, name)) return &c->fields[i];
    return NULL;
}

void rg_call_take(rg_call *c, const rg_call *source, const char *name)
{
    const rg_variant plain = {.packed = RG_DTYPE_COUNT};
    rg_outcome outcome;
    rg_call_run(source, rg_kernels_reference64(), &plain, &outcome);
    RG_ASSERT_OK(outcome.status, &outcome.error);
    for (int32_t i = 0; i < source->n_fields; i++) {
        if (strcmp(source->fields[i].name, name)) continue;
        rg_call_field *f = add_field(c, name, source->fields[i].offset, source->fields[i].n);
        for (int64_t j = 0; j < f->n; j++) f->values[j] = (float)outcome.values[i][j];
        return;
    }
    ck_abort_msg("%s has no output %s", source->name, name);
}

/* ---- buffers ---- */

typedef struct buffer {
    unsigned char *map, *data;
    unsigned char *device; /* what stands for `map` on the GPU, or NULL */
    size_t size, bytes;    /* of the mapping without its last page; of the data */
    rg_dtype type;
} buffer;

static size_t type_size(rg_dtype type)
{
    static const size_t sizes[] = {
#define X(name, bytes, text) bytes,
        RG_DTYPES(X)
#undef X
    };
    return sizes[type];
}

/* Mappings are kept for the next buffer of the same size: system calls cost more than kernels. */
enum { SPARE = 64 };
static struct {
    unsigned char *map;
    size_t size;
} spare[SPARE];

static unsigned char *map_pages(size_t size)
{
    for (int i = 0; i < SPARE; i++)
        if (spare[i].map && spare[i].size == size) {
            unsigned char *map = spare[i].map;
            spare[i].map = NULL;
            return map;
        }
    unsigned char *map =
        mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(map != MAP_FAILED, "no room for a buffer of %zu bytes", size);
    REQUIRE(mprotect(map + size, PAGE, PROT_NONE) == 0, "mprotect of a guard page failed");
    return map;
}

static buffer buffer_make(int64_t n, rg_dtype type, rg_placement placement)
{
    buffer b = {.type = type, .bytes = (size_t)n * type_size(type)};
    b.size = (b.bytes + 2 * MARGIN + PAGE - 1) / PAGE * PAGE;
    b.map = map_pages(b.size);
    memset(b.map, CANARY, b.size);
    b.data = b.map + MARGIN + (placement == RG_PLACE_SHIFTED ? type_size(type) : 0);
    if (placement == RG_PLACE_FLUSH) b.data = b.map + b.size - b.bytes;
    return b;
}

/* ---- the GPU's side of a buffer: a copy of all of it, canaries too ---- */

static void buffer_enter(buffer *b, rg_gpu *gpu)
{
    rg_error err = {0};
    if (!gpu) return;
    b->device = rg_gpu_alloc(gpu, b->size, &err);
    REQUIRE(b->device, "%s", err.text);
    RG_ASSERT_OK(rg_gpu_put(gpu, b->device, b->map, b->size, &err), &err);
}

static rg_status buffer_leave(buffer *b, rg_gpu *gpu, rg_error *err)
{
    if (!b->device) return RG_OK;
    const rg_status status = rg_gpu_get(gpu, b->map, b->device, b->size, err);
    rg_gpu_free(gpu, b->device);
    b->device = NULL;
    return status;
}

/* Where kernels find the data. */
static void *buffer_address(const buffer *b)
{
    return b->device ? b->device + (b->data - b->map) : b->data;
}

static void buffer_free(buffer *b)
{
    for (int i = 0; i < SPARE && b->map; i++)
        if (!spare[i].map) {
            spare[i].map = b->map, spare[i].size = b->size;
            b->map = NULL;
        }
    if (b->map) munmap(b->map, b->size + PAGE);
    b->map = NULL;
}

/* Numbers of 16 bits, apart from the code under test: digits with the leading one, and the least
 * normal number is 2^(least - 1), as frexp counts. */
typedef struct half_format {
    int digits, least;
} half_format;

static const half_format halves[RG_DTYPE_COUNT] = {[RG_F16] = {11, -13}, [RG_BF16] = {8, -125}};

/* The nearest, ties to even; from halfway beyond the largest number on infinity. */
static uint16_t half_bits(rg_dtype type, double value)
{
    const half_format h = halves[type];
    const double infinity = ldexp(1, 3 - h.least); /* the number whose bits infinity has */
    const int sign = signbit(value) ? 0x8000 : 0;
    int exponent;
    if (isnan(value)) return 0x7fff;
    const double size = fmin(fabs(value), infinity);
    frexp(size, &exponent);
    if (exponent < h.least) exponent = h.least;
    const int steps = (int)nearbyint(ldexp(size, h.digits - exponent));
    const int bits = ((exponent - h.least) << (h.digits - 1)) + steps;
    const int most = (5 - 2 * h.least) << (h.digits - 1);
    return (uint16_t)(sign | (bits < most ? bits : most));
}

static double half_value(rg_dtype type, uint16_t bits)
{
    const half_format h = halves[type];
    const int one = 1 << (h.digits - 1), field = (bits & 0x7fff) / one, rest = bits % one;
    const double sign = bits & 0x8000 ? -1 : 1;
    if (field == 5 - 2 * h.least) return rest ? NAN : sign * INFINITY;
    return sign * (field ? ldexp(rest + one, field - 1 + h.least - h.digits)
                         : ldexp(rest, h.least - h.digits));
}

static void buffer_put(buffer *b, int64_t i, double value)
{
    switch (b->type) {
    case RG_F32:
        ((float *)(void *)b->data)[i] = (float)value;
        break;
    case RG_F64:
        ((double *)(void *)b->data)[i] = value;
        break;
    case RG_I32:
        ((int32_t *)(void *)b->data)[i] = (int32_t)value;
        break;
    case RG_F16:
    case RG_BF16:
        ((uint16_t *)(void *)b->data)[i] = half_bits(b->type, value);
        break;
    default:
        b->data[i] = (unsigned char)value;
    }
}

static double buffer_get(const buffer *b, int64_t i)
{
    switch (b->type) {
    case RG_F32:
        return ((const float *)(const void *)b->data)[i];
    case RG_F64:
        return ((const double *)(const void *)b->data)[i];
    case RG_I32:
        return ((const int32_t *)(const void *)b->data)[i];
    case RG_F16:
    case RG_BF16:
        return half_value(b->type, ((const uint16_t *)(const void *)b->data)[i]);
    default:
        return b->data[i];
    }
}

static bool buffer_frame_intact(const buffer *b)
{
    for (const unsigned char *p = b->map; p < b->map + b->size; p++)
        if ((p < b->data || p >= b->data + b->bytes) && *p != CANARY) return false;
    return true;
}

/* ---- one run ---- */

typedef struct run {
    const rg_call *call;
    _Alignas(16) unsigned char args[RG_CALL_ARGS];
    buffer buffers[RG_CALL_FIELDS];
    unsigned char *before[RG_CALL_FIELDS]; /* copies of the inputs */
    buffer packed[RG_CALL_PACKS];
} run;

static void set_pointer(run *r, size_t offset, const void *p)
{
    memcpy(r->args + offset, &p, sizeof p);
}

static bool is_half(rg_dtype type)
{
    return halves[type].digits > 0;
}

static rg_dtype field_type(const rg_call_field *f, rg_dtype real)
{
    if (f->type != RG_DTYPE_COUNT) return f->type;
    return is_half(real) && !f->stored ? RG_F32 : real;
}

/* Weights are operands of products: rounded beforehand, a product rounds nothing. */
static bool is_weight(const rg_call *c, int32_t i)
{
    for (int32_t p = 0; p < c->n_packs; p++)
        if (c->packs[p].field == i) return true;
    return false;
}

static void bind_field(run *r, int32_t i, rg_dtype real, const rg_variant *v)
{
    const rg_call_field *f = &r->call->fields[i];
    if (v->leave && !strcmp(v->leave, f->name)) return;
    buffer *b = &r->buffers[i];
    const bool round = is_half(v->stored) && (f->stored || is_weight(r->call, i));
    *b = buffer_make(f->n, field_type(f, real), v->placement);
    for (int64_t j = 0; j < f->n; j++)
        buffer_put(
            b, j, round ? half_value(v->stored, half_bits(v->stored, f->values[j])) : f->values[j]);
    if (v->nan && !strcmp(v->nan, f->name)) buffer_put(b, f->n / 2, NAN);
    if (f->add >= 0) memcpy(r->args + f->add, &v->add, sizeof v->add);
    if (!f->out) {
        r->before[i] = rg_arena_alloc(r->call->memory, b->bytes);
        REQUIRE(r->before[i], "%s: no room for %s", r->call->name, f->name);
        memcpy(r->before[i], b->data, b->bytes);
    }
    buffer_enter(b, v->gpu);
    set_pointer(r, f->offset, buffer_address(b));
}

static void bind_pack(run *r, int32_t i, const rg_kernels *k, rg_kernel_ctx *ctx, rg_dtype type)
{
    const rg_call_pack *p = &r->call->packs[i];
    const size_t bytes = k->matrix.packed_size(p->rows, p->cols, type);
    if (bytes == 0) return;
    r->packed[i] = buffer_make((int64_t)bytes, RG_U8, RG_PLACE_ALIGNED);
    buffer_enter(&r->packed[i], ctx->gpu);
    void *packed = buffer_address(&r->packed[i]);
    RG_ASSERT_OK(
        k->matrix.pack(ctx, buffer_address(&r->buffers[p->field]), p->rows, p->cols, type, packed),
        ctx->error);
    set_pointer(r, p->offset, packed);
    memcpy(r->args + p->type_offset, &type, sizeof type);
}

static void check_frame(const run *r, const char *level)
{
    for (int32_t i = 0; i < r->call->n_packs; i++)
        REQUIRE(!r->packed[i].map || buffer_frame_intact(&r->packed[i]),
                "%s, %s: pack wrote beyond packed_size", level, r->call->name);
    for (int32_t i = 0; i < r->call->n_fields; i++) {
        const buffer *b = &r->buffers[i];
        const char *name = r->call->fields[i].name;
        if (!b->map) continue;
        REQUIRE(buffer_frame_intact(b), "%s, %s: wrote outside %s", level, r->call->name, name);
        REQUIRE(!r->before[i] || !memcmp(r->before[i], b->data, b->bytes),
                "%s, %s: changed its input %s", level, r->call->name, name);
    }
}

static void collect(run *r, rg_outcome *out)
{
    for (int32_t i = 0; i < r->call->n_fields; i++) {
        const rg_call_field *f = &r->call->fields[i];
        if (f->out && r->buffers[i].map) {
            out->values[i] = rg_arena_alloc(r->call->memory, (size_t)f->n * sizeof(double));
            REQUIRE(out->values[i], "%s: no room for %s", r->call->name, f->name);
            for (int64_t j = 0; j < f->n; j++) out->values[i][j] = buffer_get(&r->buffers[i], j);
        }
        buffer_free(&r->buffers[i]);
    }
    for (int32_t i = 0; i < r->call->n_packs; i++) buffer_free(&r->packed[i]);
}

/* Scratch of one kind of memory, made at the first need and kept. */
static rg_arena *scratch_of(const rg_variant *v, rg_error *err)
{
    static rg_arena *host, *device;
    if (v->scratch) return v->scratch;
    if (!v->gpu && !host) host = rg_arena_create(scratch_bytes, "test scratch", err);
    if (v->gpu && !device) {
        void *memory = rg_gpu_alloc(v->gpu, scratch_bytes, err);
        if (memory) device = rg_arena_create_over(memory, scratch_bytes, "device scratch", err);
    }
    rg_arena *scratch = v->gpu ? device : host;
    REQUIRE(scratch != NULL, "%s", err->text);
    return scratch;
}

/* All of them come back, whatever the first failure is: a fault of a kernel is told by the copy. */
static rg_status leave_all(run *r, rg_gpu *gpu, rg_error *err)
{
    rg_status first = RG_OK;
    for (int32_t i = 0; i < RG_CALL_FIELDS + RG_CALL_PACKS; i++) {
        buffer *b = i < RG_CALL_FIELDS ? &r->buffers[i] : &r->packed[i - RG_CALL_FIELDS];
        const rg_status status = buffer_leave(b, gpu, err);
        if (first == RG_OK) first = status;
    }
    return first;
}

void rg_call_run(const rg_call *c, const rg_kernels *k, const rg_variant *v, rg_outcome *out)
{
    *out = (rg_outcome){.status = RG_OK};
    rg_kernel_ctx ctx = {.operands = v->operands,
                         .scratch = scratch_of(v, &out->error),
                         .pool = v->pool,
                         .error = &out->error};
    if (v->gpu) rg_gpu_context(v->gpu, &ctx);
    run r = {.call = c};
    memcpy(r.args, c->args, sizeof r.args);
    for (int32_t i = 0; i < c->n_fields; i++) bind_field(&r, i, k->real, v);
    for (int32_t i = 0; v->packed != RG_DTYPE_COUNT && i < c->n_packs; i++)
        bind_pack(&r, i, k, &ctx, v->packed);
    out->status = c->fn(k, &ctx, r.args);
    const rg_status left = leave_all(&r, v->gpu, &out->error);
    if (out->status == RG_OK) out->status = left;
    rg_arena_reset(ctx.scratch);
    check_frame(&r, k->name);
    collect(&r, out);
}

/* ---- comparisons ---- */

static double rms(const double *x, int64_t n)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i])) sum += x[i] * x[i], count++;
    return count ? sqrt(sum / (double)count) : 0;
}

/* One output; `at` is what bounds every element, `own` the element's own share. */
static void compare_field(const rg_call *c, const char *level, const rg_call_field *f,
                          const double *a, const double *b, double at, double own)
{
    for (int64_t i = 0; i < f->n; i++) {
        const double allowed = at + own * fabs(a[i]);
        const bool close = isfinite(a[i]) ? fabs(a[i] - b[i]) <= allowed
                           : isnan(a[i])  ? isnan(b[i])
                                          : a[i] == b[i];
        REQUIRE(close, "%s, %s: %s[%lld] = %.9g, the reference %.9g, allowed %.3g", level, c->name,
                f->name, (long long)i, b[i], a[i], allowed);
    }
}

void rg_call_compare_halves(const rg_call *c, const char *level, const rg_outcome *truth,
                            const rg_outcome *seen, const rg_half_bound *bound)
{
    REQUIRE(truth->status == seen->status, "%s, %s: %s where the reference says %s", level, c->name,
            rg_status_text(seen->status), rg_status_text(truth->status));
    for (int32_t i = 0; i < c->n_fields; i++) {
        const rg_call_field *f = &c->fields[i];
        const double *a = truth->values[i], *b = seen->values[i];
        if (!a || !b) continue;
        const double size = rms(a, f->n);
        const double sums = bound->unit * sqrt(f->length) * (size + 1e-6) + bound->between * size;
        compare_field(c, level, f, a, b, sums + (f->stored ? bound->least : 0),
                      bound->unit + (f->stored ? bound->stored : 0));
    }
}

void rg_call_compare(const rg_call *c, const char *level, const rg_outcome *truth,
                     const rg_outcome *seen, double unit)
{
    rg_call_compare_halves(c, level, truth, seen, &(rg_half_bound){.unit = unit});
}

void rg_call_same_bits(const rg_call *c, const char *what, const rg_outcome *a, const rg_outcome *b)
{
    for (int32_t f = 0; f < c->n_fields; f++) {
        const double *x = a->values[f], *y = b->values[f];
        for (int64_t i = 0; x && y && i < c->fields[f].n; i++)
            REQUIRE(!memcmp(&x[i], &y[i], sizeof *x), "%s, %s: %s[%lld] = %.9g, then %.9g", what,
                    c->name, c->fields[f].name, (long long)i, x[i], y[i]);
    }
}
