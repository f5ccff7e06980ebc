/*
 * The codec task driven by a small loop: it learns, its bits do not depend on threads, and what a
 * checkpoint keeps is enough to go on with the same bits.
 */
#include "codec_loop.h"
#include "models/codec_codes.h"
#include "train/resources.h"

START_TEST(a_tiny_codec_beats_silence)
{
    loop *l = open_loop(2, "");
    json_t *items;
    rg_metrics start = validate(l, 0, &items);
    json_decref(items);
    ck_assert(isnan(rg_metrics_get(&start, "mel_distance"))); /* not quantized yet */
    ck_assert(rg_metrics_get(&start, "unquantized/mel_distance") > 0);
    run(l, 0, STEPS);
    rg_metrics end = validate(l, STEPS, &items);
    double db = rg_metrics_get(&end, "si_sdr"), mel = rg_metrics_get(&end, "mel_distance");
    ck_assert_msg(db > 3, "SI-SDR %.2f dB", db);
    ck_assert_msg(mel < 0.5 * rg_metrics_get(&start, "unquantized/mel_distance"), "mel %g", mel);
    ck_assert_msg(rg_metrics_get(&end, "rvq/used_0") >= 8, "%g codes used",
                  rg_metrics_get(&end, "rvq/used_0"));
    ck_assert(rg_metrics_get(&l->now, "loss/mse") < 0.6);
    ck_assert(rg_metrics_get(&l->now, "loss/commit") > 0);
    double ratios = rg_metrics_get(&l->now, "ratio/l1") + rg_metrics_get(&l->now, "ratio/mse") +
                    rg_metrics_get(&l->now, "ratio/mel");
    RG_ASSERT_NEAR(ratios, 1, 1e-9);
    ck_assert_int_eq(json_object_size(json_object_get(items, "si_sdr")), 1); /* one valid song */
    json_decref(items);
    json_t *state = rg_codec_task.save(l->self);
    const json_t *weights = json_object_get(json_object_get(state, "balancer"), "weight");
    ck_assert(json_number_value(json_array_get(weights, 0)) > 200); /* of 300 updates */
    json_decref(state);

    /* The checkpoint is a codec by itself, and the audio of the run is there. */
    rg_error err = {0};
    rg_codec codec;
    const char *path = checkpoint(l, STEPS, "tiny.safetensors");
    RG_ASSERT_OK(rg_codec_load(path, l->ex, &codec, &err), &err);
    ck_assert_str_eq(codec.role, "bass");
    rg_codec_free(&codec);
    rg_set_recording(l->ex, false);
    ck_assert_msg(rg_codec_task.sample(l->self, STEPS) == RG_OK, "%s", l->ex->error.text);
    char wav[800];
    rg_audio audio;
    snprintf(wav, sizeof wav, "%s/samples/step_0000300/bass-0-decoded.wav", rg_test_folder());
    RG_ASSERT_OK(rg_audio_read(wav, &audio, &err), &err);
    ck_assert_int_eq(audio.rate, 4000);
    rg_audio_free(&audio);
    close_loop(l);
}
END_TEST

/* Two micro-batches a step; k-means at step 90, quantizer dropout and revival after it. */
static loop *open_short(int32_t threads)
{
    return open_loop(threads, "accumulate: 2\n");
}

/* The same bounds as in fp32: what bf16 rounds off is far below what the codec leaves. */
START_TEST(a_tiny_codec_in_bf16_beats_silence)
{
    operands = RG_BF16;
    loop *l = open_loop(2, "");
    json_t *items;
    run(l, 0, STEPS);
    rg_metrics end = validate(l, STEPS, &items);
    json_decref(items);
    double db = rg_metrics_get(&end, "si_sdr");
    ck_assert_msg(db > 3, "SI-SDR %.2f dB", db);
    ck_assert(rg_metrics_get(&end, "rvq/used_0") >= 8);
    close_loop(l);
    loop *a = open_short(1), *b = open_short(2);
    run(a, 0, 100);
    run(b, 0, 100);
    check_equal(a, b);
    close_loop(a);
    close_loop(b);
    operands = RG_F32;
}
END_TEST

START_TEST(threads_do_not_change_bits)
{
    loop *a = open_short(1), *b = open_short(2);
    run(a, 0, 100);
    run(b, 0, 100);
    ck_assert(rg_metrics_get(&a->now, "loss/commit") > 0); /* the quantizer was on */
    check_equal(a, b);
    close_loop(a);
    close_loop(b);
}
END_TEST

