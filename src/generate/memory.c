/*
 * Memory of a call of `generate` (memory.h).
 */
#include "generate/memory.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "generate/pipeline.h"
#include "kernels/idle.h"

static const double mib = 1024.0 * 1024.0;
enum { CODEC_FRAMES = 1100 /* longer signals take no more: two pieces of a stream */ };

/* ---- counting ---- */

static rg_exec *idle_exec(const rg_exec *like, const rg_kernels *idle, const rg_kernels *stored,
                          rg_error *err)
{
    const rg_exec_options options = {.kernels = idle, .stored = like->stored ? stored : NULL};
    rg_exec *ex = rg_exec_create(&options, err);
    if (ex) rg_set_recording(ex, false);
    return ex;
}

static void take_marks(const rg_exec *ex, rg_generate_need *n)
{
    const int64_t step = (int64_t)rg_arena_high_water(ex->step);
    const int64_t scratch = (int64_t)rg_arena_high_water(ex->scratch);
    if (step > n->step) n->step = step;
    if (scratch > n->scratch) n->scratch = scratch;
}

static rg_status rehearse_tracks(const rg_bundle *bundle, rg_exec *ex, int32_t takes,
                                 rg_generate_need *n, rg_error *err)
{
    const rg_track_config *c = &bundle->config;
    rg_params *params = rg_params_create(err);
    rg_tracks *tracks = params ? rg_tracks_create(params, c, err) : NULL;
    rg_status status = tracks ? rg_params_rehearse(params, ex, err) : err->code;
    if (status == RG_OK)
        status = rg_track_fill_rehearse(ex, tracks, rg_take_rows(takes), rg_take_window(c),
                                        &n->caches, err);
    if (status == RG_OK) take_marks(ex, n);
    rg_tracks_destroy(tracks);
    rg_params_destroy(params);
    return status;
}

/* Both ways through a codec, for as many frames as may be under way at once. */
static rg_status run_codec(rg_exec *ex, rg_codec *codec, int64_t frames, rg_generate_need *n,
                           rg_error *err)
{
    const int64_t hop = rg_encodec_hop(&codec->config);
    float *sound = calloc((size_t)(frames * hop), sizeof *sound);
    int32_t *codes = calloc((size_t)(frames * codec->config.codebooks), sizeof *codes);
    rg_status status = sound && codes ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for sound");
    if (status == RG_OK) {
        status = rg_codec_encode_audio(ex, codec, sound, frames * hop, codes);
        if (status == RG_OK)
            status = rg_codec_decode_audio(ex, codec, codes, frames, sound, frames * hop);
        if (status != RG_OK) rg_fail(err, status, "%s", ex->error.text);
    }
    if (status == RG_OK) take_marks(ex, n);
    free(codes);
    free(sound);
    return status;
}

static rg_status rehearse_codec(const rg_bundle *bundle, int32_t r, rg_exec *ex, int64_t frames,
                                rg_generate_need *n, rg_error *err)
{
    rg_codec codec = {.config = bundle->codecs[r].config};
    const bool whole = codec.config.norm == RG_CONV_TIME_GROUP_NORM;
    codec.params = rg_params_create(err);
    if (!codec.params) return err->code;
    codec.model = rg_encodec_create(codec.params, "", &codec.config, err);
    rg_status status = codec.model ? rg_params_rehearse(codec.params, ex, err) : err->code;
    if (status == RG_OK)
        status =
            run_codec(ex, &codec, whole || frames < CODEC_FRAMES ? frames : CODEC_FRAMES, n, err);
    rg_codec_free(&codec);
    return status;
}

/* The longest pass of tracks, and of codecs where they have the same memory. */
static rg_status count_passes(const rg_bundle *bundle, const rg_generate_plan *p,
                              rg_generate_need *n, rg_error *err)
{
    const rg_exec *like = bundle->ex;
    const rg_kernels idle = rg_kernels_idle(like->kernels);
    const rg_kernels stored = rg_kernels_idle(like->stored ? like->stored : like->kernels);
    rg_exec *ex = idle_exec(like, &idle, &stored, err);
    if (!ex) return err->code;
    rg_status status = rehearse_tracks(bundle, ex, p->takes, n, err);
    for (int32_t r = 0; status == RG_OK && !like->gpu && r < bundle->config.n_roles; r++)
        status = rehearse_codec(bundle, r, ex, p->frames, n, err);
    rg_exec_destroy(ex);
    return status;
}

static void count_weights(const rg_bundle *bundle, rg_generate_need *n)
{
    for (int32_t k = 0; k < RG_PART_KINDS; k++)
        for (int32_t r = 0; r < bundle->config.n_roles; r++) {
            const int64_t bytes = rg_bundle_part_bytes(bundle, k, r);
            n->weights += bytes;
            if (bytes <= n->largest) continue;
            n->largest = bytes;
            n->kind = k;
            n->role = r;
        }
    n->shared = rg_params_bytes(bundle->params);
}

/* Sound: each stem as it is decoded and as it is written, and their mix likewise. */
static int64_t count_data(const rg_bundle *bundle, const rg_generate_plan *p)
{
    const int32_t sounds = 2 * (bundle->config.n_roles + 1);
    return rg_take_bytes(&bundle->config, p->frames, p->takes) +
           (int64_t)(p->seconds * p->rate) * sounds * (int64_t)sizeof(float);
}

/* ---- saying ---- */

