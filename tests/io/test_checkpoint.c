/*
 * Checkpoints and weights files: the same bits back, other models refused, failing disks.
 *
 * One idea: a run is a few optimizer steps on made-up gradients; what was loaded must go on exactly
 * as what was saved.
 */
#include "base/fs.h"
#include "engine/checkpoint.h"
#include "faulty_fs.h"
#include "test.h"

enum { NAME = 600 };

typedef struct rig {
    rg_exec *ex;
    rg_params *params;
    rg_tensor *books;
    rg_checkpoint state;
} rig;

/* `width` makes another model of the same names; `more` one more parameter. */
static rig open_rig(int64_t width, bool more, uint64_t seed)
{
    rg_error err = {0};
    const rg_exec_options options = {.kernels = rg_kernels_cpu(NULL),
                                     .step_bytes = 64 << 20, /* valgrind has little room */
                                     .scratch_bytes = 64 << 20,
                                     .persist_bytes = 64 << 20};
    rig r = {.ex = rg_exec_create(&options, &err), .params = rg_params_create(&err)};
    ck_assert_msg(r.ex && r.params, "%s", err.text);
    const rg_init init = {RG_INIT_NORMAL, 1};
    rg_params_add(r.params, "net.w", RG_SHAPE(width, 5), init);
    rg_params_add_normed(r.params, "net.conv", RG_SHAPE(3, 2, 4), 2, init);
    r.books = rg_params_add_state(r.params, "net.books", RG_F32, RG_SHAPE(2, 6));
    rg_params_add_state(r.params, "net.started", RG_I32, RG_SHAPE(2));
    rg_params_add(r.params, "other.bias", RG_SHAPE(3), init);
    if (more) rg_params_add(r.params, "net.more", RG_SHAPE(3), init);
    RG_ASSERT_OK(rg_params_finish(r.params, r.ex, seed, true, &err), &err);
    r.state = (rg_checkpoint){.step = 41,
                              .lr = 0.1,
                              .seed = UINT64_MAX - 3,
                              .optimizer = {.beta1 = 0.9,
                                            .beta2 = 0.99,
                                            .eps = 1e-8,
                                            .weight_decay = 0.01,
                                            .clip_norm = 1,
                                            .ema_decay = 0.9999},
                              .scaler = rg_scaler_make(true)};
    memset(r.state.config_hash, 'a', 64);
    memcpy(r.state.isa, "avx2", 5);
    return r;
}

static void close_rig(rig *r)
{
    rg_checkpoint_free(&r->state);
    rg_params_destroy(r->params);
    rg_exec_destroy(r->ex);
}

/* One step on gradients that depend on `number` only. */
static void train(rig *r, int number)
{
    rg_update u;
    rg_params_zero_gradients(r->params);
    for (int64_t i = 0; i < rg_params_elements(r->params); i++)
        rg_params_gradients(r->params)[i] = (float)(65536 * sin((double)i + number));
    RG_ASSERT_OK(
        rg_adamw_step(&r->state.optimizer, &r->state.scaler, r->params, r->ex, 0.01, 1, &u),
        &r->ex->error);
    for (int i = 0; i < 12; i++) ((float *)r->books->data)[i] += (float)number;
}

static void expect_same(rig *a, rig *b)
{
    size_t bytes = (size_t)rg_params_elements(a->params) * sizeof(float);
    ck_assert_mem_eq(rg_params_values(a->params), rg_params_values(b->params), bytes);
    ck_assert_mem_eq(rg_params_moment1(a->params), rg_params_moment1(b->params), bytes);
    ck_assert_mem_eq(rg_params_moment2(a->params), rg_params_moment2(b->params), bytes);
    ck_assert_mem_eq(rg_params_ema(a->params), rg_params_ema(b->params), bytes);
    ck_assert_mem_eq(a->books->data, b->books->data, 12 * sizeof(float));
    ck_assert_mem_eq(&a->state.optimizer, &b->state.optimizer, sizeof(rg_adamw));
    ck_assert(a->state.scaler.scale == b->state.scaler.scale &&
              a->state.scaler.good_steps == b->state.scaler.good_steps &&
              a->state.scaler.enabled == b->state.scaler.enabled &&
              a->state.scaler.interval == b->state.scaler.interval);
}

static const char *file_named(const char *name)
{
    static char paths[4][NAME];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, NAME, "%s/%s", rg_test_folder(), name);
    return path;
}