START_TEST(a_resumed_run_has_the_same_bits)
{
    static const int64_t stops[] = {50, 95}; /* before and after the codebooks start at 90 */
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        loop *whole = open_short(2), *second = open_short(2);
        run(whole, 0, stops[i]);
        const char *path = checkpoint(whole, stops[i], "resume.safetensors");
        run(whole, stops[i], 100);
        resume(second, path);
        run(second, stops[i], 100);
        check_equal(whole, second);
        close_loop(whole);
        close_loop(second);
    }
}
END_TEST

/* The first quantized step decides alike however its batch is split: k-means' crops and start, how
 * many codebooks, the codes, which entries are revived with which vectors. */
START_TEST(splitting_a_batch_changes_no_decision)
{
    static const char *const splits[][2] = {
        {"batch=8", "accumulate=1"}, {"batch=4", "accumulate=2"}, {"batch=1", "accumulate=8"}};
    loop *loops[3];
    for (size_t i = 0; i < 3; i++) {
        const char *set[] = {"quantizer.start=0", "quantizer.dead=0.9", splits[i][0], splits[i][1]};
        overrides = set;
        n_overrides = 4;
        loops[i] = open_loop(1 + (int32_t)i, "");
        overrides = NULL;
        n_overrides = 0;
        run(loops[i], 0, 1);
        ck_assert(rg_metrics_get(&loops[i]->now, "rvq/revived") > 0);
        const rg_param *p = rg_params_find(loops[0]->params, "quantizer.books");
        ck_assert_ptr_nonnull(p);
        size_t bytes = (size_t)rg_shape_count(p->shape) * sizeof(float);
        const rg_param *q = rg_params_find(loops[i]->params, "quantizer.books");
        ck_assert_mem_eq(rg_param_data(loops[0]->params, p), rg_param_data(loops[i]->params, q),
                         bytes);
    }
    for (size_t i = 0; i < 3; i++) close_loop(loops[i]);
}
END_TEST

/* Every draw is one of those that the list allows, and each comes up. */
START_TEST(dropout_draws_from_its_list)
{
    static const struct {
        const char *key;
        int32_t allowed[5];
    } rows[] = {{"codebooks=5", {1, 2, 3, 4, 5}},
                {"quantizer.books=[2, 5]", {2, 5}},
                {"quantizer.kbps=[0.25, 0.8, 1.25]", {1, 3, 5}}}; /* 0.25 kbit/s a codebook */
    for (size_t i = 0; i < 3; i++) {
        const char *set[] = {"codebooks=5", "quantizer.dropout=1", "quantizer.start=0.1",
                             rows[i].key};
        overrides = set;
        n_overrides = 4;
        loop *l = open_loop(1, "");
        overrides = NULL;
        n_overrides = 0;
        int32_t seen[6] = {0}, want = 0, found = 0;
        ck_assert_int_eq(rg_codec_run_draw_books(l->self, 29), 0);
        for (int64_t step = 30; step < 300; step++) seen[rg_codec_run_draw_books(l->self, step)]++;
        for (int32_t k = 0; k < 5 && rows[i].allowed[k]; k++) {
            ck_assert_msg(seen[rows[i].allowed[k]] > 20, "%s: %d", rows[i].key,
                          (int)rows[i].allowed[k]);
            want += seen[rows[i].allowed[k]];
        }
        for (int32_t k = 0; k < 6; k++) found += seen[k];
        ck_assert_int_eq(want, found);
        close_loop(l);
    }
}
END_TEST

/* A codec of all roles, of crops that are mixed, get rooms and are drawn again when clipped. */
START_TEST(an_augmented_run_of_any_role_has_the_same_bits)
{
    static const char *const roles[] = {"role=any", "role=mix"};
    for (size_t i = 0; i < 2; i++) {
        const char *set[] = {roles[i],
                             "augment.mix=[0.5, 0.3, 0.2]",
                             "augment.gain_db=[-10, 6]",
                             "augment.reverb=0.2",
                             "augment.reject_clipped=true",
                             "augment.flip=false",
                             "data.low_dbfs=0",
                             "data.high_dbfs=0",
                             "augment.file_dbfs=-20"};
        overrides = set;
        n_overrides = sizeof set / sizeof *set;
        loop *a = open_loop(1, ""), *b = open_loop(3, "");
        overrides = NULL;
        n_overrides = 0;
        run(a, 0, 95);
        run(b, 0, 95);
        check_equal(a, b);
        json_t *items, *described = rg_codec_task.describe(a->self);
        rg_metrics m = validate(a, 95, &items);
        ck_assert(!isnan(rg_metrics_get(&m, "si_sdr")));
        ck_assert_int_eq(json_array_size(json_object_get(described, "songs")), 3);
        json_decref(items);
        json_decref(described);
        close_loop(a);
        close_loop(b);
    }
}
END_TEST