static void say_weights(const rg_bundle *bundle, const rg_log *log)
{
    rg_text list;
    rg_text_init(&list, 4096);
    for (int32_t r = 0; r < bundle->config.n_roles; r++)
        rg_text_printf(&list, "%s%s %.1f + %.1f", r ? ", " : "", bundle->config.roles[r].name,
                       (double)bundle->parts[RG_PART_TRACK][r].size.bytes / mib,
                       (double)bundle->parts[RG_PART_CODEC][r].size.bytes / mib);
    if (list.data)
        rg_log_line(log, RG_LOG_INFO, "  weights, MiB of track + codec%s: %s",
                    bundle->ex->gpu ? " (on the CPU)" : "", list.data);
    rg_text_free(&list);
}

static void say(const rg_bundle *bundle, const rg_generate_need *n, int64_t all, int64_t have,
                const rg_log *log)
{
    rg_log_line(log, RG_LOG_INFO,
                "memory: about %.1f MiB of %.1f: weights %.1f, caches %.1f, activations %.1f, "
                "sound and codes %.1f%s",
                (double)all / mib, (double)have / mib, (double)(n->weights + n->shared) / mib,
                (double)n->caches / mib, (double)(n->step + n->scratch) / mib,
                (double)n->data / mib,
                all > have ? "; models come when they are needed and go when others are" : "");
    say_weights(bundle, log);
}

static rg_status refuse(const rg_bundle *bundle, const rg_generate_plan *p,
                        const rg_generate_need *n, double least, int64_t have, rg_error *err)
{
    static const char *const kinds[RG_PART_KINDS] = {"track", "codec"};
    return rg_fail(
        err, RG_ERR_NOMEM,
        "generate: needs %.0f MiB of %s at least (caches %.1f, activations %.1f, sound and codes "
        "%.1f, the %s of %s %.1f), and %.1f %s; %s",
        least / mib + 1, bundle->ex->gpu ? "the GPU's memory" : "memory", (double)n->caches / mib,
        (double)(n->step + n->scratch) / mib, (double)n->data / mib, kinds[n->kind],
        bundle->config.roles[n->role].name, (double)n->largest / mib, (double)have / mib,
        p->limit ? "may be taken" : "are free",
        p->takes > 1 ? "make fewer takes at once, or give it more with --memory"
        : p->limit   ? "give it more with --memory"
                     : "end other programs, or take a larger machine");
}

/* ---- fitting ---- */

static rg_status fit_on_cpu(rg_bundle *bundle, const rg_generate_plan *p, rg_generate_need *n,
                            const rg_log *log, rg_error *err)
{
    const int64_t fixed = n->shared + n->caches + n->step + n->scratch + n->data;
    int64_t have = rg_memory_available();
    if (p->limit && p->limit < have) have = p->limit;
    if (fixed + n->largest > have)
        return refuse(bundle, p, n, (double)(fixed + n->largest), have, err);
    bundle->limit = have - fixed;
    say(bundle, n, fixed + n->weights, have, log);
    return RG_OK;
}

/* The exec has taken its arenas; caches and models get what is left of the limit, or of the GPU. */
static rg_status fit_on_gpu(rg_bundle *bundle, const rg_generate_plan *p, rg_generate_need *n,
                            const rg_log *log, rg_error *err)
{
    const rg_exec *ex = bundle->ex;
    const int64_t step = (int64_t)rg_arena_capacity(ex->step_data);
    const int64_t scratch = (int64_t)rg_arena_capacity(ex->kernel_ctx.scratch);
    const int64_t taken = step + scratch + (int64_t)rg_arena_capacity(ex->persist_data) + n->shared;
    rg_gpu_facts facts;
    RG_TRY(rg_gpu_describe(rg_gpu_index(ex->gpu), &facts, err));
    int64_t have = taken + facts.free;
    if (p->limit && p->limit < have) have = p->limit;
    n->data = 0;
    const int64_t left = have - taken - n->caches;
    if (left < n->largest || n->step > step || n->scratch > scratch) {
        /* arenas are shares of the whole (rg_device_exec) */
        double least = (double)have * (double)n->step / (double)step;
        const double by_scratch = (double)have * (double)n->scratch / (double)scratch;
        const double rest = (double)(have - taken + n->shared);
        const double by_rest = (double)have * (double)(n->caches + n->shared + n->largest) / rest;
        if (by_scratch > least) least = by_scratch;
        if (by_rest > least) least = by_rest;
        return refuse(bundle, p, n, least, have, err);
    }
    bundle->limit = left;
    say(bundle, n, n->weights + n->shared + n->caches + n->step + n->scratch, have, log);
    return RG_OK;
}

rg_status rg_generate_count(const rg_bundle *bundle, const rg_generate_plan *plan,
                            rg_generate_need *out, rg_error *err)
{
    *out = (rg_generate_need){.data = count_data(bundle, plan)};
    RG_TRY(count_passes(bundle, plan, out, err));
    if (bundle->ex->gpu) out->scratch *= 2; /* attention packs queries too, and fills up to tiles */
    count_weights(bundle, out);
    return RG_OK;
}

rg_status rg_generate_fit(rg_bundle *bundle, const rg_generate_plan *plan, const rg_log *log,
                          rg_error *err)
{
    rg_generate_need n;
    RG_TRY(rg_generate_count(bundle, plan, &n, err));
    return (bundle->ex->gpu ? fit_on_gpu : fit_on_cpu)(bundle, plan, &n, log, err);
}
