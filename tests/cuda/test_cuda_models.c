/*
 * Small models on a device: a codec against a discriminator, track transformers, step-wise
 * decoding. They agree with the CPU, and have the same bits however the stream's work is put off.
 *
 * One idea: the same run, once over device memory and once over the host's; what differs is the
 * order of sums.
 */
#include "codec_loop.h"
#include "cuemu_control.h"
#include "models/track_beat.h"
#include "models/track_transformer.h"

enum { FRAMES = 40, ITEMS = 2, ROLES = 3, UPDATES = 3 };

static void open_gpu(void)
{
    rg_error err = {0};
    gpu = rg_gpu_open(0, &err);
    ck_assert_msg(gpu != NULL, "%s", err.text);
}

static void close_gpu(void)
{
    rg_gpu_close(gpu);
    gpu = NULL;
}

/* Root mean square of the difference over that of a; `what` names it when it is above `tol`. */
static void compare(const char *what, const float *a, const float *b, int64_t n, double tol)
{
    double apart = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        apart += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    double ratio = sqrt(apart / fmax(size, 1e-30));
    ck_assert_msg(ratio <= tol, "%s: %.3g apart, %.3g allowed", what, ratio, tol);
}

static float *copy_of(const float *values, int64_t n)
{
    float *copy = malloc((size_t)(n + 1) * sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, values, (size_t)n * sizeof *copy);
    return copy;
}

/* ---- tracks ---- */

typedef struct world {
    rg_track_config config;
    rg_exec *ex;
    rg_params *params;
    rg_tracks *tracks;
    rg_track_batch *batch;
} world;

static void set_config(rg_track_config *c)
{
    rg_track_config_init(c);
    c->width = 32;
    c->heads = 2;
    c->encoder_layers = 1;
    c->decoder_layers = 3;
    c->frames = FRAMES;
    c->same_reach = 2;
    c->near_reach = 1;
    c->n_roles = ROLES;
    for (int32_t r = 0; r < ROLES; r++) {
        rg_track_role *role = &c->roles[r];
        snprintf(role->name, sizeof role->name, "role%d", r);
        role->books = 1 + (r + 1) % 3;
        role->entries = 6 + r;
        role->dim = 3 + r;
    }
    c->n_fields = 1;
    snprintf(c->fields[0].name, RG_TRACK_NAME, "genre");
    c->fields[0].n_words = 2;
    snprintf(c->fields[0].words[0], RG_TRACK_NAME, "techno");
    snprintf(c->fields[0].words[1], RG_TRACK_NAME, "jazz");
}

/* Random codes, latents and conditions; role r is known but where it is the target. */
static void fill_batch(const world *w, int32_t target)
{
    rg_rng rng = rg_rng_make(5, (uint64_t)target);
    rg_track_batch *b = w->batch;
    rg_track_batch_clear(&w->config, b);
    b->target = target;
    int64_t cells = (int64_t)b->items * b->frames;
    for (int32_t r = 0; r < ROLES; r++) {
        const rg_track_role *role = &w->config.roles[r];
        for (int64_t i = 0; i < cells * role->books; i++)
            b->codes[r][i] = (int32_t)rg_rng_below(&rng, (uint64_t)role->entries);
        rg_rng_fill_normal(&rng, b->latents[r], cells * role->dim, 0, 1);
        memset(b->state[r], r == target ? RG_CELL_UNKNOWN : RG_CELL_KNOWN, (size_t)cells);
    }
    rg_rng_fill_normal(&rng, b->beat, cells * RG_BEAT_FEATURES, 0, 1);
    for (int64_t i = 0; i < cells; i++) b->activity[i] = (int32_t)(i % RG_ACTIVITY_LEVELS);
    for (int32_t i = 0; i < b->items; i++) b->conditions[i] = i % 2;
    for (int32_t i = 0; i < b->items; i++) memset(b->cells + i * FRAMES + 4, 1, FRAMES - 8);
    for (int32_t i = 0; i < b->items; i++) memset(b->state[target] + i * FRAMES, RG_CELL_KNOWN, 4);
}

