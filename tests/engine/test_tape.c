/*
 * The tape: what rg_backward visits, adds and leaves alone.
 *
 * One idea: graphs so small that every gradient is known by hand.
 */
#include "engine/params.h"
#include "ops/ops.h"
#include "test.h"

static rg_exec *ex;

static void open_exec(rg_exec_options options)
{
    rg_error err = {0};
    options.kernels = rg_kernels_reference64();
    ex = rg_exec_create(&options, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_step_begin(ex, 0);
}

static rg_tensor *vector(float a, float b, float c)
{
    return rg_tensor_from_floats(ex, RG_SHAPE(3), (float[]){a, b, c});
}

static void expect(const rg_tensor *t, double a, double b, double c)
{
    ck_assert_msg(t != NULL, "no tensor: %s", ex->error.text);
    RG_ASSERT_NEAR(rg_tensor_get(t, 0), a, 1e-12);
    RG_ASSERT_NEAR(rg_tensor_get(t, 1), b, 1e-12);
    RG_ASSERT_NEAR(rg_tensor_get(t, 2), c, 1e-12);
}

/* Gradient of <seed, root> (seed NULL: ones) with respect to t. */
static rg_tensor *gradient(rg_tensor *root, rg_tensor *seed, rg_tensor *t)
{
    rg_tensor *out = NULL;
    rg_status status = rg_backward(ex, &root, &seed, 1, &t, 1, &out);
    ck_assert_msg(status == RG_OK, "%s", ex->error.text);
    return out;
}

START_TEST(ends_at_an_inner_tensor_and_keeps_the_tape)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *h = rg_scale(ex, x, 2), *y = rg_scale(ex, h, 5);
    expect(gradient(y, NULL, h), 5, 5, 5);
    expect(gradient(y, NULL, x), 10, 10, 10);
    expect(gradient(y, vector(1, 0, -1), h), 5, 0, -5);
    expect(gradient(h, NULL, x), 2, 2, 2);
    expect(gradient(y, NULL, y), 1, 1, 1);
    ck_assert_ptr_null(gradient(h, NULL, y)); /* no path */
    ck_assert_int_eq(ex->n_tape, 2);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(paths_meet_and_add)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3);
    rg_tensor *twice = rg_add(ex, x, x, 2, 3);                   /* 5 x */
    rg_tensor *y = rg_add(ex, twice, rg_scale(ex, x, 7), 1, 10); /* 75 x */
    expect(gradient(y, NULL, x), 75, 75, 75);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(several_roots_with_seeds)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *h = rg_scale(ex, x, 2), *y = rg_scale(ex, h, 5), *out;
    rg_tensor *roots[] = {y, h, y}, *seeds[] = {vector(1, 2, 3), NULL, vector(0, 0, 1)};
    RG_ASSERT_OK(rg_backward(ex, roots, seeds, 3, &x, 1, &out), &ex->error);
    expect(out, 12, 22, 42);
    RG_ASSERT_OK(rg_backward(ex, roots, NULL, 3, &x, 1, &out), &ex->error);
    expect(out, 22, 22, 22);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(seeds_and_targets_are_checked)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *y = rg_scale(ex, x, 2), *out = NULL, *none = NULL;
    rg_tensor *wrong = rg_tensor_from_floats(ex, RG_SHAPE(2), (float[]){1, 2});
    ck_assert_int_eq(rg_backward(ex, &y, &wrong, 1, &x, 1, &out), RG_ERR_SHAPE);
    ck_assert_msg(strstr(ex->error.text, "(2)") && strstr(ex->error.text, "(3)"), "%s",
                  ex->error.text);
    rg_error_clear(&ex->error);
    ck_assert_int_eq(rg_backward(ex, &y, NULL, 1, &none, 1, &out), RG_ERR_USAGE);
    rg_error_clear(&ex->error);
    ck_assert_int_eq(rg_backward(ex, &none, NULL, 1, &x, 1, &out), RG_ERR_USAGE);
    rg_error_clear(&ex->error);
    ck_assert_int_eq(rg_backward(ex, &y, NULL, 1, &x, 1, NULL), RG_ERR_USAGE);
    rg_error_clear(&ex->error);
    rg_tensor *state = rg_tensor_state(ex, RG_F64, RG_SHAPE(3));
    ck_assert_int_eq(rg_backward(ex, &y, NULL, 1, &state, 1, &out), RG_ERR_USAGE);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(detach_cuts)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *h = rg_scale(ex, x, 2), *cut = rg_detach(ex, h);
    rg_tensor *y = rg_add(ex, rg_scale(ex, cut, 5), x, 1, 1);
    ck_assert_ptr_eq(cut->data, h->data);
    ck_assert_ptr_null(cut->node);
    expect(gradient(y, NULL, x), 1, 1, 1);
    expect(gradient(y, NULL, cut), 5, 5, 5);
    ck_assert_ptr_null(gradient(y, NULL, h));
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(fixed_inputs_pass_nothing_on)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *target = rg_scale(ex, x, 2);
    rg_tensor *loss = rg_distance(ex, vector(0, 0, 0), target, RG_DISTANCE_MSE);
    ck_assert_ptr_null(gradient(loss, NULL, x));
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(rewind_frees_a_sub_pass)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *h = rg_scale(ex, x, 2);
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *first = rg_scale(ex, h, 5), *g = gradient(first, NULL, h);
    expect(g, 5, 5, 5);
    rg_tape_rewind(ex, mark);
    ck_assert_int_eq(ex->n_tape, 1);
    rg_tensor *second = rg_scale(ex, h, 7);
    ck_assert_ptr_eq(first, second); /* the same place */
    ck_assert_int_eq(second->id, mark.next_id);
    expect(gradient(second, NULL, h), 7, 7, 7);
    expect(gradient(h, NULL, x), 2, 2, 2);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(results_outlive_later_calls)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *h = rg_scale(ex, x, 2), *y = rg_scale(ex, h, 5);
    rg_tensor *first = gradient(y, NULL, x), *second = gradient(h, NULL, x);
    rg_tensor *z = rg_scale(ex, first, 1); /* gradients are tensors like others */
    expect(first, 10, 10, 10);
    expect(second, 2, 2, 2);
    expect(z, 10, 10, 10);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(gradient_blocks_are_used_again)
{
    open_exec((rg_exec_options){.step_bytes = (size_t)64 << 20});
    const int64_t n = 64 * 1024; /* half a MiB; 64 links are 32 MiB of activations */
    rg_tensor *x = rg_tensor_new(ex, RG_F64, RG_SHAPE(n)), *y = x, *out;
    memset(x->data, 0, (size_t)n * sizeof(double));
    for (int i = 0; i < 64; i++) y = rg_scale(ex, y, 1);
    size_t before = rg_arena_used(ex->step);
    RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, &x, 1, &out), &ex->error);
    RG_ASSERT_NEAR(rg_tensor_get(out, n - 1), 1, 0);
    size_t block = (size_t)n * sizeof(double);
    ck_assert_uint_le(rg_arena_high_water(ex->step) - before, 3 * block + 4096);
    ck_assert_uint_le(rg_arena_used(ex->step) - before, block + 4096); /* only the result stays */
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(errors_stick)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *two = rg_tensor_from_floats(ex, RG_SHAPE(2), (float[]){1, 2});
    ck_assert_ptr_null(rg_add(ex, x, two, 1, 1));
    ck_assert_int_eq(rg_exec_status(ex), RG_ERR_SHAPE);
    ck_assert_msg(!strncmp(ex->error.text, "add: ", 5), "%s", ex->error.text);
    char text[RG_ERROR_TEXT];
    memcpy(text, ex->error.text, sizeof text);
    ck_assert_ptr_null(rg_scale(ex, x, 2)); /* fine by itself */
    ck_assert_ptr_null(rg_scale(ex, NULL, 2));
    ck_assert_ptr_null(rg_dropout(ex, x, 0));
    ck_assert_ptr_null(rg_detach(ex, x));
    ck_assert_ptr_null(rg_tensor_new(ex, RG_F64, RG_SHAPE(1)));
    ck_assert_int_eq(rg_backward(ex, &x, NULL, 1, &x, 1, &(rg_tensor *){NULL}), RG_ERR_SHAPE);
    ck_assert_str_eq(ex->error.text, text);
    ck_assert_int_eq(ex->n_tape, 0);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(missing_input_is_named)
{
    open_exec((rg_exec_options){0});
    ck_assert_ptr_null(rg_linear(ex, vector(1, 2, 3), NULL, NULL, RG_ACT_NONE));
    ck_assert_str_eq(ex->error.text, "linear: input w is NULL");
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(full_tape_and_full_arena_are_errors)
{
    open_exec((rg_exec_options){.tape_capacity = 3});
    rg_tensor *x = vector(1, 2, 3);
    for (int i = 0; i < 3; i++) x = rg_scale(ex, x, 2);
    ck_assert_ptr_nonnull(x);
    ck_assert_ptr_null(rg_scale(ex, x, 2));
    ck_assert_int_eq(rg_exec_status(ex), RG_ERR_NOMEM);
    rg_exec_destroy(ex);
    open_exec((rg_exec_options){.step_bytes = 8192});
    ck_assert_ptr_null(rg_tensor_new(ex, RG_F64, RG_SHAPE(100, 100)));
    ck_assert_int_eq(rg_exec_status(ex), RG_ERR_NOMEM);
    ck_assert_msg(strstr(ex->error.text, "(100,100)"), "%s", ex->error.text);
    rg_exec_destroy(ex);
    open_exec((rg_exec_options){.step_bytes = 8192});
    rg_tensor *y = rg_tensor_new(ex, RG_F64, RG_SHAPE(300)), *out; /* room for it, a copy, ... */
    memset(y->data, 0, 300 * sizeof(double));
    rg_tensor *z = rg_scale(ex, y, 1); /* ... but not for two gradients */
    ck_assert_ptr_nonnull(z);
    ck_assert_int_eq(rg_backward(ex, &z, NULL, 1, &y, 1, &out), RG_ERR_NOMEM);
    ck_assert_ptr_null(out);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(equal_steps_have_equal_addresses_and_hashes)
{
    open_exec((rg_exec_options){0});
    rg_tensor *last[2], *grad[2];
    uint64_t hash[3];
    for (int i = 0; i < 2; i++) {
        rg_step_begin(ex, (uint64_t)i);
        rg_tensor *x = vector(1, 2, 3);
        last[i] = rg_add(ex, rg_scale(ex, x, 2 + i), x, 1, 1);
        grad[i] = gradient(last[i], NULL, x);
        hash[i] = rg_tape_hash(ex);
    }
    ck_assert_ptr_eq(last[0], last[1]);
    ck_assert_ptr_eq(grad[0]->data, grad[1]->data);
    ck_assert_uint_eq(hash[0], hash[1]);
    rg_scale(ex, last[1], 1);
    hash[2] = rg_tape_hash(ex);
    ck_assert(hash[2] != hash[1]);
    rg_step_begin(ex, 2);
    rg_tensor *x = rg_tensor_from_floats(ex, RG_SHAPE(1, 3), (float[]){1, 2, 3});
    rg_add(ex, rg_scale(ex, x, 2), x, 1, 1);
    ck_assert(rg_tape_hash(ex) != hash[1]); /* another shape */
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(first_nonfinite_is_found)
{
    open_exec((rg_exec_options){0});
    char name[64] = "";
    rg_tensor *x = vector(1, INFINITY, 3);
    rg_scale(ex, vector(1, 2, 3), 2);
    ck_assert(!rg_tape_first_nonfinite(ex, name, sizeof name));
    rg_add(ex, x, x, 1, -1);
    ck_assert(rg_tape_first_nonfinite(ex, name, sizeof name));
    ck_assert_str_eq(name, "add#1 output 0");
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(dropout_is_keyed_by_step_and_place)
{
    enum { N = 4000 };
    open_exec((rg_exec_options){.seed = 5});
    double sum[3] = {0};
    uint64_t bits[3] = {0};
    for (int i = 0; i < 3; i++) {
        rg_step_begin(ex, i == 2 ? 0 : (uint64_t)i); /* steps 0, 1, 0 */
        rg_tensor *x = rg_tensor_new(ex, RG_F64, RG_SHAPE(N));
        for (int k = 0; k < N; k++) ((double *)x->data)[k] = 1;
        rg_tensor *y = rg_dropout(ex, x, 0.25), *z = rg_dropout(ex, x, 0.25);
        int equal = 0;
        for (int k = 0; k < N; k++) {
            sum[i] += rg_tensor_get(y, k) / N;
            bits[i] = bits[i] * 31 + (rg_tensor_get(y, k) > 0);
            equal += rg_tensor_get(y, k) == rg_tensor_get(z, k);
        }
        RG_ASSERT_NEAR(sum[i], 1, 0.05);
        ck_assert_int_lt(equal, N * 3 / 4); /* another place: 62.5 % agree by chance */
        expect(gradient(y, NULL, x), rg_tensor_get(y, 0), rg_tensor_get(y, 1), rg_tensor_get(y, 2));
        bool was = rg_set_recording(ex, false);
        ck_assert_ptr_eq(rg_dropout(ex, x, 0.25), x);
        rg_set_recording(ex, was);
    }
    ck_assert(bits[0] == bits[2] && bits[0] != bits[1]);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(without_recording_nothing_is_kept)
{
    open_exec((rg_exec_options){0});
    ck_assert(rg_set_recording(ex, false));
    rg_tensor *x = vector(1, 2, 3);
    rg_tensor *w = rg_tensor_from_floats(ex, RG_SHAPE(3, 1), (float[]){1, 1, 1});
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *y = rg_linear(ex, x, w, NULL, RG_ACT_GELU);
    ck_assert_ptr_null(y->node);
    ck_assert_int_eq(ex->n_tape, 0);
    ck_assert_uint_le(rg_arena_used(ex->step) - mark.arena.low, sizeof *y + 2 * RG_ALIGN);
    rg_tape_rewind(ex, mark);
    ck_assert_ptr_eq(rg_linear(ex, x, w, NULL, RG_ACT_GELU), y);
    ck_assert(!rg_set_recording(ex, true));
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(operations_are_counted)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3), *out, *both[2];
    rg_tensor *w = rg_tensor_from_floats(ex, RG_SHAPE(3, 2), (float[]){1, 2, 3, 4, 5, 6});
    rg_tensor *y = rg_linear(ex, x, w, NULL, RG_ACT_NONE);
    ck_assert_int_eq(ex->flops, 12);
    RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, &x, 1, &out), &ex->error);
    expect(out, 3, 7, 11);
    ck_assert_int_eq(ex->flops, 24); /* of x alone */
    RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, (rg_tensor *[]){x, w}, 2, both), &ex->error);
    ck_assert_int_eq(ex->flops, 48);
    rg_step_begin(ex, 1);
    ck_assert_int_eq(ex->flops, 0);
    rg_exec_destroy(ex);
}
END_TEST

