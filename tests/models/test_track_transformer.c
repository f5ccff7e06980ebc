/*
 * The track transformer: what it may see, what it may not, and that step-wise decoding has the
 * numbers of teacher forcing.
 *
 * One idea: leaks are found by perturbation through the whole model: change one cell, and list the
 * logits that moved. Gates are opened by random weights first, so that every path carries signal.
 */
#include "models/track_transformer.h"

#include "base/rng.h"
#include "models/track_beat.h"
#include "test.h"

typedef struct world {
    rg_track_config config;
    rg_exec *ex;
    rg_params *params;
    rg_tracks *tracks;
    rg_track_batch *batch;
} world;

enum { FRAMES = 24, ITEMS = 2 };

static void set_config(rg_track_config *c, int32_t roles)
{
    rg_track_config_init(c);
    c->width = 32;
    c->heads = 2;
    c->encoder_layers = 1;
    c->decoder_layers = 3;
    c->frames = FRAMES;
    c->same_reach = 2;
    c->near_reach = 1;
    c->n_roles = roles;
    for (int32_t r = 0; r < roles; r++) {
        rg_track_role *role = &c->roles[r];
        snprintf(role->name, sizeof role->name, "role%d", r);
        role->books = 1 + (r + 1) % 3;
        role->entries = 6 + r;
        role->dim = 3 + r;
    }
    c->n_fields = 2;
    snprintf(c->fields[0].name, RG_TRACK_NAME, "genre");
    c->fields[0].n_words = 2;
    snprintf(c->fields[0].words[0], RG_TRACK_NAME, "techno");
    snprintf(c->fields[0].words[1], RG_TRACK_NAME, "jazz");
    snprintf(c->fields[1].name, RG_TRACK_NAME, "tempo");
    c->fields[1].n_words = 3;
    for (int32_t i = 0; i < 3; i++) snprintf(c->fields[1].words[i], RG_TRACK_NAME, "%d", 60 << i);
}

/* Random codes, latents and conditions; everything UNKNOWN and no targets. */
static void fill_random(world *w)
{
    rg_rng rng = rg_rng_make(5, 1);
    rg_track_batch *b = w->batch;
    rg_track_batch_clear(&w->config, b);
    int64_t cells = (int64_t)b->items * b->frames;
    for (int32_t r = 0; r < w->config.n_roles; r++) {
        const rg_track_role *role = &w->config.roles[r];
        for (int64_t i = 0; i < cells * role->books; i++)
            b->codes[r][i] = (int32_t)rg_rng_below(&rng, (uint64_t)role->entries);
        rg_rng_fill_normal(&rng, b->latents[r], cells * role->dim, 0, 1);
    }
    rg_rng_fill_normal(&rng, b->beat, cells * RG_BEAT_FEATURES, 0, 1);
    for (int64_t i = 0; i < cells; i++) b->activity[i] = (int32_t)(i % RG_ACTIVITY_LEVELS);
    for (int32_t i = 0; i < b->items * w->config.n_fields; i++) b->conditions[i] = i % 2;
}

static void open_world(world *w, int32_t roles, bool open_gates)
{
    rg_error err = {0};
    memset(w, 0, sizeof *w);
    set_config(&w->config, roles);
    rg_exec_options options = {.kernels = rg_kernels_reference(),
                               .seed = 3,
                               .step_bytes = 1 << 28,
                               .scratch_bytes = 1 << 26,
                               .persist_bytes = 1 << 26};
    w->ex = rg_exec_create(&options, &err);
    w->params = rg_params_create(&err);
    w->tracks = rg_tracks_create(w->params, &w->config, &err);
    ck_assert_msg(w->tracks != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(w->params, w->ex, 7, true, &err), &err);
    if (open_gates) {
        rg_rng rng = rg_rng_make(9, 2);
        float *values = rg_params_values(w->params);
        for (int64_t i = 0; i < rg_params_elements(w->params); i++)
            values[i] += (float)(0.2 * rg_rng_normal(&rng));
        RG_ASSERT_OK(rg_params_refresh(w->params, w->ex), &err);
    }
    w->batch = rg_track_batch_create(&w->config, ITEMS, FRAMES, &err);
    ck_assert_msg(w->batch != NULL, "%s", err.text);
    fill_random(w);
}

