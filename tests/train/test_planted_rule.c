/*
 * Context awareness, measured: a synthetic world of four tracks with known rules and entropies.
 *
 *   drums    d(t): uniform over 4, each frame anew
 *   bass     two codebooks, permutations of d(t): the same frame of another track (same time)
 *   harmony  silent but for one key token, uniform over 8, at frame 2
 *   melody   first half: a pattern chosen by tempo and genre (conditions); second half: the pattern
 *            of the key token given 30 or more frames before in another track (global)
 *
 * Every token of bass and melody is replaced by a uniform one with probability NOISE, so its
 * conditional entropy is a number; a model can neither beat it nor hide that it does not listen.
 * One idea: information that is taken away costs at least its entropy, whoever the model is.
 */
#include "base/rng.h"
#include "base/threads.h"
#include "engine/optimizer.h"
#include "models/track_transformer.h"
#include "test.h"

enum { DRUMS, BASS, HARMONY, MELODY, ROLES };
enum { FRAMES = 64, HALF = 32, ITEMS = 16, DIM = 8, KEY_FRAME = 2, KEYS = 8, STYLES = 3 };
static const double NOISE = 0.1;
static const int32_t bass_of[2][4] = {{2, 0, 3, 1}, {1, 3, 0, 2}};
/* pattern of (tempo, genre) by frame mod 4 */
static const int32_t pattern_of[STYLES * STYLES][4] = {{0, 3, 5, 1}, {4, 4, 0, 6}, {7, 1, 2, 2},
                                                       {1, 6, 3, 0}, {5, 0, 7, 4}, {2, 5, 1, 7},
                                                       {6, 2, 4, 3}, {3, 7, 6, 5}, {0, 5, 2, 6}};

typedef struct world {
    rg_track_config config;
    rg_pool *pool;
    rg_exec *ex;
    rg_params *params;
    rg_tracks *tracks;
    rg_track_batch *batch;
    float latent[ROLES][16][DIM]; /* vectors of codes; the bass's second codebook from 4 on */
    int32_t rule[16 * 64];        /* (ITEMS,FRAMES): the melody without noise */
} world;

static int32_t melody_of(int32_t style, int32_t key, int32_t t)
{
    return t < HALF ? pattern_of[style][t % 4] : (key + 3 * (t % 4)) % KEYS;
}

/* Bits of a token where the rule says `want`; their mean is the conditional entropy. */
static double noisy_bits(int32_t want, int32_t token, int32_t entries)
{
    return -log2(NOISE / entries + (token == want ? 1 - NOISE : 0));
}

static int32_t noisy(rg_rng *rng, int32_t token, int32_t entries)
{
    return rg_rng_uniform(rng) < NOISE ? (int32_t)rg_rng_below(rng, (uint64_t)entries) : token;
}

static void set_role(rg_track_config *c, int32_t r, const char *name, int32_t books, int32_t n)
{
    snprintf(c->roles[r].name, RG_TRACK_NAME, "%s", name);
    c->roles[r].books = books;
    c->roles[r].entries = n;
    c->roles[r].dim = DIM;
}

static void set_config(rg_track_config *c)
{
    rg_track_config_init(c);
    c->width = 64;
    c->heads = 4;
    c->encoder_layers = 1;
    c->decoder_layers = 2;
    c->frames = FRAMES;
    c->n_roles = ROLES;
    set_role(c, DRUMS, "drums", 1, 4);
    set_role(c, BASS, "bass", 2, 4);
    set_role(c, HARMONY, "harmony", 1, KEYS + 1);
    set_role(c, MELODY, "melody", 1, KEYS);
    c->n_fields = 2;
    for (int32_t f = 0; f < 2; f++) {
        snprintf(c->fields[f].name, RG_TRACK_NAME, f ? "genre" : "tempo");
        c->fields[f].n_words = STYLES;
        for (int32_t i = 0; i < STYLES; i++)
            snprintf(c->fields[f].words[i], RG_TRACK_NAME, "%d", 90 + 30 * i);
    }
}

/* One window of the world; everything UNKNOWN. */
static void draw_window(world *w, int32_t item, rg_rng *rng)
{
    rg_track_batch *b = w->batch;
    int32_t tempo = (int32_t)rg_rng_below(rng, STYLES), genre = (int32_t)rg_rng_below(rng, STYLES);
    int32_t key = (int32_t)rg_rng_below(rng, KEYS);
    b->conditions[item * 2] = tempo;
    b->conditions[item * 2 + 1] = genre;
    for (int32_t t = 0; t < FRAMES; t++) {
        int32_t at = item * FRAMES + t, d = (int32_t)rg_rng_below(rng, 4);
        b->codes[DRUMS][at] = d;
        for (int32_t q = 0; q < 2; q++) b->codes[BASS][at * 2 + q] = noisy(rng, bass_of[q][d], 4);
        b->codes[HARMONY][at] = t == KEY_FRAME ? key + 1 : 0;
        w->rule[at] = melody_of(tempo * STYLES + genre, key, t);
        b->codes[MELODY][at] = noisy(rng, w->rule[at], KEYS);
    }
}