static rig saved_rig(const char *path)
{
    rg_error err = {0};
    rig r = open_rig(4, false, 1);
    for (int i = 0; i < 3; i++) train(&r, i);
    RG_ASSERT_OK(rg_checkpoint_save(path, r.params, &r.state, &err), &err);
    return r;
}

START_TEST(going_on_gives_the_same_bits)
{
    rg_error err = {0};
    const char *path = file_named("a.safetensors");
    rig a = saved_rig(path), b = open_rig(4, false, 2);
    rg_checkpoint_free(&b.state);
    RG_ASSERT_OK(rg_checkpoint_load(path, b.params, b.ex, &b.state, &err), &err);
    expect_same(&a, &b);
    ck_assert(b.state.step == 41 && b.state.lr == 0.1 && b.state.seed == UINT64_MAX - 3);
    ck_assert_str_eq(b.state.config_hash, a.state.config_hash);
    ck_assert_str_eq(b.state.isa, "avx2");
    ck_assert_str_eq(b.state.extra, "{}");
    for (int i = 3; i < 6; i++) {
        train(&a, i);
        train(&b, i);
        expect_same(&a, &b);
    }
    close_rig(&a);
    close_rig(&b);
}
END_TEST

START_TEST(extra_text_comes_back)
{
    rg_error err = {0};
    const char *path = file_named("extra.safetensors");
    rig a = open_rig(4, false, 1);
    a.state.extra = strdup("{\"position\": [1, 2], \"text\": \"\\u00e9 \\n\"}");
    RG_ASSERT_OK(rg_checkpoint_save(path, a.params, &a.state, &err), &err);
    rg_checkpoint state;
    RG_ASSERT_OK(rg_checkpoint_load(path, a.params, a.ex, &state, &err), &err);
    ck_assert_str_eq(state.extra, a.state.extra);
    rg_checkpoint_free(&state);
    close_rig(&a);
}
END_TEST

/* A set beside the model, of one tensor or of two. */
static rg_params *open_companion(rig *r, int tensors, uint64_t seed)
{
    rg_error err = {0};
    const rg_init init = {RG_INIT_NORMAL, 1};
    rg_params *p = rg_params_create(&err);
    rg_params_add(p, "discriminator.0.a", RG_SHAPE(3, 2), init);
    if (tensors > 1) rg_params_add(p, "discriminator.0.b", RG_SHAPE(5), init);
    RG_ASSERT_OK(rg_params_finish(p, r->ex, seed, true, &err), &err);
    rg_params_set_companion(r->params, p);
    return p;
}

/* A companion comes back with its moments, stays as it is where the file has none of it, is refused
 * where the file has a part of it, and is no part of the model. */
START_TEST(companions_are_kept_too)
{
    rg_error err = {0};
    const char *path = file_named("companion.safetensors"),
               *alone = file_named("alone.safetensors");
    rig a = open_rig(4, false, 1), b = open_rig(4, false, 2);
    train(&a, 0);
    RG_ASSERT_OK(rg_checkpoint_save(alone, a.params, &a.state, &err), &err);
    rg_params *p = open_companion(&a, 1, 3), *q = open_companion(&b, 1, 4);
    rg_params_moment1(p)[1] = 7;
    rg_params_moment2(p)[2] = 8;
    RG_ASSERT_OK(rg_checkpoint_save(path, a.params, &a.state, &err), &err);
    size_t bytes = (size_t)rg_params_elements(p) * sizeof(float);
    float before = rg_params_values(q)[0];
    rg_checkpoint_free(&b.state);
    RG_ASSERT_OK(rg_checkpoint_load(alone, b.params, b.ex, &b.state, &err), &err);
    RG_ASSERT_NEAR((double)(rg_params_values(q)[0] - before), 0, 0);
    rg_checkpoint_free(&b.state);
    RG_ASSERT_OK(rg_checkpoint_load(path, b.params, b.ex, &b.state, &err), &err);
    ck_assert_mem_eq(rg_params_values(q), rg_params_values(p), bytes);
    ck_assert_mem_eq(rg_params_moment1(q), rg_params_moment1(p), bytes);
    ck_assert_mem_eq(rg_params_moment2(q), rg_params_moment2(p), bytes);
    char one[65], other[65];
    RG_ASSERT_OK(rg_weights_hash(path, one, &err), &err);
    RG_ASSERT_OK(rg_weights_hash(alone, other, &err), &err);
    ck_assert_str_eq(one, other);
    rg_params_destroy(q);
    q = open_companion(&b, 2, 5);
    rg_checkpoint_free(&b.state);
    ck_assert_int_eq(rg_checkpoint_load(path, b.params, b.ex, &b.state, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "discriminator.0.b") != NULL, "%s", err.text);
    rg_params_destroy(p);
    rg_params_destroy(q);
    close_rig(&a);
    close_rig(&b);
}
END_TEST