static world open_world(bool on_gpu)
{
    world w = {0};
    rg_error err = {0};
    rg_exec_options options = {.kernels = rg_kernels_reference(),
                               .seed = 3,
                               .step_bytes = 1 << 28,
                               .scratch_bytes = 1 << 26,
                               .persist_bytes = 1 << 26};
    if (on_gpu) {
        options.gpu = gpu;
        options.kernels = rg_gpu_kernels(gpu, RG_F32, &err);
    }
    set_config(&w.config);
    w.ex = rg_exec_create(&options, &err);
    ck_assert_msg(w.ex != NULL, "%s", err.text);
    w.params = rg_params_create(&err);
    w.tracks = rg_tracks_create(w.params, &w.config, &err);
    ck_assert_msg(w.tracks != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(w.params, w.ex, 7, true, &err), &err);
    rg_rng rng = rg_rng_make(9, 2); /* opens the gates */
    float *values = rg_params_values(w.params);
    for (int64_t i = 0; i < rg_params_elements(w.params); i++)
        values[i] += (float)(0.2 * rg_rng_normal(&rng));
    RG_ASSERT_OK(rg_params_refresh(w.params, w.ex), &err);
    w.batch = rg_track_batch_create(&w.config, ITEMS, FRAMES, &err);
    ck_assert_msg(w.batch != NULL, "%s", err.text);
    return w;
}

static void close_world(world *w)
{
    rg_track_batch_free(w->batch);
    rg_tracks_destroy(w->tracks);
    rg_params_destroy(w->params);
    rg_exec_destroy(w->ex);
}

/* An update from all roles' gradients; their losses. */
static void update(world *w, rg_adamw *adamw, int64_t step, double losses[ROLES])
{
    rg_scaler scaler = rg_scaler_make(false);
    rg_update done;
    int32_t n;
    rg_params_zero_gradients(w->params);
    rg_step_begin(w->ex, (uint64_t)step);
    rg_set_recording(w->ex, true);
    for (int32_t r = 0; r < ROLES; r++) {
        rg_track_out out;
        rg_mark mark = rg_tape_mark(w->ex);
        fill_batch(w, r);
        ck_assert_msg(rg_track_loss(w->ex, w->tracks, w->batch, &out) == RG_OK, "%s",
                      w->ex->error.text);
        losses[r] = rg_tensor_get(out.loss, 0);
        rg_tensor *const *wrt = rg_params_trainable(w->params, &n);
        ck_assert_msg(rg_backward(w->ex, &out.loss, &(rg_tensor *){NULL}, 1, wrt, n, NULL) == RG_OK,
                      "%s", w->ex->error.text);
        rg_tape_rewind(w->ex, mark);
    }
    ck_assert_msg(rg_adamw_step(adamw, &scaler, w->params, w->ex, 1e-2, 1, &done) == RG_OK, "%s",
                  w->ex->error.text);
    ck_assert(!done.skipped && done.grad_norm > 0);
}

/* Some updates; parameters on the heap, losses of the last. */
static float *train_tracks(bool on_gpu, double losses[ROLES], int64_t *n)
{
    rg_error err = {0};
    world w = open_world(on_gpu);
    /* a large eps: the sign of a gradient that is nearly zero would decide a whole step */
    rg_adamw adamw = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.01};
    for (int64_t step = 0; step < UPDATES; step++) update(&w, &adamw, step, losses);
    RG_ASSERT_OK(rg_params_fetch(w.params, &err), &err);
    *n = rg_params_elements(w.params);
    float *values = copy_of(rg_params_values(w.params), *n);
    close_world(&w);
    return values;
}

START_TEST(tracks_learn_as_on_the_cpu)
{
    double here[ROLES], there[ROLES], again[ROLES];
    int64_t n;
    open_gpu();
    float *a = train_tracks(false, here, &n), *b = train_tracks(true, there, &n);
    for (int32_t r = 0; r < ROLES; r++) RG_ASSERT_NEAR(there[r], here[r], 1e-4 * here[r]);
    compare("parameters", a, b, n, 1e-4);
    ck_assert(cuemu_set("streams", "eager"));
    float *c = train_tracks(true, again, &n);
    ck_assert(cuemu_set("streams", "lazy"));
    float *d = train_tracks(true, again, &n);
    ck_assert_msg(!memcmp(b, c, (size_t)n * sizeof *b) && !memcmp(c, d, (size_t)n * sizeof *c),
                  "streams' order changes bits");
    free(a), free(b), free(c), free(d);
    close_gpu();
}
END_TEST

