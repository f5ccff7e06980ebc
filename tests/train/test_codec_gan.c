/*
 * A codec trained against discriminators: they learn by themselves, nothing of either update leaks
 * into the other, and threads, kills and splits of the batch change nothing.
 */
#include "codec_loop.h"
#include "failing_alloc.inc"
#include "models/codec_codes.h"
#include "train/resources.h"

#define SMALL                                                                         \
    "discriminator.scales=[256, 64]", "discriminator.filters=3", "losses.adv=[1, 1]", \
        "losses.feat=[1, 2]"

static const char *const plain[] = {SMALL, NULL};
/* Everything that is drawn or split: two micro-batches, one discriminator for each codebook count,
 * updated in half of the steps, from step 30 on. */
static const char *const drawn[] = {SMALL,
                                    "accumulate=2",
                                    "discriminator.per_bandwidth=true",
                                    "discriminator.probability=0.5",
                                    "discriminator.start=0.1",
                                    "quantizer.start=0.05",
                                    "quantizer.dropout=0.5",
                                    NULL};

static rg_judges *judges_of(const loop *l)
{
    return &((rg_codec_run *)l->self)->judges;
}

static double metric(const loop *l, const char *name)
{
    return rg_metrics_get(&l->now, name);
}

START_TEST(a_discriminator_learns_to_tell)
{
    enum { END = 70, LAST = 30 };
    static const char *const set[] = {SMALL, "discriminator.lr=0.003", "discriminator.filters=8",
                                      NULL};
    loop *l = open_with(set, 2);
    double loss = 0, gap = 0;
    for (int64_t step = 0; step < END; step++) {
        run(l, step, step + 1);
        for (int32_t i = 0; i < l->now.n; i++)
            ck_assert_msg(isfinite(l->now.value[i]), "%s", l->now.name[i]);
        if (step < END - LAST) continue;
        loss += metric(l, "discriminator/loss") / LAST; /* 2: it cannot tell */
        gap += (metric(l, "discriminator/real") - metric(l, "discriminator/fake")) / LAST;
    }
    ck_assert_msg(loss < 1.9 && gap > 0.2, "loss %g; logits %g apart", loss, gap);
    double ratios = 0;
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        char name[64];
        snprintf(name, sizeof name, "ratio/%s", rg_codec_term_name((rg_codec_term)t));
        ck_assert(metric(l, name) > 0);
        ratios += metric(l, name);
    }
    RG_ASSERT_NEAR(ratios, 1, 1e-9);
    ck_assert(metric(l, "loss/feat") > 0);
    RG_ASSERT_NEAR(metric(l, "loss/adv"), -metric(l, "discriminator/fake"), 1e-9);
    RG_ASSERT_NEAR(metric(l, "discriminator/skipped"), 0, 0);
    ck_assert_int_eq(judges_of(l)->each[0].adamw.step, END);
    ck_assert(rg_codec_task.newest_is_best(l->self));
    close_loop(l);
}
END_TEST

/* The discriminator's update is the same whatever the codec makes of its judgement, and the codec's
 * part of a step leaves no gradient in it. */
START_TEST(nothing_leaks)
{
    static const char *const loud[] = {SMALL,
                                       "losses.adv=[50, 50]",
                                       "losses.adv_form=hinge",
                                       "losses.feat=[9, 9]",
                                       "losses.feat_form=relative",
                                       NULL};
    static const char *const deaf[] = {SMALL, "losses.adv=[0, 0]", "losses.feat=[0, 1]", NULL};
    const char *const *sets[] = {plain, loud, deaf};
    loop *l[3];
    for (int i = 0; i < 3; i++) {
        l[i] = open_with(sets[i], 1);
        loop *untouched = open_with(sets[i], 1);
        run(l[i], 0, 1);
        rg_params *judge = rg_params_companion(l[i]->params);
        check_set_equal(judge, rg_params_companion(l[0]->params));
        ck_assert(memcmp(rg_params_values(judge),
                         rg_params_values(rg_params_companion(untouched->params)),
                         (size_t)rg_params_elements(judge) * sizeof(float)) != 0);
        for (int64_t k = 0; k < rg_params_elements(judge); k++)
            ck_assert(!(fabsf(rg_params_gradients(judge)[k]) > 0));
        close_loop(untouched);
    }
    /* and the codecs do differ by what they were told */
    ck_assert(memcmp(rg_params_values(l[0]->params), rg_params_values(l[1]->params),
                     (size_t)rg_params_elements(l[0]->params) * sizeof(float)) != 0);
    /* without any weight yet the codec learns as without a discriminator */
    loop *none = open_loop(1, "");
    run(none, 0, 1);
    check_set_equal(none->params, l[2]->params);
    close_loop(none);
    for (int i = 0; i < 3; i++) close_loop(l[i]);
}
END_TEST