static void close_world(world *w)
{
    rg_track_batch_free(w->batch);
    rg_tracks_destroy(w->tracks);
    rg_params_destroy(w->params);
    rg_exec_destroy(w->ex);
}

static void set_state(world *w, int32_t role, int32_t a, int32_t b, uint8_t state)
{
    for (int32_t i = 0; i < w->batch->items; i++)
        memset(w->batch->state[role] + i * FRAMES + a, state, (size_t)(b - a));
}

static void set_target(world *w, int32_t role, int32_t a, int32_t b)
{
    w->batch->target = role;
    memset(w->batch->cells, 0, (size_t)w->batch->items * FRAMES);
    set_state(w, role, a, b, RG_CELL_UNKNOWN);
    for (int32_t i = 0; i < w->batch->items; i++)
        memset(w->batch->cells + i * FRAMES + a, 1, (size_t)(b - a));
}

/* All logits of item 0, (K,S,V), on the heap. */
static float *logits_of(world *w, int64_t *n)
{
    rg_track_out out;
    rg_step_begin(w->ex, 1);
    ck_assert_msg(rg_track_loss(w->ex, w->tracks, w->batch, &out) == RG_OK, "%s",
                  w->ex->error.text);
    const rg_track_role *role = &w->config.roles[w->batch->target];
    int64_t per = (int64_t)(FRAMES + role->books - 1) * role->entries;
    float *all = malloc((size_t)(per * role->books) * sizeof *all);
    for (int32_t q = 0; q < role->books; q++)
        for (int64_t i = 0; i < per; i++) all[q * per + i] = (float)rg_tensor_get(out.logits[q], i);
    *n = per * role->books;
    return all;
}

/* The first step at which any logit of item 0 differs, or -1. */
static int32_t first_moved(world *w, const float *before)
{
    int64_t n;
    float *after = logits_of(w, &n);
    const rg_track_role *role = &w->config.roles[w->batch->target];
    int32_t steps = FRAMES + role->books - 1, first = -1;
    for (int32_t q = 0; q < role->books; q++)
        for (int32_t s = 0; s < steps; s++)
            for (int32_t v = 0; v < role->entries; v++) {
                int64_t i = ((int64_t)q * steps + s) * role->entries + v;
                if (before[i] != after[i] && (first < 0 || s < first)) first = s;
            }
    free(after);
    return first;
}

START_TEST(loss_is_near_uniform_and_learnable)
{
    for (int32_t roles = 1; roles <= 5; roles += 2) {
        world w;
        open_world(&w, roles, false);
        for (int32_t r = 0; r < roles; r++) {
            set_target(&w, r, 0, FRAMES);
            rg_track_out out;
            rg_step_begin(w.ex, 1);
            rg_set_recording(w.ex, true);
            ck_assert_msg(rg_track_loss(w.ex, w.tracks, w.batch, &out) == RG_OK, "%s",
                          w.ex->error.text);
            RG_ASSERT_NEAR(rg_tensor_get(out.loss, 0), log(w.config.roles[r].entries), 1.2);
            int32_t n;
            rg_tensor *const *wrt = rg_params_trainable(w.params, &n);
            rg_params_zero_gradients(w.params);
            ck_assert_int_eq(rg_backward(w.ex, &out.loss, NULL, 1, wrt, n, NULL), RG_OK);
            double sum = 0;
            for (int64_t i = 0; i < rg_params_elements(w.params); i++)
                sum += fabs(rg_params_gradients(w.params)[i]);
            ck_assert_msg(sum > 0 && isfinite(sum), "gradient sum %g", sum);
        }
        close_world(&w);
    }
}
END_TEST