/* The likeliest code at every step; codes (ITEMS,FRAMES,K) on the heap. */
static int32_t *decode(bool on_gpu, int32_t role, size_t *bytes)
{
    rg_error err = {0};
    world w = open_world(on_gpu);
    const rg_track_role *r = &w.config.roles[role];
    rg_track_fill *fill = rg_track_fill_create(w.ex, w.tracks, role, ITEMS, FRAMES, &err);
    ck_assert_msg(fill != NULL, "%s", err.text);
    float *logits = calloc((size_t)(ITEMS * r->books * r->entries), sizeof *logits);
    int32_t frame[RG_TRACK_BOOKS], made = 0;
    rg_step_begin(w.ex, 1);
    fill_batch(&w, role);
    ck_assert_msg(rg_track_fill_begin(fill, w.batch, 4, FRAMES - 4) == RG_OK, "%s",
                  w.ex->error.text);
    for (; rg_track_fill_next(fill, logits, frame); made++) {
        int32_t codes[ITEMS * RG_TRACK_BOOKS] = {0};
        for (int32_t i = 0; i < ITEMS * r->books; i++)
            for (int32_t v = 1; v < r->entries; v++)
                if (logits[i * r->entries + v] > logits[i * r->entries + codes[i]]) codes[i] = v;
        rg_track_fill_put(fill, codes);
    }
    ck_assert_msg(rg_exec_status(w.ex) == RG_OK, "%s", w.ex->error.text);
    ck_assert_int_eq(made, FRAMES - 8 + r->books - 1);
    *bytes = (size_t)(ITEMS * FRAMES * r->books) * sizeof(int32_t);
    int32_t *codes = malloc(*bytes);
    memcpy(codes, rg_track_fill_codes(fill), *bytes);
    rg_track_fill_destroy(fill);
    free(logits);
    close_world(&w);
    return codes;
}

START_TEST(decoding_chooses_as_on_the_cpu)
{
    open_gpu();
    for (int32_t role = 0; role < ROLES; role++) {
        size_t bytes;
        int32_t *here = decode(false, role, &bytes), *there = decode(true, role, &bytes);
        ck_assert_msg(!memcmp(here, there, bytes), "role %d: other codes", role);
        free(here), free(there);
    }
    close_gpu();
}
END_TEST

/* ---- a codec ---- */

static const char *const judged[] = {"discriminator.scales=[256, 64]",
                                     "discriminator.filters=3",
                                     "losses.adv=[1, 1]",
                                     "losses.feat=[1, 2]",
                                     "discriminator.start=0",
                                     "quantizer.start=0",
                                     "quantizer.pool=1",
                                     "batch=2",
                                     NULL};

static float *train_codec(double *loss, int64_t *n)
{
    rg_error err = {0};
    loop *l = open_with(judged, 1);
    l->adam.eps = 1e-3;
    run(l, 0, UPDATES);
    *loss = rg_metrics_get(&l->now, "loss");
    ck_assert(isfinite(*loss) && rg_metrics_get(&l->now, "discriminator/loss") > 0);
    RG_ASSERT_OK(rg_params_fetch(l->params, &err), &err);
    *n = rg_params_elements(l->params);
    float *values = copy_of(rg_params_values(l->params), *n);
    close_loop(l);
    return values;
}

START_TEST(a_codec_learns_as_on_the_cpu)
{
    double here, there, again;
    int64_t n;
    float *a = train_codec(&here, &n);
    open_gpu();
    float *b = train_codec(&there, &n);
    RG_ASSERT_NEAR(there, here, 1e-3 * here);
    compare("parameters", a, b, n, 1e-3);
    ck_assert(cuemu_set("streams", "eager"));
    float *c = train_codec(&again, &n);
    ck_assert_msg(!memcmp(b, c, (size_t)n * sizeof *b), "streams' order changes bits");
    free(a), free(b), free(c);
    close_gpu();
}
END_TEST

RG_TEST_MAIN("cuda models", 300, tracks_learn_as_on_the_cpu, decoding_chooses_as_on_the_cpu,
             a_codec_learns_as_on_the_cpu)