START_TEST(threads_do_not_change_bits)
{
    loop *a = open_with(drawn, 1), *b = open_with(drawn, 3);
    run(a, 0, 60);
    run(b, 0, 60);
    check_equal(a, b);
    close_loop(a);
    close_loop(b);
    operands = RG_BF16;
    a = open_with(plain, 1), b = open_with(plain, 2);
    run(a, 0, 3);
    run(b, 0, 3);
    check_equal(a, b);
    operands = RG_F32;
    close_loop(a);
    close_loop(b);
}
END_TEST

START_TEST(a_resumed_run_has_the_same_bits)
{
    static const int64_t stops[] = {20, 45}; /* before and after they join */
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        loop *whole = open_with(drawn, 2), *second = open_with(drawn, 2);
        run(whole, 0, stops[i]);
        const char *path = checkpoint(whole, stops[i], "gan.safetensors");
        run(whole, stops[i], 60);
        resume(second, path);
        run(second, stops[i], 60);
        check_equal(whole, second);
        const rg_judges *a = judges_of(whole), *b = judges_of(second);
        ck_assert_int_eq(a->n, 2);
        for (int32_t k = 0; k < 2; k++) {
            ck_assert_int_gt(a->each[k].adamw.step, 0);
            ck_assert_int_eq(a->each[k].adamw.step, b->each[k].adamw.step);
        }
        ck_assert_int_lt(a->each[0].adamw.step + a->each[1].adamw.step, 25); /* of 30 */
        close_loop(whole);
        close_loop(second);
    }
}
END_TEST

/* A run from before there was a discriminator goes on with a new one; its file and one with it are
 * the same codec to whoever uses it. */
START_TEST(checkpoints_with_and_without)
{
    rg_error err = {0};
    rg_codec codec;
    static const char *const off[] = {"quantizer.start=0", NULL};
    static const char *const on[] = {SMALL, "quantizer.start=0", NULL};
    loop *before = open_with(off, 1), *after = open_with(on, 1);
    run(before, 0, 5);
    resume(after, checkpoint(before, 5, "without.safetensors"));
    check_set_equal(before->params, after->params);
    run(after, 5, 6);
    const char *path = checkpoint(after, 6, "with.safetensors");
    RG_ASSERT_OK(rg_codec_load(path, after->ex, &codec, &err), &err);
    rg_codec_free(&codec);
    char with[65], exported[65], file[700];
    RG_ASSERT_OK(rg_weights_hash(path, with, &err), &err);
    snprintf(file, sizeof file, "%s/codec.safetensors", rg_test_folder());
    RG_ASSERT_OK(rg_codec_export(path, file, after->ex, &err), &err);
    RG_ASSERT_OK(rg_weights_hash(file, exported, &err), &err);
    ck_assert_str_eq(with, exported);
    rg_st_reader *r = rg_st_open(file, &err);
    for (size_t i = 0; i < rg_st_count(r); i++)
        ck_assert_msg(!strstr(rg_st_at(r, i)->name, "discriminator"), "%s", rg_st_at(r, i)->name);
    rg_st_close(r);
    /* back without one: the balancer has learnt of terms that are gone */
    json_t *state = rg_codec_task.save(after->self);
    ck_assert_int_eq(rg_codec_task.load(before->self, state, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "losses.adv") != NULL, "%s", err.text);
    json_decref(state);
    close_loop(before);
    close_loop(after);
}
END_TEST