/* Energies of the left and right channels of a batch (B,T,2). */
static void energies(const rg_tensor *x, double out[2])
{
    out[0] = out[1] = 0;
    for (int64_t i = 0; i < rg_shape_count(x->shape); i++)
        out[i % 2] += pow(rg_tensor_get(x, i), 2);
}

/* A codec of two channels gets the store's own, of which the right one is half as loud; a mono one
 * learns from their mean. */
START_TEST(a_stereo_store_serves_codecs_of_one_and_two_channels)
{
    static const char *const two[] = {"channels=2"};
    toy_channels = 2;
    for (size_t k = 0; k < 2; k++) {
        overrides = two;
        n_overrides = k;
        loop *l = open_loop(1, "");
        overrides = NULL;
        n_overrides = 0;
        double wait = 0, energy[2];
        rg_step_begin(l->ex, 0);
        const rg_tensor *x = rg_codec_run_crops(l->self, 0, 0, &wait);
        ck_assert_msg(x != NULL, "%s", l->ex->error.text);
        ck_assert_int_eq(x->shape.dim[2], (int)k + 1);
        energies(x, energy);
        if (k == 1) RG_ASSERT_NEAR(energy[0] / energy[1], 4, 0.2);
        run(l, 0, 5);
        close_loop(l);
    }
    toy_channels = 1;
}
END_TEST

static const char *const stereo[] = {"channels=2",         "normalize=true", "norm=time_group_norm",
                                     "crop_seconds=1",     "augment.pan=1",  "pad_mode=reflect",
                                     "conv_shortcut=true", "batch=2"};

/* Two channels, each crop divided by its loudness, norms over time: it learns, with the same bits
 * on any number of threads. */
START_TEST(a_stereo_codec_that_normalizes_learns)
{
    overrides = stereo;
    n_overrides = sizeof stereo / sizeof *stereo;
    loop *a = open_loop(1, ""), *b = open_loop(3, "");
    overrides = NULL;
    n_overrides = 0;
    json_t *items;
    rg_metrics start = validate(a, 0, &items);
    json_decref(items);
    run(a, 0, 150);
    run(b, 0, 150);
    check_equal(a, b);
    rg_metrics end = validate(a, 150, &items);
    json_decref(items);
    double before = rg_metrics_get(&start, "unquantized/mel_distance");
    double after = rg_metrics_get(&end, "mel_distance");
    ck_assert_msg(after < 0.7 * before, "mel distance %g, then %g", before, after);
    rg_set_recording(a->ex, false);
    ck_assert_msg(rg_codec_task.sample(a->self, 150) == RG_OK, "%s", a->ex->error.text);
    char wav[800];
    rg_audio audio;
    rg_error err = {0};
    snprintf(wav, sizeof wav, "%s/samples/step_0000150/bass-0-decoded.wav", rg_test_folder());
    RG_ASSERT_OK(rg_audio_read(wav, &audio, &err), &err);
    ck_assert_int_eq(audio.channels, 2);
    rg_audio_free(&audio);
    /* A tenth of the input is a tenth of the output, and silence is silence. */
    enum { T = 4000 };
    static float x[3 * T * 2];
    for (int32_t i = 0; i < 2 * T; i++) {
        x[i] = (float)(0.3 * sin(0.05 * (i / 2)) * (i % 2 ? 1 : 0.5));
        x[2 * T + i] = x[i] / 10;
    }
    rg_rvq_out q;
    rg_step_begin(a->ex, 0);
    rg_tensor *in = rg_tensor_from_floats(a->ex, RG_SHAPE(3, T, 2), x);
    rg_tensor *y = rg_codec_run_reconstruct(a->self, in, 0, &q);
    ck_assert_msg(y != NULL, "%s", a->ex->error.text);
    double most = 0;
    for (int32_t i = 0; i < 2 * T; i++) {
        most = fmax(most, fabs(rg_tensor_get(y, i)));
        RG_ASSERT_NEAR(rg_tensor_get(y, 2 * T + i), rg_tensor_get(y, i) / 10, 1e-4);
        ck_assert(fabs(rg_tensor_get(y, 4 * T + i)) < 1e-6);
    }
    ck_assert_msg(most > 0.03, "the output's peak is %g", most);
    close_loop(a);
    close_loop(b);
}
END_TEST