/* ---- parameters on the tape ---- */

typedef struct two_sets {
    rg_params *generator, *discriminator;
    rg_tensor *g, *d;
} two_sets;

static two_sets make_sets(void)
{
    rg_error err = {0};
    two_sets s = {rg_params_create(&err), rg_params_create(&err), NULL, NULL};
    s.g = rg_params_add(s.generator, "g", RG_SHAPE(3), (rg_init){RG_INIT_ONES, 0});
    s.d = rg_params_add(s.discriminator, "d", RG_SHAPE(3), (rg_init){RG_INIT_ONES, 0});
    RG_ASSERT_OK(rg_params_finish(s.generator, ex, 1, true, &err), &err);
    RG_ASSERT_OK(rg_params_finish(s.discriminator, ex, 1, true, &err), &err);
    return s;
}

static void free_sets(two_sets s)
{
    rg_params_destroy(s.generator);
    rg_params_destroy(s.discriminator);
    rg_exec_destroy(ex);
}

static double flat_gradient(rg_params *params, rg_exec *on, int i)
{
    ck_assert_int_eq(rg_params_unfold_gradients(params, on), RG_OK);
    return rg_params_gradients(params)[i];
}

START_TEST(only_targets_get_gradients)
{
    open_exec((rg_exec_options){0});
    two_sets s = make_sets();
    int32_t n;
    rg_tensor *x = vector(1, 2, 3);
    rg_tensor *y = rg_add(ex, rg_add(ex, x, s.g, 1, 2), s.d, 3, 5);
    rg_tensor *const *wrt = rg_params_trainable(s.generator, &n);
    ck_assert_int_eq(n, 1);
    for (int i = 1; i <= 2; i++) { /* parameters' gradients are added */
        RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, wrt, n, NULL), &ex->error);
        RG_ASSERT_NEAR(flat_gradient(s.generator, ex, 0), 6 * i, 0);
        RG_ASSERT_NEAR(flat_gradient(s.discriminator, ex, 0), 0, 0);
    }
    rg_tensor *targets[] = {s.d, x, s.g}, *out[3];
    RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, targets, 3, out), &ex->error);
    RG_ASSERT_NEAR(flat_gradient(s.discriminator, ex, 0), 5, 0);
    RG_ASSERT_NEAR(flat_gradient(s.generator, ex, 0), 18, 0);
    expect(out[0], 5, 5, 5);
    expect(out[1], 3, 3, 3);
    expect(out[2], 18, 18, 18);
    rg_params_zero_gradients(s.generator);
    RG_ASSERT_NEAR(flat_gradient(s.generator, ex, 0), 0, 0);
    rg_tensor *off = rg_scale(ex, x, 2);
    RG_ASSERT_OK(rg_backward(ex, &off, NULL, 1, targets, 3, out), &ex->error);
    ck_assert(!out[0] && out[1] && !out[2]);
    free_sets(s);
}
END_TEST