/* A run without averaging: the average of the loaded model starts at its values. */
START_TEST(without_averages_they_start_at_the_values)
{
    rg_error err = {0};
    const char *path = file_named("plain.safetensors");
    rig a = open_rig(4, false, 1), b = open_rig(4, false, 2);
    a.state.optimizer.ema_decay = 0;
    train(&a, 0);
    RG_ASSERT_OK(rg_checkpoint_save(path, a.params, &a.state, &err), &err);
    RG_ASSERT_OK(rg_checkpoint_load(path, b.params, b.ex, &b.state, &err), &err);
    size_t bytes = (size_t)rg_params_elements(a.params) * sizeof(float);
    ck_assert_mem_eq(rg_params_values(b.params), rg_params_values(a.params), bytes);
    ck_assert_mem_eq(rg_params_ema(b.params), rg_params_values(a.params), bytes);
    close_rig(&a);
    close_rig(&b);
}
END_TEST

static void expect_mismatch(const char *path, rig other, const char *names)
{
    rg_error err = {0};
    float before = rg_params_values(other.params)[0];
    rg_checkpoint state;
    ck_assert_int_eq(rg_checkpoint_load(path, other.params, other.ex, &state, &err),
                     RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, names) && strstr(err.text, path), "%s", err.text);
    ck_assert_ptr_null(state.extra);
    ck_assert(rg_params_values(other.params)[0] == before); /* nothing was read into it */
    rg_error_clear(&err);
    ck_assert_int_eq(rg_weights_load(path, "", other.params, other.ex, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, names), "%s", err.text);
    ck_assert(rg_params_values(other.params)[0] == before);
    close_rig(&other);
}

START_TEST(other_models_are_refused_by_tensor)
{
    rg_error err = {0};
    const char *path = file_named("a.safetensors"), *larger = file_named("larger.safetensors");
    rig a = saved_rig(path), b = open_rig(4, true, 1);
    expect_mismatch(path, open_rig(6, false, 1), "net.w");
    expect_mismatch(path, open_rig(4, true, 1), "net.more");
    RG_ASSERT_OK(rg_checkpoint_save(larger, b.params, &b.state, &err), &err);
    expect_mismatch(larger, open_rig(4, false, 1), "net.more");
    close_rig(&a);
    close_rig(&b);
}
END_TEST

/* ---- weights ---- */

START_TEST(inference_uses_averaged_weights)
{
    rg_error err = {0};
    const char *path = file_named("a.safetensors"), *out = file_named("weights.safetensors");
    rig a = saved_rig(path), b = open_rig(4, false, 2), c = open_rig(4, false, 3);
    size_t bytes = (size_t)rg_params_elements(a.params) * sizeof(float);
    RG_ASSERT_OK(rg_weights_load(path, "", b.params, b.ex, &err), &err);
    ck_assert_mem_eq(rg_params_values(b.params), rg_params_ema(a.params), bytes);
    ck_assert_mem_eq(rg_params_ema(b.params), rg_params_ema(a.params), bytes);
    ck_assert_mem_eq(b.books->data, a.books->data, 12 * sizeof(float));
    const char *keys[] = {"role"}, *values[] = {"bass"};
    RG_ASSERT_OK(rg_weights_save(out, "", a.params, true, keys, values, 1, &err), &err);
    RG_ASSERT_OK(rg_weights_load(out, "", c.params, c.ex, &err), &err);
    ck_assert_mem_eq(rg_params_values(c.params), rg_params_ema(a.params), bytes);
    rg_checkpoint state;
    ck_assert_int_eq(rg_checkpoint_load(out, c.params, c.ex, &state, &err), RG_ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "weights only"), "%s", err.text);
    char of_run[65], of_weights[65], of_other[65];
    rg_error_clear(&err);
    RG_ASSERT_OK(rg_weights_hash(path, of_run, &err), &err);
    RG_ASSERT_OK(rg_weights_hash(out, of_weights, &err), &err);
    ck_assert_str_eq(of_run, of_weights); /* metadata and training state do not count */
    ((float *)a.books->data)[3] += 1;
    RG_ASSERT_OK(rg_weights_save(out, "", a.params, true, NULL, NULL, 0, &err), &err);
    RG_ASSERT_OK(rg_weights_hash(out, of_other, &err), &err);
    ck_assert_str_ne(of_run, of_other);
    close_rig(&a);
    close_rig(&b);
    close_rig(&c);
}
END_TEST