/* Hidden cells of other roles, by code and latent, and hidden own ones: not one logit moves. */
static void check_no_leak(int32_t roles)
{
    world w;
    open_world(&w, roles, true);
    int32_t target = 1;
    for (int32_t r = 0; r < w.config.n_roles; r++) set_state(&w, r, 0, FRAMES, RG_CELL_KNOWN);
    set_state(&w, 0, 9, 14, RG_CELL_UNKNOWN);
    set_state(&w, target, 16, 20, RG_CELL_UNKNOWN); /* hidden, and not a target */
    set_target(&w, target, 8, 12);
    int64_t n;
    float *before = logits_of(&w, &n);
    for (int32_t t = 9; t < 14; t++) {
        for (int32_t j = 0; j < w.config.roles[0].dim; j++)
            w.batch->latents[0][t * w.config.roles[0].dim + j] += 3;
        for (int32_t q = 0; q < w.config.roles[0].books; q++)
            w.batch->codes[0][t * w.config.roles[0].books + q] ^= 1;
    }
    for (int32_t t = 8; t < 20; t++) {
        if (t >= 12 && t < 16) continue;
        for (int32_t j = 0; j < w.config.roles[target].dim; j++)
            w.batch->latents[target][t * w.config.roles[target].dim + j] += 3;
    }
    for (int32_t t = 16; t < 20; t++)
        for (int32_t q = 0; q < w.config.roles[target].books; q++)
            w.batch->codes[target][t * w.config.roles[target].books + q] ^= 1;
    ck_assert_int_eq(first_moved(&w, before), -1);
    free(before);
    close_world(&w);
}

START_TEST(hidden_cells_do_not_leak)
{
    check_no_leak(2);
    check_no_leak(5);
}
END_TEST

/* A target cell (frame t, codebook q) may be seen from step t + q + 1 on, and is. */
START_TEST(own_cells_are_causal)
{
    world w;
    open_world(&w, 5, true);
    int32_t target = 1, books = w.config.roles[target].books;
    ck_assert_int_eq(books, 3);
    set_target(&w, target, 0, FRAMES);
    int64_t n;
    float *before = logits_of(&w, &n);
    for (int32_t q = 0; q < books; q++)
        for (int32_t t = 0; t < FRAMES - 1; t += 5) {
            int32_t *code = &w.batch->codes[target][t * books + q], was = *code;
            *code = (was + 1) % w.config.roles[target].entries;
            ck_assert_int_eq(first_moved(&w, before), t + q + 1);
            *code = was;
        }
    free(before);
    close_world(&w);
}
END_TEST

/* Every path carries what is known; each can be cut; same-time paths reach only so far. */
START_TEST(known_cells_are_heard)
{
    world w;
    open_world(&w, 2, true);
    set_target(&w, 1, 0, FRAMES);
    set_state(&w, 0, 0, FRAMES, RG_CELL_KNOWN);
    const uint32_t all = RG_PATH_GLOBAL | RG_PATH_SAME | RG_PATH_NEAR;
    const struct {
        uint32_t cut;
        int32_t reach; /* frames; -1: nothing may move */
    } cases[] = {{all, -1},
                 {all & ~(uint32_t)RG_PATH_GLOBAL, 99},
                 {all & ~(uint32_t)RG_PATH_SAME, w.config.same_reach},
                 {all & ~(uint32_t)RG_PATH_NEAR, w.config.near_reach}};
    for (size_t i = 0; i < 4; i++) {
        int64_t n;
        w.batch->cut = cases[i].cut;
        float *before = logits_of(&w, &n);
        w.batch->latents[0][12 * w.config.roles[0].dim] += 2;
        int32_t moved = first_moved(&w, before);
        w.batch->latents[0][12 * w.config.roles[0].dim] -= 2;
        int32_t want = cases[i].reach < 0 ? -1 : cases[i].reach > FRAMES ? 0 : 12 - cases[i].reach;
        ck_assert_int_eq(moved, want);
        free(before);
    }
    close_world(&w);
}
END_TEST

/* Phase 2 begins exactly where phase 1 ended: with closed gates context changes not one bit. */
START_TEST(closed_gates_change_nothing)
{
    world w;
    open_world(&w, 5, false);
    set_target(&w, 2, 0, FRAMES);
    int64_t n;
    float *alone = logits_of(&w, &n);
    for (int32_t r = 0; r < 5; r++)
        if (r != 2) set_state(&w, r, 0, FRAMES, r == 4 ? RG_CELL_ABSENT : RG_CELL_KNOWN);
    ck_assert_int_eq(first_moved(&w, alone), -1);
    free(alone);
    close_world(&w);
}
END_TEST