static double arena_bytes(const rg_exec *ex)
{
    return (double)(rg_arena_high_water(ex->step) + rg_arena_high_water(ex->scratch));
}

/* What steps with all codebooks and a validation really take, against the rehearsal's word; and a
 * rehearsal leaves no trace in what is learnt. */
START_TEST(memory_is_known_before_the_first_step)
{
    static const char *const sizes[][3] = {
        {"batch=4", "crop_seconds=0.3"},
        {"batch=24", "crop_seconds=0.3"},
        {"batch=16", "lstm_layers=2", "dimension=64"},
        {"batch=1", "validation.seconds=8", "validation.per_song=1"},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rg_error err = {0};
        rg_memory_need need;
        json_t *items;
        const char *set[] = {"quantizer.start=0", sizes[i][0], sizes[i][1],
                             sizes[i][2] ? sizes[i][2] : "lstm_layers=1"};
        overrides = set;
        n_overrides = 4;
        loop *rehearsed = open_loop(1, ""), *plain = open_loop(1, "");
        overrides = NULL;
        n_overrides = 0;
        rg_exec *ex = rehearsed->ex;
        RG_ASSERT_OK(rg_memory_needed(&rg_codec_task, rehearsed->self, ex, &need, &err), &err);
        rg_arena_watch(ex->step);
        rg_arena_watch(ex->scratch);
        run(rehearsed, 0, 3);
        validate(rehearsed, 3, &items);
        json_decref(items);
        double real = arena_bytes(ex), slack = 4 << 20; /* blocks of kernels do not depend on B */
        ck_assert_msg(need.activations >= real - slack && need.activations <= 1.1 * real,
                      "%s: %.2f MiB expected, %.2f taken", sizes[i][0], need.activations / 1048576,
                      real / 1048576);
        run(plain, 0, 3);
        check_equal(rehearsed, plain);
        close_loop(rehearsed);
        close_loop(plain);
    }
}
END_TEST

START_TEST(faulty_configurations_name_their_place)
{
    static const struct {
        const char *more, *word, *set[2];
    } rows[] = {
        {"", "3 means 3 codebooks; this codec has 2", {"quantizer.books=[1, 3]"}},
        {"", "augment.gain_db: two numbers", {"augment.gain_db=[6, -10]"}},
        {"", "at most 4 sources", {"augment.mix=[1, 1, 1, 1, 1]"}},
        {"", "0.2 means 0 codebooks", {"quantizer.kbps=[0.2]"}},
        {"", "the same twice", {"quantizer.books=[1]", "quantizer.kbps=[0.25]"}},
        {"frame_rate: 40\n", "4000 Hz at 40 frames a second needs 100", {0}},
        {"band: {low: 2500}\n", "band.low: 2500 Hz is not below", {0}},
        {"losses: {mel: [1]}\n", "losses.mel", {0}},
        {"losses: {l1: [0, 0], mse: [0, 0], mel: [1, 0]}\n", "nothing would be learnt", {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rg_error err = {0};
        overrides = rows[i].set;
        n_overrides = (size_t) !!rows[i].set[0] + (size_t) !!rows[i].set[1];
        rg_config *config = make_config(rows[i].more, 1, &err);
        const char *place = n_overrides ? "command line:" : "codec.yaml:";
        overrides = NULL;
        n_overrides = 0;
        ck_assert_msg(config != NULL, "%s", err.text);
        rg_exec *ex =
            rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_cpu(&err), .seed = 1}, &err);
        double scale = 1;
        rg_task_context context = {.config = config, .ex = ex, .loss_scale = &scale};
        void *self = NULL;
        ck_assert_int_eq(rg_codec_task.open(&context, &self, &err), RG_ERR_CONFIG);
        ck_assert_msg(strstr(err.text, rows[i].word) && strstr(err.text, place), "%s", err.text);
        ck_assert(self == NULL);
        rg_exec_destroy(ex);
        rg_config_free(config);
    }
}
END_TEST

RG_TEST_MAIN("train/codec_task", 300, a_tiny_codec_beats_silence,
             a_tiny_codec_in_bf16_beats_silence, threads_do_not_change_bits,
             a_resumed_run_has_the_same_bits, splitting_a_batch_changes_no_decision,
             dropout_draws_from_its_list, an_augmented_run_of_any_role_has_the_same_bits,
             a_stereo_codec_that_normalizes_learns,
             a_stereo_store_serves_codecs_of_one_and_two_channels,
             memory_is_known_before_the_first_step, faulty_configurations_name_their_place)