START_TEST(prefixes_select)
{
    rg_error err = {0};
    const char *path = file_named("a.safetensors"), *out = file_named("part.safetensors");
    rig a = saved_rig(path);
    rg_params *part = rg_params_create(&err); /* "bias" of the file's "other.bias" */
    rg_tensor *bias = rg_params_add(part, "bias", RG_SHAPE(3), (rg_init){RG_INIT_ZEROS, 0});
    RG_ASSERT_OK(rg_params_finish(part, a.ex, 1, false, &err), &err);
    RG_ASSERT_OK(rg_weights_load(path, "other.", part, a.ex, &err), &err);
    const rg_param *p = rg_params_find(a.params, "other.bias");
    ck_assert_mem_eq(bias->data, rg_params_ema(a.params) + p->offset, 3 * sizeof(float));
    RG_ASSERT_OK(rg_weights_save(out, "net.", a.params, false, NULL, NULL, 0, &err), &err);
    rg_st_reader *r = rg_st_open(out, &err);
    ck_assert_msg(r != NULL, "%s", err.text);
    ck_assert_uint_eq(rg_st_count(r), 5);
    ck_assert(rg_st_find(r, "net.w") && !rg_st_find(r, "other.bias"));
    rg_st_close(r);
    ck_assert_int_eq(rg_weights_load(path, "net.", part, a.ex, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "net.bias"), "%s", err.text);
    rg_params_destroy(part);
    rig b = open_rig(4, false, 2); /* "net." from one file, the rest stays as it is */
    float before = rg_params_values(b.params)[p->offset];
    rg_error_clear(&err);
    RG_ASSERT_OK(rg_weights_load_part(out, "net.", b.params, b.ex, &err), &err);
    ck_assert(rg_params_values(b.params)[0] == rg_params_values(a.params)[0]);
    ck_assert(rg_params_values(b.params)[p->offset] == before);
    ck_assert_int_eq(rg_weights_load_part(out, "other.", b.params, b.ex, &err), RG_ERR_MISMATCH);
    close_rig(&b);
    close_rig(&a);
}
END_TEST

/* ---- versions and damage ---- */

/* Saves the checkpoint again with one metadata value changed. */
static void with_metadata(const char *from, const char *to, const char *key, const char *value)
{
    rg_error err = {0};
    char *bytes;
    size_t n;
    RG_ASSERT_OK(rg_fs_read_all(from, 1 << 20, &bytes, &n, &err), &err);
    char find[80];
    snprintf(find, sizeof find, "\"%s\":\"", key);
    char *at = memmem(bytes, n, find, strlen(find));
    ck_assert_msg(at != NULL, "%s is not in the file", key);
    memcpy(at + strlen(find), value, strlen(value));
    RG_ASSERT_OK(rg_fs_write_atomic(to, bytes, n, &err), &err);
    free(bytes);
}

static rg_status load_changed(const char *key, const char *value, char text[RG_ERROR_TEXT])
{
    rg_error err = {0};
    const char *path = file_named("a.safetensors"), *changed = file_named("changed.safetensors");
    rig a = saved_rig(path);
    rg_checkpoint state;
    with_metadata(path, changed, key, value);
    rg_status status = rg_checkpoint_load(changed, a.params, a.ex, &state, &err);
    memcpy(text, err.text, RG_ERROR_TEXT);
    rg_checkpoint_free(&state);
    close_rig(&a);
    return status;
}