/* Stands in for the codec: every code has its vector, codebooks add up. */
static void set_latents(world *w)
{
    rg_track_batch *b = w->batch;
    for (int32_t r = 0; r < ROLES; r++)
        for (int32_t i = 0; i < b->items * FRAMES; i++)
            for (int32_t j = 0; j < DIM; j++) {
                const int32_t *code = b->codes[r] + i * w->config.roles[r].books;
                b->latents[r][i * DIM + j] =
                    w->latent[r][code[0]][j] + (r == BASS ? w->latent[r][4 + code[1]][j] : 0);
            }
}

/* The target unknown, all others known: bass made to drums, melody made to harmony. */
static void ask(world *w, int32_t target)
{
    rg_track_batch *b = w->batch;
    size_t cells = (size_t)b->items * FRAMES;
    b->target = target;
    b->cut = 0;
    for (int32_t r = 0; r < ROLES; r++)
        memset(b->state[r], r == target ? RG_CELL_UNKNOWN : RG_CELL_KNOWN, cells);
    memset(b->cells, 1, cells);
}

static void draw_batch(world *w, int32_t target, uint64_t stream)
{
    rg_rng rng = rg_rng_make(11, stream);
    rg_track_batch_clear(&w->config, w->batch);
    for (int32_t i = 0; i < ITEMS; i++) draw_window(w, i, &rng);
    set_latents(w);
    ask(w, target);
}

/* What training forgets: conditions, context, or both, some of the time. */
static void forget(world *w, uint64_t stream)
{
    rg_rng rng = rg_rng_make(12, stream);
    for (int32_t i = 0; i < ITEMS; i++) {
        double u = rg_rng_uniform(&rng);
        if (u < 0.2) rg_track_drop_context(&w->config, w->batch, i);
        if (u > 0.15 && u < 0.35) rg_track_drop_conditions(&w->config, w->batch, i);
    }
}

static void open_world(world *w)
{
    rg_error err = {0};
    memset(w, 0, sizeof *w);
    set_config(&w->config);
    w->pool = rg_pool_create(0, 0, false, &err);
    rg_exec_options options = {.kernels = rg_kernels_cpu(&err), .pool = w->pool, .seed = 1};
    ck_assert_msg(options.kernels != NULL, "%s", err.text);
    w->ex = rg_exec_create(&options, &err);
    w->params = rg_params_create(&err);
    w->tracks = rg_tracks_create(w->params, &w->config, &err);
    ck_assert_msg(w->tracks != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(w->params, w->ex, 5, true, &err), &err);
    w->batch = rg_track_batch_create(&w->config, ITEMS, FRAMES, &err);
    rg_rng rng = rg_rng_make(3, 3);
    rg_rng_fill_normal(&rng, &w->latent[0][0][0], ROLES * 16 * DIM, 0, 1);
}

static void close_world(world *w)
{
    rg_track_batch_free(w->batch);
    rg_tracks_destroy(w->tracks);
    rg_params_destroy(w->params);
    rg_exec_destroy(w->ex);
    rg_pool_destroy(w->pool);
}

static void train(world *w, int32_t target, int32_t steps)
{
    rg_adamw adam = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .clip_norm = 1};
    rg_scaler scaler = rg_scaler_make(false);
    rg_schedule schedule = {RG_SCHEDULE_COSINE, 4e-3, 1e-4, 30, steps};
    int32_t n;
    rg_tensor *const *wrt = rg_params_trainable(w->params, &n);
    for (int32_t s = 0; s < steps; s++) {
        uint64_t stream = rg_rng_stream((uint64_t)s, (uint64_t)target, 1);
        rg_track_out out;
        rg_update update;
        draw_batch(w, target, stream);
        forget(w, stream);
        rg_step_begin(w->ex, (uint64_t)s);
        rg_set_recording(w->ex, true);
        rg_params_zero_gradients(w->params);
        ck_assert_msg(rg_track_loss(w->ex, w->tracks, w->batch, &out) == RG_OK, "%s",
                      w->ex->error.text);
        ck_assert_int_eq(rg_backward(w->ex, &out.loss, NULL, 1, wrt, n, NULL), RG_OK);
        ck_assert_int_eq(rg_adamw_step(&adam, &scaler, w->params, w->ex,
                                       rg_schedule_at(&schedule, s), 1, &update),
                         RG_OK);
        if (getenv("RG_TEST_VERBOSE") && s % 50 == 0)
            fprintf(stderr, "%s %d: %.3f\n", w->config.roles[target].name, s,
                    rg_tensor_get(out.loss, 0) / log(2));
    }
}

