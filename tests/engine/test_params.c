/*
 * Parameters: layout, initial values, weight norm off the tape, averaged weights.
 *
 * One idea: what must not depend on something (order, other parameters, precision) is made twice
 * and compared.
 */
#include "base/hash.h"
#include "engine/params.h"
#include "ops/ops.h"
#include "test.h"

static const rg_init normal = {RG_INIT_NORMAL, 0.5};

static rg_exec *open_exec(const rg_kernels *kernels)
{
    rg_error err = {0};
    rg_exec *ex = rg_exec_create(&(rg_exec_options){.kernels = kernels}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    return ex;
}

static rg_params *declare(void)
{
    rg_error err = {0};
    rg_params *params = rg_params_create(&err);
    ck_assert_msg(params != NULL, "%s", err.text);
    return params;
}

static void finish(rg_params *params, rg_exec *ex)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_params_finish(params, ex, 11, true, &err), &err);
}

START_TEST(flat_layout)
{
    rg_exec *ex = open_exec(rg_kernels_reference());
    rg_params *params = declare();
    rg_tensor *a = rg_params_add(params, "a", RG_SHAPE(2, 3), normal);
    rg_tensor *b = rg_params_add(params, "b", RG_SHAPE(3), (rg_init){RG_INIT_ONES, 0});
    rg_tensor *s = rg_params_add_state(params, "s", RG_I32, RG_SHAPE(4));
    rg_tensor *w = rg_params_add_normed(params, "w", RG_SHAPE(2, 2, 3), 2, normal);
    ck_assert_ptr_null(a->data);
    finish(params, ex);
    ck_assert_uint_eq(rg_params_count(params), 5);
    ck_assert_int_eq(rg_params_elements(params), 6 + 3 + 3 + 12);
    static const struct {
        const char *name;
        int64_t offset;
        bool decay;
    } want[] = {
        {"a", 0, true}, {"b", 6, false}, {"s", 0, false}, {"w_g", 9, false}, {"w_v", 12, true}};
    for (size_t i = 0; i < 5; i++) {
        const rg_param *p = rg_params_at(params, i);
        ck_assert_str_eq(p->name, want[i].name);
        ck_assert_int_eq(p->offset, want[i].offset);
        ck_assert(p->decay == want[i].decay);
        ck_assert_ptr_eq(rg_params_find(params, want[i].name), p);
        if (p->kind == RG_PARAM_STATE) continue;
        ck_assert_ptr_eq(rg_param_data(params, p), rg_params_values(params) + p->offset);
        ck_assert_int_eq(rg_params_decay(params)[p->offset], want[i].decay);
        ck_assert_str_eq(rg_params_name_of(params, p->offset), p->name);
    }
    ck_assert_ptr_null(rg_params_at(params, 5));
    ck_assert_ptr_null(rg_params_find(params, "w"));
    ck_assert_ptr_eq(a->data, rg_params_values(params));
    ck_assert_ptr_eq(b->data, rg_params_values(params) + 6);
    ck_assert(((int32_t *)s->data)[3] == 0 && s->flags == RG_TENSOR_STATE);
    ck_assert_ptr_eq(s->data, rg_param_data(params, rg_params_find(params, "s")));
    int32_t n;
    rg_tensor *const *trainable = rg_params_trainable(params, &n);
    ck_assert_int_eq(n, 3);
    ck_assert(trainable[0] == a && trainable[1] == b && trainable[2] == w);
    rg_params_destroy(params);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(initial_values_depend_on_seed_and_name_only)
{
    rg_exec *ex = open_exec(rg_kernels_reference());
    rg_params *one = declare(), *two = declare();
    rg_tensor *a = rg_params_add(one, "a", RG_SHAPE(50), normal);
    rg_params_add(two, "before", RG_SHAPE(7), normal);
    rg_params_add_normed(two, "between", RG_SHAPE(3, 4), 1, normal);
    rg_tensor *same = rg_params_add(two, "a", RG_SHAPE(50), normal);
    rg_tensor *other = rg_params_add(two, "b", RG_SHAPE(50), normal);
    finish(one, ex);
    finish(two, ex);
    ck_assert_mem_eq(a->data, same->data, 50 * sizeof(float));
    ck_assert_mem_ne(a->data, other->data, 50 * sizeof(float));
    rg_params_destroy(one);
    rg_params_destroy(two);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(kinds_of_initial_values)
{
    enum { N = 20000 };
    static const struct {
        rg_init init;
        double mean, deviation, most;
    } want[] = {{{RG_INIT_ZEROS, 1}, 0, 0, 0},
                {{RG_INIT_ONES, 0}, 1, 0, 1},
                {{RG_INIT_NORMAL, 2}, 0, 2, 1e9},
                {{RG_INIT_TRUNCATED, 2}, 0, 1.973, 6},
                {{RG_INIT_UNIFORM, 3}, 0, 1.732, 3}};
    rg_exec *ex = open_exec(rg_kernels_reference());
    for (int k = 0; k < 5; k++) {
        rg_params *params = declare();
        const float *v = NULL;
        rg_tensor *t = rg_params_add(params, "t", RG_SHAPE(N), want[k].init);
        finish(params, ex);
        double sum = 0, squares = 0, most = 0;
        v = t->data;
        for (int i = 0; i < N; i++) {
            sum += v[i];
            squares += (double)v[i] * v[i];
            most = fmax(most, fabs(v[i]));
        }
        RG_ASSERT_NEAR(sum / N, want[k].mean, 0.06);
        RG_ASSERT_NEAR(sqrt(fmax(squares / N - sum / N * sum / N, 0)), want[k].deviation, 0.03);
        ck_assert(most <= want[k].most);
        rg_params_destroy(params);
    }
    rg_exec_destroy(ex);
}
END_TEST

/* As one thread would draw them one after the other, whatever the number of threads. */
START_TEST(initial_values_do_not_depend_on_threads)
{
    enum { N = 50001, SEED = 1 };
    static float want[N];
    rg_error err = {0};
    rg_rng rng = rg_rng_make(SEED, rg_xxh3("t", 1));
    for (int i = 0; i < N;) {
        const double v = rg_rng_normal(&rng);
        if (fabs(v) <= 3) want[i++] = 2 * (float)v;
    }
    for (int32_t threads = 1; threads <= 3; threads++) {
        rg_pool *pool = rg_pool_create(threads, 0, false, &err);
        const rg_exec_options options = {
            .kernels = rg_kernels_reference(), .pool = pool, .seed = SEED};
        rg_exec *ex = rg_exec_create(&options, &err);
        ck_assert_msg(ex != NULL, "%s", err.text);
        rg_params *params = declare();
        rg_tensor *t = rg_params_add(params, "t", RG_SHAPE(N), (rg_init){RG_INIT_TRUNCATED, 2});
        RG_ASSERT_OK(rg_params_finish(params, ex, SEED, true, &err), &err);
        ck_assert_mem_eq(t->data, want, sizeof want);
        rg_params_destroy(params);
        rg_exec_destroy(ex);
        rg_pool_destroy(pool);
    }
}
END_TEST

START_TEST(faulty_declarations_are_told_at_finish)
{
    rg_exec *ex = open_exec(rg_kernels_reference());
    rg_error err = {0};
    rg_params *params = declare();
    rg_params_add(params, "twice", RG_SHAPE(2), normal);
    rg_params_add(params, "once", RG_SHAPE(2), normal);
    rg_params_add(params, "twice", RG_SHAPE(2), normal);
    ck_assert_int_eq(rg_params_finish(params, ex, 1, true, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "twice"), "%s", err.text);
    rg_params_destroy(params);
    rg_error_clear(&err);
    params = declare();
    char name[200];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    ck_assert_ptr_null(rg_params_add(params, name, RG_SHAPE(2), normal));
    ck_assert_ptr_null(rg_params_add(params, "after", RG_SHAPE(2), normal));
    rg_params_use_as_matrix(params, NULL);
    ck_assert_int_eq(rg_params_finish(params, ex, 1, true, &err), RG_ERR_MISMATCH);
    rg_params_destroy(params);
    rg_error_clear(&err);
    params = declare(); /* nothing at all is fine */
    finish(params, ex);
    ck_assert_int_eq(rg_params_finish(params, ex, 1, true, &err), RG_ERR_USAGE);
    ck_assert_int_eq(rg_params_elements(params), 0);
    rg_params_destroy(params);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(unfinished_parameters_are_refused)
{
    rg_exec *ex = open_exec(rg_kernels_reference());
    rg_params *params = declare();
    rg_tensor *w = rg_params_add(params, "w", RG_SHAPE(1, 1), normal);
    w->dtype = RG_F32;
    rg_tensor *x = rg_tensor_from_floats(ex, RG_SHAPE(1), (float[]){1});
    ck_assert_ptr_null(rg_linear(ex, x, w, NULL, RG_ACT_NONE));
    ck_assert_msg(strstr(ex->error.text, "rg_params_finish"), "%s", ex->error.text);
    rg_params_destroy(params);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(inference_takes_no_gradients)
{
    rg_exec *ex = open_exec(rg_kernels_reference());
    rg_error err = {0};
    rg_params *params = declare();
    rg_tensor *w = rg_params_add_normed(params, "w", RG_SHAPE(2, 1), 1, normal);
    RG_ASSERT_OK(rg_params_finish(params, ex, 1, false, &err), &err);
    int32_t n = 7;
    rg_params_trainable(params, &n);
    ck_assert_int_eq(n, 0);
    ck_assert(!rg_params_gradients(params) && !rg_params_moment1(params) && !rg_params_ema(params));
    rg_params_zero_gradients(params);
    rg_tensor *x = rg_tensor_from_floats(ex, RG_SHAPE(2), (float[]){1, 2});
    rg_tensor *y = rg_linear(ex, x, w, NULL, RG_ACT_NONE), *out;
    ck_assert_ptr_nonnull(y);
    RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, &x, 1, &out), &ex->error);
    ck_assert_int_eq(rg_backward(ex, &y, NULL, 1, &w, 1, NULL), RG_ERR_USAGE);
    rg_params_destroy(params);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(normed_weights_start_as_v)
{
    rg_exec *ex = open_exec(rg_kernels_cpu(NULL));
    for (int32_t axis = 0; axis < 3; axis++) {
        rg_params *params = declare();
        rg_tensor *w = rg_params_add_normed(params, "w", RG_SHAPE(3, 4, 5), axis, normal);
        finish(params, ex);
        const rg_param *v = rg_params_find(params, "w_v"), *g = rg_params_find(params, "w_g");
        ck_assert_int_eq(rg_shape_count(g->shape), 3 + axis);
        const float *from = rg_param_data(params, v);
        for (int i = 0; i < 60; i++) RG_ASSERT_NEAR(rg_tensor_get(w, i), from[i], 1e-6);
        float *gain = rg_param_data(params, g);
        for (int i = 0; i < 3 + axis; i++) gain[i] *= 2;
        uint32_t version = w->version;
        RG_ASSERT_OK(rg_params_refresh(params, ex), &ex->error);
        ck_assert_uint_gt(w->version, version);
        for (int i = 0; i < 60; i++) RG_ASSERT_NEAR(rg_tensor_get(w, i), 2 * from[i], 2e-6);
        rg_params_destroy(params);
    }
    rg_exec_destroy(ex);
}
END_TEST

/* ---- a small model with every kind of parameter, in any precision ---- */

typedef struct model {
    rg_exec *ex;
    rg_params *params;
    rg_tensor *w, *bias, *normed;
} model;

static model open_model(const rg_kernels *kernels)
{
    model m = {.ex = open_exec(kernels), .params = declare()};
    m.w = rg_params_add(m.params, "w", RG_SHAPE(4, 3), normal);
    m.bias = rg_params_add(m.params, "bias", RG_SHAPE(3), normal);
    m.normed = rg_params_add_normed(m.params, "conv", RG_SHAPE(2, 3, 2), 2, normal);
    rg_params_use_as_matrix(m.params, m.w);
    rg_params_use_as_matrix(m.params, m.normed);
    finish(m.params, m.ex);
    return m;
}

static void close_model(model m)
{
    rg_params_destroy(m.params);
    rg_exec_destroy(m.ex);
}

static rg_tensor *loss_of(model m)
{
    float x[24], y[12];
    for (int i = 0; i < 24; i++) x[i] = (float)sin(i + 1);
    for (int i = 0; i < 12; i++) y[i] = (float)cos(i);
    rg_step_begin(m.ex, 0);
    rg_tensor *h = rg_linear(m.ex, rg_tensor_from_floats(m.ex, RG_SHAPE(1, 6, 4), x), m.w, m.bias,
                             RG_ACT_GELU);
    h = rg_conv1d(m.ex, h, m.normed, NULL,
                  &(rg_conv1d_attr){.stride = 1, .dilation = 1, .pad_left = 1});
    return rg_distance(m.ex, h, rg_tensor_from_floats(m.ex, RG_SHAPE(1, 6, 2), y), RG_DISTANCE_MSE);
}

static void take_gradients(model m)
{
    int32_t n;
    rg_tensor *const *wrt = rg_params_trainable(m.params, &n);
    rg_tensor *loss = loss_of(m);
    rg_params_zero_gradients(m.params);
    RG_ASSERT_OK(rg_backward(m.ex, &loss, NULL, 1, wrt, n, NULL), &m.ex->error);
    RG_ASSERT_OK(rg_params_unfold_gradients(m.params, m.ex), &m.ex->error);
}

/* Values are floats: the steps taken are what the float became, not what was asked for. */
START_TEST(gradients_of_every_parameter_are_central_differences)
{
    model m = open_model(rg_kernels_reference64());
    take_gradients(m);
    float *values = rg_params_values(m.params);
    const float *gradients = rg_params_gradients(m.params);
    for (int64_t i = 0; i < rg_params_elements(m.params); i++) {
        float kept = values[i], up = kept + 1e-4f, down = kept - 1e-4f;
        double loss[2];
        for (int k = 0; k < 2; k++) {
            values[i] = k ? down : up;
            RG_ASSERT_OK(rg_params_refresh(m.params, m.ex), &m.ex->error);
            loss[k] = rg_tensor_get(loss_of(m), 0);
        }
        values[i] = kept;
        double numeric = (loss[0] - loss[1]) / ((double)up - down);
        ck_assert_msg(fabs(gradients[i] - numeric) <= 1e-6 + 1e-4 * fabs(numeric),
                      "%s: %.9g, central difference %.9g", rg_params_name_of(m.params, i),
                      gradients[i], numeric);
    }
    close_model(m);
}
END_TEST

START_TEST(precisions_agree)
{
    const char *const *levels = rg_kernels_cpu_levels();
    model truth = open_model(rg_kernels_reference64());
    take_gradients(truth);
    for (int k = 0; levels[k]; k++) {
        model m = open_model(rg_kernels_cpu_level(levels[k]));
        take_gradients(m);
        RG_ASSERT_NEAR(rg_tensor_get(loss_of(m), 0), rg_tensor_get(loss_of(truth), 0), 1e-6);
        for (int64_t i = 0; i < rg_params_elements(m.params); i++)
            RG_ASSERT_NEAR(rg_params_gradients(m.params)[i], rg_params_gradients(truth.params)[i],
                           2e-6);
        close_model(m);
    }
    close_model(truth);
}
END_TEST

/* Unfolding twice must not map a gradient twice. */
START_TEST(unfolding_is_repeatable)
{
    model m = open_model(rg_kernels_reference());
    take_gradients(m);
    float kept[64];
    size_t bytes = (size_t)rg_params_elements(m.params) * sizeof(float);
    ck_assert_uint_le(bytes, sizeof kept);
    memcpy(kept, rg_params_gradients(m.params), bytes);
    RG_ASSERT_OK(rg_params_unfold_gradients(m.params, m.ex), &m.ex->error);
    ck_assert_mem_eq(kept, rg_params_gradients(m.params), bytes);
    close_model(m);
}
END_TEST

START_TEST(averaged_weights_swap_in_and_out)
{
    model m = open_model(rg_kernels_reference());
    int64_t n = rg_params_elements(m.params);
    ck_assert_mem_eq(rg_params_ema(m.params), rg_params_values(m.params),
                     (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) rg_params_ema(m.params)[i] += 1;
    float first = rg_params_values(m.params)[0];
    double before = rg_tensor_get(loss_of(m), 0);
    RG_ASSERT_OK(rg_params_swap_ema(m.params, m.ex), &m.ex->error);
    RG_ASSERT_NEAR(rg_params_values(m.params)[0], first + 1, 1e-6);
    ck_assert(rg_tensor_get(loss_of(m), 0) != before);
    RG_ASSERT_OK(rg_params_swap_ema(m.params, m.ex), &m.ex->error);
    ck_assert(rg_tensor_get(loss_of(m), 0) == before);
    close_model(m);
}
END_TEST

/* A packed copy is made of the values at refresh, and of bf16 when asked for. */
START_TEST(packed_copies_follow)
{
    const rg_kernels *kernels = rg_kernels_cpu(NULL);
    model m = open_model(kernels);
    size_t full = kernels->matrix.packed_size(4, 3, RG_F32);
    size_t half = kernels->matrix.packed_size(4, 3, RG_BF16);
    ck_assert(!m.w->packed == !full);
    double before = rg_tensor_get(loss_of(m), 0);
    rg_params_set_packed_type(m.params, RG_BF16);
    ck_assert(rg_tensor_get(loss_of(m), 0) == before);
    RG_ASSERT_OK(rg_params_refresh(m.params, m.ex), &m.ex->error);
    ck_assert(!m.w->packed == !half);
    if (half) ck_assert_int_eq(m.w->packed_type, RG_BF16);
    RG_ASSERT_NEAR(rg_tensor_get(loss_of(m), 0), before, 0.02 * (1 + before));
    close_model(m);
}
END_TEST

/* Models come and go: the same tensors, ids and values, in memory that was counted beforehand. */
START_TEST(released_parameters_come_back)
{
    rg_error err = {0};
    model m = open_model(rg_kernels_cpu(NULL));
    rg_params *params = rg_params_create(&err);
    rg_tensor *w = rg_params_add(params, "w", RG_SHAPE(4, 3), (rg_init){RG_INIT_NORMAL, 1});
    rg_params_use_as_matrix(params, w);
    const rg_params_size size = rg_params_count_bytes(params, m.ex);
    ck_assert_int_eq(size.elements, 12);
    RG_ASSERT_OK(rg_params_finish(params, m.ex, 5, false, &err), &err);
    ck_assert_int_eq(rg_params_bytes(params), size.bytes);
    const float first = rg_params_values(params)[0];
    const int32_t id = w->id, ids = m.ex->n_param_ids;
    rg_params_release(params);
    ck_assert_ptr_null(w->data);
    ck_assert_int_eq(rg_params_bytes(params), 0);
    RG_ASSERT_OK(rg_params_finish(params, m.ex, 5, false, &err), &err);
    ck_assert(rg_tensor_get(w, 0) == first);
    ck_assert_int_eq(w->id, id);
    ck_assert_int_eq(m.ex->n_param_ids, ids);
    rg_params_destroy(params);
    close_model(m);
}
END_TEST

RG_TEST_MAIN("params", 60, flat_layout, initial_values_depend_on_seed_and_name_only,
             kinds_of_initial_values, initial_values_do_not_depend_on_threads,
             faulty_declarations_are_told_at_finish, unfinished_parameters_are_refused,
             inference_takes_no_gradients, normed_weights_start_as_v,
             gradients_of_every_parameter_are_central_differences, precisions_agree,
             unfolding_is_repeatable, averaged_weights_swap_in_and_out, packed_copies_follow,
             released_parameters_come_back)
