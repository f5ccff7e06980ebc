/*
 * The codebooks of a codec run (codec_task.h): their start, their updates, how many a step uses.
 *
 * One idea: every decision is a function of (seed, step) and of the update's vectors in the order
 * of the crops, never of how the batch is split, so processes that see the same vectors agree.
 * Not here: averages and revival (nn/rvq.h).
 */
#include <math.h>
#include <string.h>

#include "train/codec_task.h"

enum { STREAM_DROPOUT = 0x6471, STREAM_CODEBOOKS = 0x6362 };

/* ---- the plan ---- */

static rg_status add_choice(rg_codec_run *run, const char *key, double value, double books,
                            rg_error *err)
{
    rg_codebook_plan *plan = &run->plan;
    int32_t all = rg_encodec_config_of(run->model)->codebooks;
    if (!(books >= 1 && books <= all) || plan->n_choices == RG_MAX_BOOKS)
        return rg_fail(err, RG_ERR_CONFIG,
                       "%s: %s: %g means %g codebooks; this codec has %d, and at most %d choices",
                       rg_config_place(run->context.config, key), key, value, books, (int)all,
                       RG_MAX_BOOKS);
    plan->choices[plan->n_choices++] = (int32_t)books;
    return RG_OK;
}

/* As many whole codebooks as fit into a bitrate. */
static double books_at(const rg_encodec_config *c, double kbps)
{
    return floor(kbps * 1000 / (rg_encodec_bitrate(c) / c->codebooks) + 1e-9);
}

static rg_status read_choices(rg_codec_run *run, rg_error *err)
{
    static const char *const by_count = "quantizer.books", *const by_rate = "quantizer.kbps";
    const rg_config *c = run->context.config;
    double kbps[RG_MAX_BOOKS + 1];
    int64_t books[RG_MAX_BOOKS + 1];
    size_t n = rg_config_ints(c, by_count, books, RG_MAX_BOOKS + 1);
    size_t m = rg_config_reals(c, by_rate, kbps, RG_MAX_BOOKS + 1);
    if (n && m)
        return rg_fail(err, RG_ERR_CONFIG, "%s: %s and %s say the same twice; leave one out",
                       rg_config_place(c, by_rate), by_count, by_rate);
    for (size_t i = 0; i < n && i <= RG_MAX_BOOKS; i++)
        RG_TRY(add_choice(run, by_count, (double)books[i], (double)books[i], err));
    for (size_t i = 0; i < m && i <= RG_MAX_BOOKS; i++)
        RG_TRY(add_choice(run, by_rate, kbps[i],
                          books_at(rg_encodec_config_of(run->model), kbps[i]), err));
    return RG_OK;
}

rg_status rg_codec_run_read_plan(rg_codec_run *run, rg_error *err)
{
    const rg_config *c = run->context.config;
    run->plan = (rg_codebook_plan){
        .start_step = rg_config_text(c, "init")[0]
                          ? 0 /* the codebooks are there */
                          : (int64_t)((double)run->steps * rg_config_real(c, "quantizer.start")),
        .decay = rg_config_real(c, "quantizer.decay"),
        .dead_threshold = rg_config_real(c, "quantizer.dead"),
        .pool = rg_config_real(c, "quantizer.pool"),
        .dropout = rg_config_real(c, "quantizer.dropout"),
        .commit_weight = rg_config_real(c, "losses.commit"),
        .commit_sum = rg_config_bool(c, "losses.commit_sum")};
    return read_choices(run, err);
}

double rg_codec_run_commit_weight(const rg_codec_run *run)
{
    return run->plan.commit_weight * (run->plan.commit_sum ? run->n_q : 1);
}

int32_t rg_codec_run_book_counts(const rg_codec_run *run, int32_t *books)
{
    const rg_codebook_plan *plan = &run->plan;
    int32_t all = rg_encodec_config_of(run->model)->codebooks, n = 0;
    for (int32_t k = 1; k <= all; k++) {
        bool drawn = plan->n_choices == 0, whole = k == all && plan->dropout < 1;
        for (int32_t i = 0; i < plan->n_choices; i++) drawn |= plan->choices[i] == k;
        if (whole || (drawn && plan->dropout > 0)) books[n++] = k;
    }
    return n;
}

/* ---- steps ---- */

/* Latents of `batches` batches of crops from step `step` on, one after another in out: each process
 * makes its own and then has all. */
static rg_status pool_latents(rg_codec_run *run, int64_t step, int64_t batches, float *out,
                              double *wait)
{
    rg_exec *ex = run->context.ex;
    rg_comm *comm = run->context.comm;
    int32_t rank = rg_comm_rank(comm), world = rg_comm_world(comm);
    rg_error err = {0};
    for (int64_t i = rank; i < batches; i += world) {
        rg_mark mark = rg_tape_mark(ex);
        rg_tensor *x =
            rg_codec_run_crops(run, step + i / run->micros, (int32_t)(i % run->micros), wait);
        rg_tensor *z = rg_codec_run_encode(run, x, NULL);
        if (!z) return rg_exec_status(ex);
        int64_t n = rg_shape_count(z->shape);
        rg_tensor_floats(z, 0, n, out + i * n);
        rg_tape_rewind(ex, mark);
        if (rg_comm_all_gather(comm, out + i * n, out + (i - rank) * n, (size_t)n * sizeof *out,
                               &err) != RG_OK)
            return rg_exec_fail(ex, err.code, "%s", err.text);
    }
    return RG_OK;
}

/* Latent vectors of one micro-batch. */
static int64_t vectors_per_batch(const rg_codec_run *run)
{
    return run->batch * run->frames / rg_encodec_hop(rg_encodec_config_of(run->model));
}