START_TEST(versions_and_counters_are_checked)
{
    char text[RG_ERROR_TEXT];
    ck_assert_int_eq(load_changed("resonantgen.version", "1.9", text), RG_OK); /* newer minor */
    ck_assert_int_eq(load_changed("resonantgen.version", "2.0", text), RG_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(text, "2.0"), "%s", text);
    ck_assert_int_eq(load_changed("resonantgen.version", "x.y", text), RG_ERR_FORMAT);
    ck_assert_int_eq(load_changed("step", "4x", text), RG_ERR_FORMAT);
    ck_assert_msg(strstr(text, "step"), "%s", text);
    ck_assert_int_eq(load_changed("scaler.enabled", "2", text), RG_ERR_FORMAT);
    ck_assert_int_eq(load_changed("seed", "-", text), RG_ERR_FORMAT);
    ck_assert_int_eq(load_changed("optimizer.beta1", "n", text), RG_ERR_FORMAT);
}
END_TEST

/* ---- failing disks ---- */

/* The file is the old checkpoint or the new one, whole. Returns which: 0 or 1. */
static int which_checkpoint(const char *path, rig *r)
{
    rg_error err = {0};
    rg_checkpoint state;
    rg_status status = rg_checkpoint_load(path, r->params, r->ex, &state, &err);
    ck_assert_msg(status == RG_OK, "neither the old nor the new checkpoint: %s", err.text);
    int which = state.step == 100;
    ck_assert(which || state.step == 41);
    rg_checkpoint_free(&state);
    return which;
}

static void check_fault(rg_fault kind, bool names_survive)
{
    const char *path = file_named("torture.safetensors");
    int64_t calls = 0;
    for (bool hit = true; hit;) {
        rg_error err = {0};
        rig a = saved_rig(path);
        a.state.step = 100;
        rg_faulty_begin(kind, ++calls);
        rg_status status = rg_checkpoint_save(path, a.params, &a.state, &err);
        hit = rg_faulty_end();
        if (kind == RG_FS_POWER) rg_faulty_power_loss(names_survive);
        int which = which_checkpoint(path, &a);
        ck_assert_msg(status != RG_OK || which == 1, "call %d: saved, but it is not there",
                      (int)calls);
        ck_assert_msg(status == RG_OK || err.text[0], "call %d failed without a word", (int)calls);
        if (kind == RG_FS_SHORT || kind == RG_FS_EINTR)
            ck_assert_msg(status == RG_OK, "call %d: %s", (int)calls, err.text);
        close_rig(&a);
        ck_assert_int_lt(calls, 1000);
    }
    ck_assert_int_gt(calls, 5);
}

START_TEST(a_failing_disk_keeps_the_old_or_the_new)
{
    check_fault(RG_FS_FAIL, false);
    check_fault(RG_FS_FULL, false);
}
END_TEST

START_TEST(short_and_interrupted_calls_do_not_matter)
{
    check_fault(RG_FS_SHORT, false);
    check_fault(RG_FS_EINTR, false);
}
END_TEST

START_TEST(a_power_loss_keeps_the_old_or_the_new)
{
    check_fault(RG_FS_POWER, false);
    check_fault(RG_FS_POWER, true);
}
END_TEST

/* Reading from a failing disk: an error or the right state. */
START_TEST(failing_reads_are_told)
{
    const char *path = file_named("reads.safetensors");
    rig a = saved_rig(path);
    int64_t calls = 0;
    for (bool hit = true; hit;) {
        rg_error err = {0};
        rig b = open_rig(4, false, 2);
        rg_faulty_begin(RG_FS_FAIL, ++calls);
        rg_status status = rg_checkpoint_load(path, b.params, b.ex, &b.state, &err);
        hit = rg_faulty_end();
        ck_assert_msg(status == RG_OK || strstr(err.text, path), "call %d: %s", (int)calls,
                      err.text);
        if (status == RG_OK) expect_same(&a, &b);
        close_rig(&b);
        ck_assert_int_lt(calls, 1000);
    }
    ck_assert_int_gt(calls, 5);
    close_rig(&a);
}
END_TEST

RG_TEST_MAIN("checkpoint", 120, going_on_gives_the_same_bits, extra_text_comes_back,
             companions_are_kept_too, without_averages_they_start_at_the_values,
             other_models_are_refused_by_tensor, inference_uses_averaged_weights, prefixes_select,
             versions_and_counters_are_checked, a_failing_disk_keeps_the_old_or_the_new,
             short_and_interrupted_calls_do_not_matter, a_power_loss_keeps_the_old_or_the_new,
             failing_reads_are_told)
