/*
 * resonant generate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "engine/machine.h"
#include "generate/session.h"

enum { MAX_LIST = 64 };

const rg_option rg_cmd_generate_options[] = {
    {"prompt", "TEXT", "what to make: genre, mood, tempo, key, meter, instruments"},
    {"role-prompt", "ROLE=TEXT", "the same for one role; may be given several times"},
    {"vocabulary", "FILE|DIR",
     "more words for prompts, as YAML; a genre that models lack stands for its parent"},
    {"set", "FIELD=VALUE", "a condition as such: tempo=128, key='A minor', meter=3/4, genre=..."},
    {"duration", "S",
     "seconds (8, or what the prompt says; with --lock the longest file; with --from the scene's)"},
    {"seed", "N", "of all choices (1; with --from one more than the scene's)"},
    {"takes", "N",
     "this many at once (1 to 16), of seeds one apart; all but the first in DIR/take-1, ..."},
    {"out", "DIR", "new folder for the scene (required)"},
    {"lock", "ROLE=FILE[@A-B]", "keep a file's samples (or its seconds A to B) exactly"},
    {"from", "SCENE",
     "go on from a scene, or a take of it (DIR/take-2); what is not regenerated stays as it is"},
    {"regenerate", "ROLE[@A-B]", "with --from: make this role (or its seconds A to B) anew"},
    {"without", "ROLE", "leave a role out"},
    {"temperature", "T", "of the choices (1); 0 takes the most likely"},
    {"top-k", "K", "choose among the K most likely (250; 0: all)"},
    {"top-p", "P", "choose among the most likely that sum to P (off)"},
    {"guidance-context", "G", "how much the other tracks count (1.5; 1: plain)"},
    {"guidance-conditions", "G", "how much the conditions count (2.5; 1: plain)"},
    {"precision", "TYPE",
     "of the tracks' weights: fp32, bf16 or int8; on a GPU, of weights, activations and caches: "
     "fp32, fp16 or bf16 (fp32; with --from the scene's)"},
    {"rate", "HZ", "sample rate of stems without a lock (32000)"},
    {"device", "NAME", "of the tracks: auto, cpu, cuda or cuda:N (unproven on hardware)"},
    {"memory", "SIZE",
     "that may be taken, as 800M or 4G, of the GPU or else of this machine (what is free); models "
     "that have no room at once take turns"},
    {"graph", NULL, "on a GPU: a step of choices starts as one CUDA graph; the music is the same"},
    {"json", NULL, "print the result as JSON"},
    {0},
};

static size_t list_of(const rg_args *args, const char *name, const char *out[MAX_LIST])
{
    size_t n = 0;
    for (const char *v; n < MAX_LIST && (v = rg_option_at(args, name, (int32_t)n));) out[n++] = v;
    return n;
}

static rg_status read_sampling(const rg_args *args, rg_sampling *sampling, bool *given,
                               rg_error *err)
{
    static const char *const names[] = {"temperature", "top-k", "top-p", "guidance-context",
                                        "guidance-conditions"};
    int64_t top_k = sampling->top_k;
    *given = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        *given = *given || rg_option_given(args, names[i]);
    RG_TRY(rg_option_real(args, "temperature", 0, 100, &sampling->temperature, err));
    RG_TRY(rg_option_int(args, "top-k", 0, 1000000, &top_k, err));
    RG_TRY(rg_option_real(args, "top-p", 0, 1, &sampling->top_p, err));
    RG_TRY(rg_option_real(args, "guidance-context", 0, 100, &sampling->guidance_context, err));
    RG_TRY(
        rg_option_real(args, "guidance-conditions", 0, 100, &sampling->guidance_conditions, err));
    sampling->top_k = (int32_t)top_k;
    return RG_OK;
}

static rg_status read_numbers(const rg_args *args, rg_generate_options *o, rg_error *err)
{
    int64_t seed = 1, rate = 32000, takes = 1;
    RG_TRY(rg_option_real(args, "duration", 0.1, 600, &o->seconds, err));
    RG_TRY(rg_option_int(args, "seed", 0, INT64_MAX, &seed, err));
    RG_TRY(rg_option_int(args, "takes", 1, RG_MAX_TAKES, &takes, err));
    RG_TRY(rg_option_int(args, "rate", 4000, 192000, &rate, err));
    o->has_seed = rg_option_given(args, "seed");
    o->seed = (uint64_t)seed;
    o->takes = (int32_t)takes;
    o->rate = (int32_t)rate;
    return RG_OK;
}

static void print_result(const rg_args *args, const rg_generate_options *o,
                         const rg_generate_result *r)
{
    if (rg_option_given(args, "json"))
        printf("{\"scene\": \"%s\", \"take\": \"%s\", \"seed\": %llu, \"takes\": %d, \"seconds\": "
               "%.3f, "
               "\"wall_seconds\": %.3f, \"mix_peak\": %.6f, \"silent_share\": %.4f, \"loads\": "
               "%lld}\n",
               o->out_folder, r->take, (unsigned long long)r->seed, (int)r->takes, r->seconds,
               r->wall_seconds, r->mix_peak, r->silent_share, (long long)r->loads);
    else {
        printf("%s: %.2f s of music in %.1f s (%.2f x real time), seed %llu, take %s%s\n",
               o->out_folder, r->seconds, r->wall_seconds, r->takes * r->seconds / r->wall_seconds,
               (unsigned long long)r->seed, r->take,
               r->silent_share > 0.99 ? "; the mix is SILENT" : "");
        for (int32_t i = 1; i < r->takes; i++)
            printf("%s/take-%d: seed %llu\n", o->out_folder, (int)i,
                   (unsigned long long)(r->seed + (uint64_t)i));
    }
}

rg_status rg_cmd_generate(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *role_prompts[MAX_LIST], *settings[MAX_LIST], *locks[MAX_LIST], *again[MAX_LIST],
        *without[MAX_LIST];
    rg_sampling sampling = rg_sampling_defaults();
    bool own_sampling;
    rg_generate_options o = {.bundle_folder = rg_arg(args, 0),
                             .out_folder = rg_option_text(args, "out", NULL),
                             .from_folder = rg_option_text(args, "from", NULL),
                             .prompt = rg_option_text(args, "prompt", NULL),
                             .vocabulary = rg_option_text(args, "vocabulary", NULL),
                             .precision = rg_option_text(args, "precision", NULL),
                             .role_prompts = role_prompts,
                             .settings = settings,
                             .locks = locks,
                             .regenerate = again,
                             .leave_out = without,
                             .stop = cli->stop};
    rg_generate_result result;
    rg_machine_options on = {.device = rg_option_text(args, "device", "auto"),
                             .graphs = rg_option_given(args, "graph")};
    rg_machine machine;
    if (!o.out_folder)
        return rg_fail(err, RG_ERR_USAGE, "generate: --out DIR is missing: where the scene goes");
    o.n_role_prompts = list_of(args, "role-prompt", role_prompts);
    o.n_settings = list_of(args, "set", settings);
    o.n_locks = list_of(args, "lock", locks);
    o.n_regenerate = list_of(args, "regenerate", again);
    o.n_leave_out = list_of(args, "without", without);
    RG_TRY(read_numbers(args, &o, err));
    RG_TRY(read_sampling(args, &sampling, &own_sampling, err));
    if (own_sampling) o.sampling = &sampling;
    RG_TRY(rg_option_bytes(args, "memory", &o.memory, err));
    on.memory = o.memory;
    RG_TRY(rg_machine_open(&machine, &on, cli->log, err));
    rg_status status = rg_generate(&o, machine.ex, cli->log, &result, err);
    rg_machine_close(&machine);
    if (status == RG_OK) print_result(args, &o, &result);
    return status;
}
