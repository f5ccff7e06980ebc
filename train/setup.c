/*
 * Before the first step (setup.h): the trainer's own configuration keys, machine.
 */
#include "train/setup.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

static const rg_config_key trainer_keys[] = {
    {"task", RG_CONFIG_CHOICE, NULL, 0, 0, "codec|tracks", "what is trained"},
    {"name", RG_CONFIG_TEXT, NULL, 0, 0, NULL, "name of the run: letters, digits, - and _"},
    {"runs", RG_CONFIG_TEXT, "runs", 0, 0, NULL, "folder that holds run directories"},
    {"seed", RG_CONFIG_INT, "1", 0, 9e15, NULL, "key of every random number of the run"},
    {"steps", RG_CONFIG_INT, NULL, 1, 1e9, NULL, "optimizer updates in all"},
    {"accumulate", RG_CONFIG_INT, "1", 1, 65536, NULL,
     "micro-batches per update, of all processes together"},
    {"shards", RG_CONFIG_INT, "0", 0, 1024, NULL,
     "groups of micro-batches whose gradients are summed apart; the same number gives the same "
     "bits "
     "on 1, 2, 4 ... processes, at a buffer of gradients each; 0: one per process"},
    {"bucket", RG_CONFIG_INT, "25600", 1, 1 << 20, NULL,
     "KiB of gradients that go to the other processes at once"},
    {"threads", RG_CONFIG_INT, "0", 0, 1024, NULL, "CPU threads; 0: one per core"},
    {"first_cpu", RG_CONFIG_INT, "0", 0, 4096, NULL, "CPU that the first thread is pinned to"},
    {"pin", RG_CONFIG_BOOL, "true", 0, 0, NULL, "pin threads to CPUs"},
    {"graph", RG_CONFIG_BOOL, "false", 0, 0, NULL,
     "tracks on a GPU: an update, and a step of a sample, starts as one CUDA graph, with the same "
     "bits"},
    {"log_every", RG_CONFIG_INT, "10", 1, 1e9, NULL, "steps between log lines"},
    {"validate_every", RG_CONFIG_INT, "100", 1, 1e9, NULL, "steps between validations"},
    {"checkpoint_every", RG_CONFIG_INT, "200", 1, 1e9, NULL, "steps between checkpoints"},
    {"sample_every", RG_CONFIG_INT, "0", 0, 1e9, NULL, "steps between samples; 0: at the end only"},
    {"keep_checkpoints", RG_CONFIG_INT, "2", 1, 1e6, NULL, "newest checkpoints kept, besides best"},
    {"nan_patience", RG_CONFIG_INT, "20", 1, 1e6, NULL,
     "skipped updates in a row before the run stops"},
    {"precision.products", RG_CONFIG_CHOICE, "fp32", 0, 0, "fp32|bf16|auto",
     "what both operands of matrix products are rounded to; sums and weights stay fp32; auto: bf16 "
     "where the CPU multiplies it"},
    {"precision.activations", RG_CONFIG_CHOICE, "fp32", 0, 0, "fp32|fp16|bf16",
     "what a GPU stores activations and their gradients as; weights, sums, losses and norms stay "
     "fp32"},
    {"precision.loss_scaling", RG_CONFIG_BOOL, "false", 0, 0, NULL,
     "dynamic loss scaling; activations in fp16 always have it"},
    {"optimizer.beta1", RG_CONFIG_REAL, "0.9", 0, 0.9999999, NULL, "AdamW first moment decay"},
    {"optimizer.beta2", RG_CONFIG_REAL, "0.99", 0, 0.9999999, NULL, "AdamW second moment decay"},
    {"optimizer.eps", RG_CONFIG_REAL, "1.0e-8", 1e-30, 1, NULL, "AdamW epsilon"},
    {"optimizer.weight_decay", RG_CONFIG_REAL, "0", 0, 10, NULL,
     "decoupled decay of matrices (not biases, gains)"},
    {"optimizer.clip_norm", RG_CONFIG_REAL, "0", 0, 1e9, NULL, "global gradient norm; 0: none"},
    {"optimizer.ema_decay", RG_CONFIG_REAL, "0", 0, 0.9999999, NULL,
     "moving average of the weights, used for validation and export; 0: none"},
    {"optimizer.ema_start", RG_CONFIG_CHOICE, "warmup", 0, 0, "warmup|unbiased",
     "its decay at step t is at most (1+t)/(10+t), or that of a mean without start-up bias "
     "(audiocraft)"},
    {"schedule.kind", RG_CONFIG_CHOICE, "cosine", 0, 0, "constant|cosine", "learning-rate curve"},
    {"schedule.lr", RG_CONFIG_REAL, NULL, 1e-12, 10, NULL, "learning rate after warm-up"},
    {"schedule.final_lr", RG_CONFIG_REAL, "0", 0, 10, NULL, "learning rate at the end (cosine)"},
    {"schedule.warmup", RG_CONFIG_INT, "0", 0, 1e9, NULL, "steps of linear warm-up"},
};
enum { N_TRAINER_KEYS = sizeof trainer_keys / sizeof *trainer_keys };

