/*
 * What the processes of a run agree on (trainer_internal.h).
 *
 * One idea: nothing is assumed. Before the first step all say what they are about to do, and the
 * one that differs is named; after it every decision is either drawn from the shared seed or made
 * here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "dist/zero.h"
#include "train/trainer_internal.h"

rg_status rg__trainer_tell(rg__trainer *t, void *data, size_t size, rg_error *err)
{
    return rg_comm_broadcast(t->comm, data, size, 0, err);
}

/* What must be the same everywhere. */
typedef struct claim {
    char version[128], config[65], kernels[32], checkpoint[RG_RUN_PATH];
    int32_t operands;
} claim;

static rg_status compare(const claim *all, const rg_comm *comm, int32_t r, rg_error *err)
{
    const claim *a = &all[0], *b = &all[r];
    const struct {
        const char *what, *zero, *other;
    } members[] = {{"the program", a->version, b->version},
                   {"the configuration (hash)", a->config, b->config},
                   {"kernels", a->kernels, b->kernels},
                   {"the checkpoint", a->checkpoint, b->checkpoint}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].zero, members[i].other) != 0)
            return rg_fail(err, RG_ERR_MISMATCH, "%s: rank 0 has %s, %s has %s%s", members[i].what,
                           members[i].zero, rg_comm_rank_text(comm, r), members[i].other,
                           i == 2 ? "; RG_ISA says the level that all hosts have" : "");
    if (a->operands != b->operands)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "precision.products: %s multiplies in another precision than rank 0; say "
                       "fp32 or bf16 instead of auto",
                       rg_comm_rank_text(comm, r));
    return RG_OK;
}

static void say_who_takes_part(rg__trainer *t)
{
    if (t->world > 1)
        rg_log_line(&t->log, RG_LOG_INFO,
                    "%d processes over %s, each with %lld of the %lld micro-batches of an update",
                    (int)t->world, t->machine.gpu ? "nccl" : rg_comm_backend_name(t->comm),
                    (long long)rg_config_int(t->config, "accumulate") / t->world,
                    (long long)rg_config_int(t->config, "accumulate"));
}

rg_status rg__trainer_agree(rg__trainer *t, const char *checkpoint, rg_error *err)
{
    claim own = {.operands = (int32_t)t->machine.ex->kernel_ctx.operands};
    rg_zero_options options = {.comm = t->comm,
                               .shards = (int32_t)rg_config_int(t->config, "shards")};
    claim *all = calloc((size_t)t->world, sizeof *all);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    rg_copy_text(own.version, sizeof own.version, t->options->version ? t->options->version : "");
    rg_config_hash(t->config, own.config);
    rg_copy_text(own.kernels, sizeof own.kernels, t->machine.ex->kernels->name);
    rg_copy_text(own.checkpoint, sizeof own.checkpoint, checkpoint);
    rg_status status = rg_comm_all_gather(t->comm, &own, all, sizeof own, err);
    for (int32_t r = 1; r < t->world && status == RG_OK; r++)
        status = compare(all, t->comm, r, err);
    free(all);
    if (status == RG_OK)
        status = rg_zero_check(&options, rg_config_int(t->config, "accumulate"), err);
    if (status != RG_OK) return status;
    if (t->world > 1 || options.shards > 1)
        t->machine.ex->flat_multiple = (int64_t)t->world * RG_ZERO_UNIT;
    say_who_takes_part(t);
    return RG_OK;
}

rg_status rg__trainer_share(rg__trainer *t, rg_error *err)
{
    rg_zero_options options = {.comm = t->comm,
                               .shards = (int32_t)rg_config_int(t->config, "shards"),
                               .bucket_bytes = rg_config_int(t->config, "bucket") << 10,
                               .last_pass = t->task->last_pass,
                               .ctx = t->self};
    if (t->world == 1 && options.shards <= 1) return RG_OK;
    if (t->world > 1 && t->machine.gpu)
        RG_TRY(rg_comm_open_gpu(t->comm, t->machine.gpu, &t->gpu_comm, err));
    options.gpu_comm = t->gpu_comm;
    RG_TRY(rg_zero_attach(t->params, &options, err));
    options.last_pass = NULL; /* those beside it are not told while gradients come */
    for (rg_params *p = rg_params_companion(t->params); p; p = rg_params_companion(p))
        RG_TRY(rg_zero_attach(p, &options, err));
    return RG_OK;
}

rg_status rg__trainer_stops(rg__trainer *t, bool *stops, rg_error *err)
{
    double stop = t->options->stop && *t->options->stop;
    rg_status status = rg_comm_allreduce(t->comm, RG_COMM_MAX_F64, &stop, 1, err);
    *stops = stop > 0;
    return status;
}

rg_status rg__trainer_means(rg__trainer *t, rg_metrics *out, rg_error *err)
{
    enum { WAIT, EXCHANGE, SENT, EXTRA };
    double sums[2 * RG_MAX_METRICS + EXTRA];
    rg_metrics *sum = &t->mean.sum;
    int32_t n = sum->n;
    rg_comm_traffic traffic = rg_comm_take_traffic(t->comm);
    const rg_comm_traffic between_gpus = rg_comm_take_traffic(t->gpu_comm);
    traffic.seconds += between_gpus.seconds;
    traffic.bytes += between_gpus.bytes;
    RG_TRY(rg__trainer_tell(t, &n, sizeof n, err)); /* the metrics that rank 0 has */
    RG_TRY(rg__trainer_tell(t, sum->name, sizeof sum->name, err));
    if (n != sum->n)
        return rg_fail(err, RG_ERR_MISMATCH, "%s measures %d metrics, rank 0 %d",
                       rg_comm_rank_text(t->comm, t->rank), (int)sum->n, (int)n);
    for (int32_t i = 0; i < n; i++) {
        sums[EXTRA + i] = sum->value[i];
        sums[EXTRA + n + i] = (double)t->mean.count[i];
    }
    sums[WAIT] = t->window_wait;
    sums[EXCHANGE] = traffic.seconds;
    sums[SENT] = (double)traffic.bytes;
    RG_TRY(rg_comm_allreduce(t->comm, RG_COMM_SUM_F64, sums, 2 * n + EXTRA, err));
    for (int32_t i = 0; i < n; i++) {
        sum->value[i] = sums[EXTRA + i];
        t->mean.count[i] = (int64_t)sums[EXTRA + n + i];
    }
    t->window_wait = sums[WAIT] / t->world;
    rg_metric_mean_take(&t->mean, out);
    if (t->world == 1) return RG_OK;
    double seconds = (rg_clock_seconds() - t->window_start) * t->world;
    rg_metrics_set(out, "exchange_share", seconds > 0 ? sums[EXCHANGE] / seconds : 0);
    rg_metrics_set(out, "exchange_mb_per_step",
                   t->window_steps ? sums[SENT] * 1e-6 / (double)t->window_steps : 0);
    return RG_OK;
}