/* Unknown, absent and known are three different inputs. */
START_TEST(absent_is_not_unknown)
{
    world w;
    open_world(&w, 2, true);
    set_target(&w, 1, 0, FRAMES);
    int64_t n;
    float *unknown = logits_of(&w, &n);
    set_state(&w, 0, 0, FRAMES, RG_CELL_ABSENT);
    ck_assert_int_eq(first_moved(&w, unknown), 0);
    float *absent = logits_of(&w, &n);
    set_state(&w, 0, 0, FRAMES, RG_CELL_KNOWN);
    ck_assert_int_eq(first_moved(&w, absent), 0);
    free(unknown);
    free(absent);
    close_world(&w);
}
END_TEST

START_TEST(conditions_are_heard_and_dropped)
{
    world w;
    open_world(&w, 2, true);
    set_target(&w, 0, 0, FRAMES);
    int64_t n;
    float *before = logits_of(&w, &n);
    w.batch->conditions[0] ^= 1;
    ck_assert_int_eq(first_moved(&w, before), 0);
    w.batch->conditions[0] ^= 1;
    float *beat = &w.batch->beat[7 * RG_BEAT_FEATURES + 2], was = *beat;
    *beat += 1;
    ck_assert_int_eq(first_moved(&w, before), 7);
    *beat = was;
    w.batch->activity[9] = (w.batch->activity[9] + 1) % RG_ACTIVITY_LEVELS;
    ck_assert_int_eq(first_moved(&w, before), 9);
    free(before);
    rg_track_drop_conditions(&w.config, w.batch, 0);
    before = logits_of(&w, &n);
    fill_random(&w);
    set_target(&w, 0, 0, FRAMES);
    w.batch->conditions[0] = 1;
    rg_track_drop_conditions(&w.config, w.batch, 0);
    ck_assert_int_eq(first_moved(&w, before), -1);
    free(before);
    close_world(&w);
}
END_TEST

static int32_t argmax(const float *v, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (v[i] > v[best]) best = i;
    return best;
}

/*
 * Greedy step-wise decoding of [a,b) with known cells on both sides, then teacher forcing on what
 * was chosen: the same logits in every step and row.
 */
static void compare_fill(world *w, int32_t role, int32_t a, int32_t b)
{
    rg_error err = {0};
    const rg_track_role *r = &w->config.roles[role];
    int32_t steps = FRAMES + r->books - 1, made = 0, frame[RG_TRACK_BOOKS];
    rg_track_fill *fill = rg_track_fill_create(w->ex, w->tracks, role, ITEMS + 1, FRAMES, &err);
    ck_assert_msg(fill != NULL, "%s", err.text);
    set_target(w, role, a, b);
    rg_step_begin(w->ex, 1);
    ck_assert_msg(rg_track_fill_begin(fill, w->batch, a, b) == RG_OK, "%s", w->ex->error.text);
    size_t per = (size_t)ITEMS * (size_t)r->books * (size_t)r->entries;
    float *seen = calloc(per * (size_t)steps, sizeof *seen);
    while (rg_track_fill_next(fill, seen + per * (size_t)made, frame)) {
        int32_t codes[ITEMS * RG_TRACK_BOOKS];
        for (int32_t i = 0; i < ITEMS; i++)
            for (int32_t q = 0; q < r->books; q++) {
                int32_t t = a + made - q;
                ck_assert_int_eq(frame[q], t >= a && t < b ? t : -1);
                codes[i * r->books + q] =
                    argmax(seen + per * (size_t)made + (i * r->books + q) * r->entries, r->entries);
            }
        rg_track_fill_put(fill, codes);
        made++;
    }
    ck_assert_int_eq(rg_exec_status(w->ex), RG_OK);
    ck_assert_int_eq(made, rg_track_fill_steps(fill));
    const int32_t *chosen = rg_track_fill_codes(fill);
    for (int32_t i = 0; i < ITEMS * FRAMES * r->books; i++) {
        bool known = w->batch->state[role][i / r->books] == RG_CELL_KNOWN;
        if (known)
            ck_assert_int_eq(chosen[i], w->batch->codes[role][i]);
        else if (w->batch->cells[i / r->books])
            ck_assert_int_ge(chosen[i], 0);
        else
            ck_assert_int_eq(chosen[i], -1);
        if (chosen[i] >= 0) w->batch->codes[role][i] = chosen[i];
    }
    rg_track_out out;
    rg_step_begin(w->ex, 2);
    ck_assert_int_eq(rg_track_loss(w->ex, w->tracks, w->batch, &out), RG_OK);
    for (int32_t s = 0; s < made; s++)
        for (int32_t i = 0; i < ITEMS; i++)
            for (int32_t q = 0; q < r->books; q++) {
                const float *step =
                    seen + per * (size_t)s + (size_t)((i * r->books + q) * r->entries);
                float forced[64];
                for (int32_t v = 0; v < r->entries; v++) {
                    forced[v] = (float)rg_tensor_get(out.logits[q],
                                                     ((int64_t)i * steps + a + s) * r->entries + v);
                    RG_ASSERT_NEAR(step[v], forced[v], 1e-4);
                }
                ck_assert_int_eq(argmax(step, r->entries), argmax(forced, r->entries));
            }
    free(seen);
    rg_track_fill_destroy(fill);
}