/* Bits per token of frames [a,b) of the batch under the rules that made it. */
static double truth(const world *w, int32_t a, int32_t b)
{
    const rg_track_batch *batch = w->batch;
    double sum = 0;
    int64_t n = 0;
    for (int32_t i = 0; i < ITEMS; i++)
        for (int32_t t = a; t < b; t++) {
            int32_t at = i * FRAMES + t, d = batch->codes[DRUMS][at];
            if (batch->target == BASS) {
                for (int32_t q = 0; q < 2; q++, n++)
                    sum += noisy_bits(bass_of[q][d], batch->codes[BASS][at * 2 + q], 4);
                continue;
            }
            sum += noisy_bits(w->rule[at], batch->codes[MELODY][at], KEYS);
            n++;
        }
    return sum / (double)n;
}

typedef struct measured {
    double bits, known; /* per token: the model's, and what the rules allow on the same tokens */
} measured;

/* Bits per token of frames [a,b) on held-out windows; `change` takes something away. */
static measured measure(world *w, int32_t a, int32_t b, int32_t target, void (*change)(world *w))
{
    measured m = {0};
    enum { BATCHES = 8 };
    for (int32_t i = 0; i < BATCHES; i++) {
        double nats[ITEMS * 2];
        int64_t frames[ITEMS];
        draw_batch(w, target, rg_rng_stream(7, (uint64_t)i, 99));
        m.known += truth(w, a, b) / BATCHES;
        if (change) change(w);
        for (int32_t j = 0; j < ITEMS; j++)
            for (int32_t t = 0; t < FRAMES; t++)
                if (t < a || t >= b) {
                    w->batch->cells[j * FRAMES + t] = 0;
                    w->batch->state[target][j * FRAMES + t] = t < a ? RG_CELL_KNOWN : 0;
                }
        rg_step_begin(w->ex, 0);
        ck_assert_msg(rg_track_measure(w->ex, w->tracks, w->batch, nats, frames) == RG_OK, "%s",
                      w->ex->error.text);
        int32_t books = w->config.roles[target].books;
        for (int32_t j = 0; j < ITEMS * books; j++)
            m.bits += nats[j] / log(2) / (double)(BATCHES * ITEMS * (b - a) * books);
    }
    return m;
}

static void no_context(world *w)
{
    for (int32_t i = 0; i < ITEMS; i++) rg_track_drop_context(&w->config, w->batch, i);
}

static void no_conditions(world *w)
{
    for (int32_t i = 0; i < ITEMS; i++) rg_track_drop_conditions(&w->config, w->batch, i);
}

static void cut_global(world *w)
{
    w->batch->cut = RG_PATH_GLOBAL;
}
static void cut_same_time(world *w)
{
    w->batch->cut = RG_PATH_SAME | RG_PATH_NEAR;
}
static void cut_everything(world *w)
{
    w->batch->cut = RG_PATH_GLOBAL | RG_PATH_SAME | RG_PATH_NEAR;
}

/* Other drums than the bass was made to. */
static void other_drums(world *w)
{
    rg_rng rng = rg_rng_make(77, 1);
    for (int32_t i = 0; i < ITEMS * FRAMES; i++)
        w->batch->codes[DRUMS][i] = (int32_t)rg_rng_below(&rng, 4);
    set_latents(w);
}

/* The model's bits lie between known + low and known * high + more. */
static void check(world *w, int32_t target, int32_t a, int32_t b, void (*change)(world *w),
                  double low, double high, const char *what)
{
    measured m = measure(w, a, b, target, change);
    if (getenv("RG_TEST_VERBOSE"))
        fprintf(stderr, "%-44s known %.3f  model %.3f  wanted %.3f .. %.3f\n", what, m.known,
                m.bits, m.known + low, m.known + high);
    ck_assert_msg(m.bits >= m.known + low && m.bits <= m.known + high,
                  "%s: %.4f bits, expected %.4f .. %.4f (the rules allow %.4f)", what, m.bits,
                  m.known + low, m.known + high, m.known);
}

/*
 * Bits that the drums save per bass token: alone, the first codebook is uniform (2 bits) and the
 * second is known from the first through two noisy channels.
 */
static double worth_of_drums(double known)
{
    double p = 1 - NOISE + NOISE / 4, o = NOISE / 4, both = p * p + 3 * o * o,
           rest = (1 - both) / 3;
    double second = -both * log2(both) - 3 * rest * log2(rest);
    return (2 + second) / 2 - known;
}