/* An update from two micro-batches is that of the batch that they are halves of. */
START_TEST(micro_batches_are_one_update)
{
    static const char *const one[] = {SMALL, "quantizer.start=1", NULL};
    static const char *const two[] = {SMALL, "quantizer.start=1", "batch=2", "accumulate=2", NULL};
    loop *a = open_with(one, 1), *b = open_with(two, 1);
    run(a, 0, 1);
    run(b, 0, 1);
    rg_params *p = rg_params_companion(a->params), *q = rg_params_companion(b->params);
    for (int64_t i = 0; i < rg_params_elements(p); i++) { /* moments are the gradients, scaled */
        double m = (double)rg_params_moment1(p)[i], n = (double)rg_params_moment1(q)[i];
        ck_assert_msg(fabs(m - n) <= 1e-4 * (fabs(m) + 1e-3), "%s: %g, %g", rg_params_name_of(p, i),
                      m, n);
    }
    close_loop(a);
    close_loop(b);
}
END_TEST

/* Only the discriminator of the codebooks in use moves. */
START_TEST(one_for_each_bandwidth)
{
    static const char *const set[] = {SMALL,
                                      "discriminator.per_bandwidth=true",
                                      "quantizer.start=0",
                                      "quantizer.dropout=0.7",
                                      "codebooks=3",
                                      "quantizer.books=[1, 2]",
                                      NULL};
    loop *l = open_with(set, 1);
    rg_judges *judges = judges_of(l);
    ck_assert_int_eq(judges->n, 3);
    for (int64_t step = 0; step < 12; step++) {
        int32_t used = rg_codec_run_draw_books(l->self, step);
        int64_t before[3];
        for (int32_t i = 0; i < 3; i++) before[i] = judges->each[i].adamw.step;
        run(l, step, step + 1);
        for (int32_t i = 0; i < 3; i++) {
            ck_assert_int_eq(judges->each[i].books, i + 1);
            ck_assert_int_eq(judges->each[i].adamw.step - before[i], i + 1 == used);
        }
    }
    ck_assert_ptr_eq(rg_judges_of(judges, 0, 0), &judges->each[2]);
    close_loop(l);
}
END_TEST

/* What is not finite is skipped: its own counter moves, the scale falls, the weights stay. */
START_TEST(skipped_updates)
{
    loop *l = open_with(plain, 1);
    rg_judges *judges = judges_of(l);
    rg_judge *judge = &judges->each[0];
    rg_metrics m = {0};
    float *g = rg_params_gradients(judge->params), *w = rg_params_values(judge->params), was = w[0];
    judge->scaler = rg_scaler_make(true);
    g[0] = INFINITY;
    ck_assert_int_eq(rg_judge_update(l->ex, judges, judge, 0, 1, &m), RG_OK);
    RG_ASSERT_NEAR(rg_metrics_get(&m, "discriminator/skipped"), 1, 0);
    RG_ASSERT_NEAR(judge->scaler.scale, 32768, 0);
    RG_ASSERT_NEAR((double)(w[0] - was), 0, 0);
    ck_assert(!(fabsf(g[0]) > 0));
    ck_assert_int_eq(judge->adamw.step, 0);
    json_t *state = rg_judges_save(judges);
    judge->scaler.skipped = 0;
    rg_error err = {0};
    RG_ASSERT_OK(rg_judges_load(judges, state, &err), &err);
    ck_assert_int_eq(judge->scaler.skipped, 1);
    json_decref(state);
    run(l, 0, 1); /* a scaled loss makes the same update */
    loop *unscaled = open_with(plain, 1);
    run(unscaled, 0, 1);
    check_set_equal(judge->params, rg_params_companion(unscaled->params));
    close_loop(unscaled);
    close_loop(l);
}
END_TEST