int64_t rg_codec_run_pool(const rg_codec_run *run)
{
    int64_t per_step = vectors_per_batch(run) * run->micros;
    double wanted = run->plan.pool * rg_encodec_config_of(run->model)->entries;
    return (int64_t)ceil(wanted / (double)per_step) * per_step;
}

/*
 * k-means over the latents of as many further crops as the codebooks need. They all come from the
 * encoder as it is now, so nothing has to be kept between steps.
 */
rg_status rg_codec_run_start_books(rg_codec_run *run, int64_t step, double *wait)
{
    rg_exec *ex = run->context.ex;
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    int64_t per_batch = vectors_per_batch(run), n = rg_codec_run_pool(run);
    rg_mark mark = rg_tape_mark(ex);
    float *pool = rg_arena_alloc(ex->step, (size_t)(n * c->dimension) * sizeof *pool);
    if (!pool) return rg_exec_fail(ex, RG_ERR_NOMEM, "step arena is full; use a smaller pool");
    bool recording = rg_set_recording(ex, false);
    rg_status status = pool_latents(run, step, n / per_batch, pool, wait);
    rg_set_recording(ex, recording);
    if (status == RG_OK)
        status = rg_quantizer_start(rg_encodec_quantizer(run->model), ex, pool, n,
                                    (double)(per_batch * run->micros),
                                    rg_rng_stream(run->context.seed, STREAM_CODEBOOKS, 0));
    rg_tape_rewind(ex, mark);
    if (status == RG_OK)
        rg_log_line(run->context.log, RG_LOG_INFO, "step %lld: codebooks started from %lld vectors",
                    (long long)step, (long long)n);
    return status;
}

int32_t rg_codec_run_draw_books(const rg_codec_run *run, int64_t step)
{
    const rg_codebook_plan *plan = &run->plan;
    if (step < plan->start_step) return 0;
    int32_t books = rg_encodec_config_of(run->model)->codebooks;
    rg_rng rng = rg_rng_make(run->context.seed, rg_rng_stream(STREAM_DROPOUT, (uint64_t)step, 0));
    if (!(rg_rng_uniform(&rng) < plan->dropout)) return books;
    if (plan->n_choices) return plan->choices[rg_rng_below(&rng, (uint64_t)plan->n_choices)];
    return 1 + (int32_t)rg_rng_below(&rng, (uint64_t)books);
}

void rg_codec_run_keep_codes(rg_codec_run *run, const rg_rvq_out *q, int32_t micro)
{
    rg_exec *ex = run->context.ex;
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    int64_t m = vectors_per_batch(run), all = m * run->micros;
    int64_t width = c->dimension;
    const int32_t *codes = rg_tensor_read(ex, q->codes);
    const float *residuals = rg_tensor_read(ex, q->residuals);
    if (!codes || !residuals) return; /* the exec's error says why */
    memcpy(run->codes + micro * m * c->codebooks, codes,
           (size_t)(m * c->codebooks) * sizeof *run->codes);
    for (int64_t k = 0; k < run->n_q; k++) {
        memcpy(run->residuals + (k * all + micro * m) * width, residuals + k * m * width,
               (size_t)(m * width) * sizeof *run->residuals);
    }
}

/* What all processes kept of the update, which lies in the order of its micro-batches. */
static rg_status exchange_codes(rg_codec_run *run)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    rg_comm *comm = run->context.comm;
    int32_t rank = rg_comm_rank(comm), world = rg_comm_world(comm);
    int64_t m = vectors_per_batch(run), books = m * c->codebooks, width = m * c->dimension;
    rg_error err = {0};
    rg_status status = RG_OK;
    for (int64_t i = 0; i < run->micros && world > 1 && status == RG_OK; i += world) {
        int32_t *codes = run->codes + i * books;
        status = rg_comm_all_gather(comm, codes + rank * books, codes,
                                    (size_t)books * sizeof *codes, &err);
        for (int64_t k = 0; k < run->n_q && status == RG_OK; k++) {
            float *r = run->residuals + (k * run->micros + i) * width;
            status = rg_comm_all_gather(comm, r + rank * width, r, (size_t)width * sizeof *r, &err);
        }
    }
    return status == RG_OK ? RG_OK : rg_exec_fail(run->context.ex, status, "%s", err.text);
}

rg_status rg_codec_run_learn_books(rg_codec_run *run, int64_t step, rg_metrics *metrics)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    rg_quantizer *q = rg_encodec_quantizer(run->model);
    int64_t m = vectors_per_batch(run) * run->micros, revived = 0;
    rg_quantizer_update update = {.decay = run->plan.decay,
                                  .epsilon = 1e-5,
                                  .dead_threshold = run->plan.dead_threshold,
                                  .seed = run->context.seed,
                                  .step = (uint64_t)step};
    RG_TRY(exchange_codes(run));
    RG_TRY(rg_quantizer_learn(q, run->context.ex, run->codes, run->residuals, m, run->n_q, &update,
                              &revived));
    rg_metrics_set(metrics, "rvq/revived", (double)revived);
    for (int32_t k = 0; k < c->codebooks; k++) {
        char name[RG_METRIC_NAME];
        double perplexity;
        int64_t used = rg_quantizer_usage(q, k, run->plan.dead_threshold, &perplexity);
        snprintf(name, sizeof name, "rvq/perplexity_%d", (int)k);
        rg_metrics_set(metrics, name, perplexity);
        snprintf(name, sizeof name, "rvq/used_%d", (int)k);
        rg_metrics_set(metrics, name, (double)used);
    }
    return RG_OK;
}
