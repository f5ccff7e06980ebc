/*
 * AdamW, the EMA and the weights' packed form in one pass over the parameters.
 *
 * One idea: the range is spans, by turns plain numbers and a matrix. A matrix is updated in blocks
 * that stay in cache until both of its packed forms have taken them; a block is whole panels of the
 * transpose, and whole depths of the others. Every number is updated by itself, so blocks change no
 * bit. Not here: the loop over numbers (cells.inc).
 */
#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"

enum {
    RUN = 8192,            /* numbers of a plain task */
    ROWS = RG_WIDEST_TILE, /* of a matrix' task */
    COLS = 2048
};

/* Numbers from `at` on: the matrix, or, where that is NULL, n plain ones. */
typedef struct span {
    int64_t at, n, first; /* first: task */
    const rg_adamw_matrix *matrix;
} span;

typedef struct adam_job {
    const rg_isa *isa;
    const rg_adamw_args *a;
    rg_adam_factors f;
    span *spans;
    int64_t n_spans;
} adam_job;

static void update(const adam_job *j, int64_t at, int64_t n)
{
    const rg_adamw_args *a = j->a;
    j->isa->vec->adam(&j->f, a->g + at, a->decay ? a->decay + at : NULL, a->w + at, a->m + at,
                      a->v + at, a->ema ? a->ema + at : NULL, n);
}

static void update_block(const adam_job *j, const rg_adamw_matrix *m, int64_t block)
{
    const int64_t across = div_up(m->cols, COLS);
    const int64_t r0 = block / across * ROWS, r1 = min64(m->rows, r0 + ROWS);
    const int64_t c0 = block % across * COLS, c1 = min64(m->cols, c0 + COLS);
    for (int64_t r = r0; r < r1; r++) update(j, m->at + r * m->cols + c0, c1 - c0);
    rg_cpu_pack_block(j->isa, j->a->w + m->at, m->rows, m->cols, m->type, r0, r1, c0, c1,
                      m->packed);
}

static void adam_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const adam_job *j = ctx;
    const span *s = j->spans + j->n_spans - 1;
    while (s->first > task) s--;
    const int64_t block = task - s->first;
    if (s->matrix)
        update_block(j, s->matrix, block);
    else
        update(j, s->at + block * RUN, min64(RUN, s->n - block * RUN));
}

/* Plain numbers up to the next matrix, that matrix, and so on; returns how many tasks they are. */
static int64_t cut_spans(adam_job *j)
{
    const rg_adamw_args *a = j->a;
    int64_t at = 0, tasks = 0;
    for (int64_t i = 0; i <= a->n_matrices; i++) {
        const rg_adamw_matrix *m = i < a->n_matrices ? a->matrices + i : NULL;
        const int64_t end = m ? m->at : a->n;
        j->spans[j->n_spans++] = (span){at, end - at, tasks, NULL};
        tasks += div_up(end - at, RUN);
        if (!m) break;
        j->spans[j->n_spans++] = (span){m->at, m->rows * m->cols, tasks, m};
        tasks += div_up(m->rows, ROWS) * div_up(m->cols, COLS);
        at = m->at + m->rows * m->cols;
    }
    return tasks;
}

rg_status rg_cpu_adamw(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_adamw_args *a)
{
    adam_job j = {.isa = isa, .a = a};
    if (a->now->skip) {
        rg_ref_adamw_skip(a);
        return RG_OK;
    }
    j.f = (rg_adam_factors){.lr = a->now->rate,
                            .beta1 = (float)a->beta1,
                            .beta2 = (float)a->beta2,
                            .rest1 = (float)(1 - a->beta1),
                            .rest2 = (float)(1 - a->beta2),
                            .eps = (float)a->eps,
                            .decay = (float)a->weight_decay,
                            .scale = a->now->grad_scale,
                            .inverse1 = a->now->inverse1,
                            .inverse2 = a->now->inverse2,
                            .ema = a->now->ema,
                            .ema_rest = a->now->ema_rest};
    const int64_t bytes = (2 * a->n_matrices + 1) * (int64_t)sizeof(span);
    j.spans = (span *)(void *)rg_cpu_scratch(ctx, bytes / 4);
    if (!j.spans) return ctx->error->code;
    rg_pool_run(ctx->pool, adam_task, &j, cut_spans(&j));
    return RG_OK;
}