START_TEST(memory_is_known_before_the_first_step)
{
    static const char *const sets[][8] = {
        {SMALL, "quantizer.start=0"},
        {SMALL, "quantizer.start=0", "discriminator.filters=16", "batch=12"}};
    for (size_t i = 0; i < 2; i++) {
        rg_error err = {0};
        rg_memory_need need;
        double slack = 4 << 20; /* blocks of kernels do not depend on B */
        loop *rehearsed = open_with(sets[i], 1), *other = open_with(sets[i], 1);
        rg_exec *ex = rehearsed->ex;
        RG_ASSERT_OK(rg_memory_needed(&rg_codec_task, rehearsed->self, ex, &need, &err), &err);
        rg_arena_watch(ex->step);
        rg_arena_watch(ex->scratch);
        run(rehearsed, 0, 2);
        double real = (double)(rg_arena_high_water(ex->step) + rg_arena_high_water(ex->scratch));
        ck_assert_msg(need.activations >= real - slack && need.activations <= 1.1 * real + slack,
                      "%.2f MiB expected, %.2f taken", need.activations / 1048576, real / 1048576);
        run(other, 0, 2);
        check_equal(rehearsed, other);
        close_loop(rehearsed);
        close_loop(other);
    }
}
END_TEST

/* Whether steps [from, to) went well; no assertion in here, since those call the heap. */
static bool steps(loop *l, int64_t from, int64_t to)
{
    rg_update update;
    double wait = 0;
    bool fine = true;
    for (int64_t step = from; step < to; step++) {
        rg_params_zero_gradients(l->params);
        for (int32_t micro = 0; micro < l->accumulate; micro++) {
            rg_step_begin(l->ex, (uint64_t)(step * l->accumulate + micro));
            fine &= rg_codec_task.micro_step(l->self, step, micro, &l->now, &wait) == RG_OK;
        }
        fine &= rg_adamw_step(&l->adam, &l->scaler, l->params, l->ex, 1e-3, l->accumulate,
                              &update) == RG_OK &&
                rg_codec_task.after_update(l->self, step, &l->now) == RG_OK;
    }
    return fine;
}

START_TEST(a_step_calls_no_heap)
{
    static const char *const set[] = {SMALL, "quantizer.start=0", NULL};
    const char *const *sets[] = {set, drawn};
    static const int64_t warm[] = {2, 40};
    for (int i = 0; i < 2; i++) {
        loop *l = open_with(sets[i], 1);
        bool fine = steps(l, 0, warm[i]);
        rg_alloc_begin(0);
        fine &= steps(l, warm[i], warm[i] + 4);
        int64_t calls = atomic_load(&rg_alloc_calls);
        ck_assert_msg(fine, "%s", l->ex->error.text);
        ck_assert_msg(calls == 0, "%d heap calls in four steps", (int)calls);
        close_loop(l);
    }
}
END_TEST

START_TEST(faulty_configurations_name_their_place)
{
    static const struct {
        const char *set, *word;
    } rows[] = {
        {"discriminator.scales=[2048]", "2048 samples do not fit into crops of 1200"},
        {"discriminator.scales=[100]", "power of two"},
        {"discriminator.scales=[]", "0 scales"},
        {"discriminator.kernel=[3]", "[frames, bins]"},
        {"losses.mel=[0, 0]", "nothing would be learnt"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rg_error err = {0};
        const char *set[] = {SMALL, "losses.l1=[0, 0]", "losses.mse=[0, 0]", rows[i].set};
        overrides = set;
        n_overrides = sizeof set / sizeof *set;
        rg_config *config = make_config("", 1, &err);
        overrides = NULL;
        n_overrides = 0;
        ck_assert_msg(config != NULL, "%s", err.text);
        rg_exec *ex =
            rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_cpu(&err), .seed = 1}, &err);
        double scale = 1;
        rg_task_context context = {.config = config, .ex = ex, .loss_scale = &scale};
        void *self = NULL;
        ck_assert_int_eq(rg_codec_task.open(&context, &self, &err), RG_ERR_CONFIG);
        ck_assert_msg(strstr(err.text, rows[i].word) != NULL, "%s", err.text);
        rg_exec_destroy(ex);
        rg_config_free(config);
    }
}
END_TEST

RG_TEST_MAIN("train/codec_gan", 300, a_discriminator_learns_to_tell, nothing_leaks,
             threads_do_not_change_bits, a_resumed_run_has_the_same_bits,
             checkpoints_with_and_without, micro_batches_are_one_update, one_for_each_bandwidth,
             skipped_updates, memory_is_known_before_the_first_step, a_step_calls_no_heap,
             faulty_configurations_name_their_place)