START_TEST(changed_parameters_are_refused)
{
    open_exec((rg_exec_options){0});
    two_sets s = make_sets();
    rg_tensor *x = vector(1, 2, 3), *h = rg_add(ex, x, s.d, 1, 1), *y = rg_add(ex, h, s.g, 1, 1);
    rg_tensor *out;
    RG_ASSERT_OK(rg_params_refresh(s.discriminator, ex), &ex->error);
    expect(gradient(y, NULL, h), 1, 1, 1); /* its node is not visited */
    ck_assert_int_eq(rg_backward(ex, &y, NULL, 1, &x, 1, &out), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(ex->error.text, "input b"), "%s", ex->error.text);
    free_sets(s);
}
END_TEST

START_TEST(parameters_live_on_over_steps_and_late_sets)
{
    open_exec((rg_exec_options){0});
    rg_tensor *x = vector(1, 2, 3); /* before any parameter has its number */
    two_sets s = make_sets();
    rg_tensor *y = rg_add(ex, x, s.g, 1, 2);
    ck_assert_int_eq(s.g->id, 0);
    ck_assert_int_eq(s.d->id, 1);
    expect(gradient(y, NULL, x), 1, 1, 1);
    rg_step_begin(ex, 1);
    y = rg_add(ex, vector(0, 0, 0), s.d, 1, 2);
    RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, &s.d, 1, NULL), &ex->error);
    RG_ASSERT_NEAR(flat_gradient(s.discriminator, ex, 2), 2, 0);
    RG_ASSERT_NEAR(flat_gradient(s.generator, ex, 2), 0, 0);
    free_sets(s);
}
END_TEST

RG_TEST_MAIN("tape", 60, ends_at_an_inner_tensor_and_keeps_the_tape, paths_meet_and_add,
             several_roots_with_seeds, seeds_and_targets_are_checked, detach_cuts,
             fixed_inputs_pass_nothing_on, rewind_frees_a_sub_pass, results_outlive_later_calls,
             gradient_blocks_are_used_again, errors_stick, missing_input_is_named,
             full_tape_and_full_arena_are_errors, equal_steps_have_equal_addresses_and_hashes,
             first_nonfinite_is_found, dropout_is_keyed_by_step_and_place,
             without_recording_nothing_is_kept, operations_are_counted, only_targets_get_gradients,
             changed_parameters_are_refused, parameters_live_on_over_steps_and_late_sets)