START_TEST(steps_equal_teacher_forcing)
{
    world w;
    open_world(&w, 5, true);
    for (int32_t role = 0; role < 3; role++) {
        fill_random(&w);
        set_state(&w, role, 0, FRAMES, RG_CELL_KNOWN); /* a hole with known cells on both sides */
        set_state(&w, (role + 1) % 5, 0, 20, RG_CELL_KNOWN);
        set_state(&w, (role + 2) % 5, 0, FRAMES, RG_CELL_ABSENT);
        memset(w.batch->state[(role + 1) % 5], RG_CELL_UNKNOWN, FRAMES); /* rows differ */
        compare_fill(&w, role, 9, 17);
        fill_random(&w); /* nothing known: the whole window */
        compare_fill(&w, role, 0, FRAMES);
        set_state(&w, (role + 1) % 5, 0, FRAMES, RG_CELL_KNOWN); /* its end */
        set_state(&w, role, 0, 20, RG_CELL_KNOWN);
        compare_fill(&w, role, 20, FRAMES);
    }
    close_world(&w);
}
END_TEST

/* Forcing a given sequence through the delayed steps gives it back. */
START_TEST(delay_pattern_round_trip)
{
    world w;
    rg_error err = {0};
    open_world(&w, 5, true);
    int32_t role = 1, books = w.config.roles[role].books, frame[RG_TRACK_BOOKS];
    set_target(&w, role, 3, 19);
    rg_track_fill *fill = rg_track_fill_create(w.ex, w.tracks, role, ITEMS, FRAMES, &err);
    rg_step_begin(w.ex, 1);
    ck_assert_int_eq(rg_track_fill_begin(fill, w.batch, 3, 19), RG_OK);
    float logits[ITEMS * 3 * 16];
    while (rg_track_fill_next(fill, logits, frame)) {
        int32_t codes[ITEMS * RG_TRACK_BOOKS] = {0};
        for (int32_t i = 0; i < ITEMS; i++)
            for (int32_t q = 0; q < books; q++)
                if (frame[q] >= 0)
                    codes[i * books + q] =
                        w.batch->codes[role][(i * FRAMES + frame[q]) * books + q];
        rg_track_fill_put(fill, codes);
    }
    const int32_t *back = rg_track_fill_codes(fill);
    for (int32_t i = 0; i < ITEMS * FRAMES * books; i++) {
        int32_t t = i / books % FRAMES;
        ck_assert_int_eq(back[i], t >= 3 && t < 19 ? w.batch->codes[role][i] : -1);
    }
    rg_track_fill_destroy(fill);
    close_world(&w);
}
END_TEST