static const rg_task *const tasks[] = {&rg_codec_task, &rg_track_task};

const rg_task *rg_train_task_of(const char *config_path, rg_config_key **schema, size_t *n_schema,
                                rg_error *err)
{
    char kind[64];
    const char *names[sizeof tasks / sizeof *tasks];
    if (rg_config_peek(config_path, "task", kind, sizeof kind, err) != RG_OK) return NULL;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        names[i] = tasks[i]->kind;
        if (strcmp(kind, tasks[i]->kind) != 0) continue;
        *n_schema = N_TRAINER_KEYS + tasks[i]->n_schema;
        *schema = calloc(*n_schema, sizeof **schema);
        if (!*schema) {
            rg_fail(err, RG_ERR_NOMEM, "no memory for a schema");
            return NULL;
        }
        memcpy(*schema, trainer_keys, sizeof trainer_keys);
        memcpy(*schema + N_TRAINER_KEYS, tasks[i]->schema,
               tasks[i]->n_schema * sizeof *tasks[i]->schema);
        return tasks[i];
    }
    const char *near = rg_nearest_name(kind, names, sizeof names / sizeof *names);
    rg_fail(err, RG_ERR_CONFIG, "%s: task: '%s' is not one of codec, tracks%s%s%s", config_path,
            kind, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

rg_adamw rg_adamw_from_config(const rg_config *config)
{
    return (rg_adamw){.beta1 = rg_config_real(config, "optimizer.beta1"),
                      .beta2 = rg_config_real(config, "optimizer.beta2"),
                      .eps = rg_config_real(config, "optimizer.eps"),
                      .weight_decay = rg_config_real(config, "optimizer.weight_decay"),
                      .clip_norm = rg_config_real(config, "optimizer.clip_norm"),
                      .ema_decay = rg_config_real(config, "optimizer.ema_decay"),
                      .ema_unbiased =
                          !strcmp(rg_config_text(config, "optimizer.ema_start"), "unbiased")};
}

rg_schedule rg_schedule_from_config(const rg_config *config)
{
    bool cosine = !strcmp(rg_config_text(config, "schedule.kind"), "cosine");
    return (rg_schedule){.kind = cosine ? RG_SCHEDULE_COSINE : RG_SCHEDULE_CONSTANT,
                         .lr = rg_config_real(config, "schedule.lr"),
                         .final_lr = rg_config_real(config, "schedule.final_lr"),
                         .warmup = rg_config_int(config, "schedule.warmup"),
                         .total = rg_config_int(config, "steps")};
}

/* Processes that were given the same CPUs divide them; one that has its own takes them all. */
static void share_cpus(rg_machine_options *o, const rg_comm *comm)
{
    const int32_t cpus = rg_cpu_count();
    int32_t index, count;
    rg_comm_sharing(comm, &index, &count);
    if (count < 2) return;
    if (!o->threads) o->threads = cpus / count > 1 ? cpus / count : 1;
    o->first_cpu = (o->first_cpu + index * o->threads) % cpus;
}

rg_status rg_machine_for_run(rg_machine *machine, const rg_config *config, const char *device,
                             const rg_comm *comm, const rg_log *log, rg_error *err)
{
    rg_machine_options o = {.device = device,
                            .processes = rg_comm_world(comm),
                            .threads = (int32_t)rg_config_int(config, "threads"),
                            .first_cpu = (int32_t)rg_config_int(config, "first_cpu"),
                            .unpinned = !rg_config_bool(config, "pin"),
                            .products = rg_config_text(config, "precision.products"),
                            .activations = rg_config_text(config, "precision.activations"),
                            .graphs = rg_config_bool(config, "graph"),
                            .seed = (uint64_t)rg_config_int(config, "seed"),
                            .records = true};
    int32_t of_host;
    rg_comm_of_host(comm, &o.place, &of_host);
    share_cpus(&o, comm);
    return rg_machine_open(machine, &o, log, err);
}

char *rg_env_json(const rg_machine *machine, double peak_gflops, const rg_config *config,
                  const char *version)
{
    char utc[32];
    json_t *env = json_object();
    json_object_set_new(env, "version", json_string(version ? version : ""));
    json_object_set_new(env, "started", json_string(rg_clock_utc(utc)));
    json_object_set_new(env, "isa", json_string(machine->ex->kernels->name));
    json_object_set_new(env, "products",
                        json_string(rg_dtype_text(machine->ex->kernel_ctx.operands)));
    json_object_set_new(env, "activations",
                        json_string(rg_dtype_text(rg_exec_activations(machine->ex))));
    json_object_set_new(env, "threads", json_integer(rg_pool_threads(machine->pool)));
    json_object_set_new(env, "peak_gflops", json_real(peak_gflops));
    json_object_set_new(env, "fft", json_string(rg_fft_library()));
    json_object_set_new(env, "seed", json_integer(rg_config_int(config, "seed")));
    json_object_set_new(env, "compiler", json_string(__VERSION__));
    char *text = json_dumps(env, JSON_INDENT(2));
    json_decref(env);
    return text;
}