static const double NEVER = 99;

static void check_bass(world *w)
{
    double p = 1 - NOISE + NOISE / 4, known = -p * log2(p) - 3 * (NOISE / 4) * log2(NOISE / 4);
    double near = 0.1 * known, worth = worth_of_drums(known);
    check(w, BASS, 0, FRAMES, NULL, -near, near, "bass to drums");
    check(w, BASS, 0, FRAMES, no_conditions, -near, near, "bass without conditions");
    check(w, BASS, 0, FRAMES, cut_global, -near, near, "bass, global path cut");
    check(w, BASS, 0, FRAMES, no_context, 0.9 * worth, 1.1 * worth, "bass alone");
    check(w, BASS, 0, FRAMES, cut_everything, 0.9 * worth, NEVER, "bass, all paths cut");
    check(w, BASS, 0, FRAMES, cut_same_time, 0.9 * worth, NEVER, "bass, same-time paths cut");
    check(w, BASS, 0, FRAMES, other_drums, 0.9 * worth, NEVER, "bass to other drums");
}

/*
 * What is taken away costs its entropy once per window, since later tokens can be told from earlier
 * ones: log2 9 bits for the style, log2 8 for the key. A little less, as noise hides some of it.
 */
static void check_melody(world *w)
{
    double p = 1 - NOISE + NOISE / KEYS, o = NOISE / KEYS;
    double near = 0.1 * (-p * log2(p) - (KEYS - 1) * o * log2(o));
    double style = log2(STYLES * STYLES) / HALF, key = log2(KEYS) / HALF;
    check(w, MELODY, 0, HALF, NULL, -near, near, "melody to its style");
    check(w, MELODY, HALF, FRAMES, NULL, -near, near, "melody to the far key");
    check(w, MELODY, 0, HALF, no_context, -near, near + 0.1, "melody's style, no context");
    check(w, MELODY, HALF, FRAMES, cut_same_time, -near, near + 0.1, "far key, same time cut");
    check(w, MELODY, 0, HALF, no_conditions, 0.85 * style, NEVER, "melody without its style");
    check(w, MELODY, HALF, FRAMES, no_context, 0.85 * key, NEVER, "melody without the key");
    check(w, MELODY, HALF, FRAMES, cut_global, 0.85 * key, NEVER, "far key, global path cut");
}

/* Greedy generation of the bass to locked drums: share of frames that obey f in both codebooks. */
static double obedience(world *w, uint64_t stream)
{
    rg_error err = {0};
    int32_t frame[RG_TRACK_BOOKS], good = 0;
    float logits[ITEMS * 2 * 4];
    draw_batch(w, BASS, stream);
    rg_track_fill *fill = rg_track_fill_create(w->ex, w->tracks, BASS, ITEMS, FRAMES, &err);
    ck_assert_msg(fill != NULL, "%s", err.text);
    rg_step_begin(w->ex, 0);
    ck_assert_int_eq(rg_track_fill_begin(fill, w->batch, 0, FRAMES), RG_OK);
    while (rg_track_fill_next(fill, logits, frame)) {
        int32_t codes[ITEMS * 2];
        for (int32_t i = 0; i < ITEMS * 2; i++) {
            codes[i] = 0;
            for (int32_t v = 1; v < 4; v++)
                if (logits[i * 4 + v] > logits[i * 4 + codes[i]]) codes[i] = v;
        }
        rg_track_fill_put(fill, codes);
    }
    const int32_t *made = rg_track_fill_codes(fill);
    for (int32_t i = 0; i < ITEMS * FRAMES; i++) {
        int32_t d = w->batch->codes[DRUMS][i];
        good += made[2 * i] == bass_of[0][d] && made[2 * i + 1] == bass_of[1][d];
    }
    rg_track_fill_destroy(fill);
    return good / (double)(ITEMS * FRAMES);
}

START_TEST(bass_follows_drums)
{
    world w;
    open_world(&w);
    train(&w, BASS, 220);
    check_bass(&w);
    for (uint64_t drums = 500; drums < 502; drums++) { /* two sets of locked drums */
        double share = obedience(&w, drums);
        ck_assert_msg(share >= 0.98, "%.3f of the bass obeys the locked drums", share);
    }
    close_world(&w);
}
END_TEST

START_TEST(melody_follows_conditions_and_a_far_key)
{
    world w;
    open_world(&w);
    train(&w, MELODY, 900);
    check_melody(&w);
    close_world(&w);
}
END_TEST

RG_TEST_MAIN("planted_rule", 600, bass_follows_drums, melody_follows_conditions_and_a_far_key)