START_TEST(refusals)
{
    world w;
    rg_error err = {0};
    rg_track_out out;
    open_world(&w, 2, false);
    set_target(&w, 0, 0, 4);
    set_state(&w, 0, 2, 3, RG_CELL_KNOWN);
    rg_step_begin(w.ex, 1);
    ck_assert_int_eq(rg_track_loss(w.ex, w.tracks, w.batch, &out), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(w.ex->error.text, "frame 2 of window 0") != NULL, "%s", w.ex->error.text);
    ck_assert_ptr_null(rg_track_fill_create(w.ex, w.tracks, 7, 1, FRAMES, &err));
    ck_assert_int_eq(err.code, RG_ERR_MISMATCH);
    close_world(&w);
    rg_track_config bad;
    set_config(&bad, 2);
    bad.heads = 3;
    rg_error_clear(&err);
    ck_assert_int_eq(rg_track_config_check(&bad, &err), RG_ERR_CONFIG);
    set_config(&bad, 2);
    snprintf(bad.roles[1].name, RG_TRACK_NAME, "role0");
    rg_error_clear(&err);
    ck_assert_int_eq(rg_track_config_check(&bad, &err), RG_ERR_CONFIG);
}
END_TEST

START_TEST(configuration_round_trip)
{
    rg_error err = {0};
    static rg_track_config c, back;
    set_config(&c, 5);
    char *json = rg_track_config_to_json(&c);
    RG_ASSERT_OK(rg_track_config_from_json(json, &back, &err), &err);
    char *again = rg_track_config_to_json(&back);
    ck_assert_str_eq(json, again);
    ck_assert_int_eq(rg_track_word(&c, "genre", "Jazz"), 1);
    ck_assert_int_eq(rg_track_word(&c, "genre", "polka"), -1);
    ck_assert_int_eq(rg_track_nearest(&c, "tempo", 128), 1);
    ck_assert_int_eq(rg_track_nearest(&c, "key", 1), -1);
    char *cut = strstr(again, "\"width\"");
    memcpy(cut, "\"wedth\"", 7);
    ck_assert_int_eq(rg_track_config_from_json(again, &back, &err), RG_ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "width") != NULL, "%s", err.text);
    free(json);
    free(again);
}
END_TEST

/* Files are cut by prefix: no parameter outside "shared." and "track.<role>.". */
START_TEST(names_have_prefixes)
{
    world w;
    open_world(&w, 2, false);
    for (size_t i = 0; i < rg_params_count(w.params); i++) {
        const char *name = rg_params_at(w.params, i)->name;
        ck_assert_msg(strncmp(name, "shared.", 7) == 0 || strncmp(name, "track.role0.", 12) == 0 ||
                          strncmp(name, "track.role1.", 12) == 0,
                      "%s", name);
    }
    close_world(&w);
}
END_TEST

START_TEST(beats_by_tempo_equal_beats_by_annotation)
{
    double beats[9], downbeats[3];
    for (int32_t i = 0; i < 9; i++) beats[i] = 0.25 + 0.5 * i;
    for (int32_t i = 0; i < 3; i++) downbeats[i] = 0.25 + 2.0 * i;
    rg_beat_grid steady = {.tempo = 120, .meter = 4, .offset = 0.25};
    rg_beat_grid listed = {.tempo = 120,
                           .meter = 4,
                           .beats = beats,
                           .downbeats = downbeats,
                           .n_beats = 9,
                           .n_downbeats = 3};
    float a[300 * RG_BEAT_FEATURES], b[300 * RG_BEAT_FEATURES];
    rg_beat_features(&steady, 50, 0, 300, a);
    rg_beat_features(&listed, 50, 0, 300, b);
    for (int32_t i = 0; i < 300 * RG_BEAT_FEATURES; i++) RG_ASSERT_NEAR(a[i], b[i], 1e-5);
    int32_t starts[8];
    ck_assert_int_eq(rg_bar_starts(&steady, 50, 0, 300, starts, 8), 3);
    ck_assert_int_eq(starts[0], 12);
    ck_assert_int_eq(starts[1], 112);
    rg_beat_grid none = {0};
    rg_beat_features(&none, 50, 0, 300, a);
    for (int32_t i = 0; i < 300 * RG_BEAT_FEATURES; i++) ck_assert(a[i] == 0);
}
END_TEST

RG_TEST_MAIN("track_transformer", 120, loss_is_near_uniform_and_learnable, hidden_cells_do_not_leak,
             own_cells_are_causal, known_cells_are_heard, closed_gates_change_nothing,
             absent_is_not_unknown, conditions_are_heard_and_dropped, steps_equal_teacher_forcing,
             delay_pattern_round_trip, refusals, configuration_round_trip, names_have_prefixes,
             beats_by_tempo_equal_beats_by_annotation)
