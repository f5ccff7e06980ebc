/*
 * What a codec run is trained on (codec_task.h): the store, the role, crops.
 *
 * One idea: a crop is the sampler's, half of them upside down; everything else that may be done to
 * it is a key of the configuration that the sampler carries out (datasets/augment.h).
 */
#include <string.h>

#include "base/text.h"
#include "train/codec_task.h"

enum { STREAM_SIGN = 0x7367, NO_ROLE = -1 };

/* Samples in `seconds`, a whole number of frames. */
static int64_t whole_frames(const rg_codec_run *run, double seconds)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    int64_t frames = (int64_t)(seconds * rg_encodec_frame_rate(c) + 0.5);
    return (frames > 0 ? frames : 1) * rg_encodec_hop(c);
}

static rg_status find_role(rg_codec_run *run, rg_error *err)
{
    const rg_config *c = run->context.config;
    const char *name = rg_config_text(c, "role"), *names[RG_MAX_ROLES];
    int32_t n = rg_store_roles(run->store);
    run->role = rg_store_find_role(run->store, name);
    if (run->role < 0 && !strcmp(name, "any")) run->role = RG_ROLE_ANY;
    if (run->role < 0 && !strcmp(name, "mix")) run->role = RG_ROLE_MIX;
    if (run->role != NO_ROLE && rg_copy_text(run->role_name, sizeof run->role_name, name))
        return RG_OK;
    char list[512] = "";
    for (int32_t i = 0; i < n; i++) {
        names[i] = rg_store_role(run->store, i);
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = rg_nearest_name(name, names, (size_t)n);
    return rg_fail(err, RG_ERR_CONFIG,
                   "%s: role: %s has no role '%s', only %s (or any, or mix)%s%s%s",
                   rg_config_place(c, "role"), rg_store_folder(run->store), name, list,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* [low, high] of a key. */
static rg_status read_range(const rg_config *c, const char *key, double *low, double *high,
                            rg_error *err)
{
    double ends[2] = {0};
    if (rg_config_reals(c, key, ends, 2) != 2 || ends[0] > ends[1])
        return rg_fail(err, RG_ERR_CONFIG, "%s: %s: two numbers are expected, [low, high]",
                       rg_config_place(c, key), key);
    *low = ends[0];
    *high = ends[1];
    return RG_OK;
}

static rg_status read_augment(const rg_codec_run *run, rg_augment *a, rg_error *err)
{
    const rg_config *c = run->context.config;
    if (rg_config_reals(c, "augment.mix", a->mix, RG_MAX_MIXED) > RG_MAX_MIXED)
        return rg_fail(err, RG_ERR_CONFIG, "%s: augment.mix: crops of at most %d sources are made",
                       rg_config_place(c, "augment.mix"), RG_MAX_MIXED);
    RG_TRY(read_range(c, "augment.gain_db", &a->gain_low, &a->gain_high, err));
    RG_TRY(read_range(c, "augment.rt60", &a->rt60_low, &a->rt60_high, err));
    RG_TRY(read_range(c, "augment.wet_db", &a->wet_low, &a->wet_high, err));
    a->file_dbfs = rg_config_real(c, "augment.file_dbfs");
    a->pan = rg_config_real(c, "augment.pan");
    a->reverb = rg_config_real(c, "augment.reverb");
    a->reverb_single = rg_config_bool(c, "augment.reverb_single");
    a->reject_clipped = rg_config_bool(c, "augment.reject_clipped");
    return RG_OK;
}

rg_status rg_codec_run_open_data(rg_codec_run *run, rg_error *err)
{
    const rg_config *c = run->context.config;
    run->store = rg_store_open(rg_config_text(c, "store"), err);
    if (!run->store) return err->code;
    RG_TRY(find_role(run, err));
    rg_sampler_options o = rg_sampler_defaults();
    o.rate = rg_encodec_config_of(run->model)->sample_rate;
    o.channels = rg_encodec_config_of(run->model)->channels;
    o.frames = run->frames = whole_frames(run, rg_config_real(c, "crop_seconds"));
    o.batch = run->batch = (int32_t)rg_config_int(c, "batch");
    o.micros = run->micros = (int32_t)rg_config_int(c, "accumulate");
    o.seed = run->context.seed;
    o.first = rg_comm_rank(run->context.comm);
    o.stride = rg_comm_world(run->context.comm);
    o.threads = (int32_t)rg_config_int(c, "data.threads");
    o.hold_bytes = rg_config_int(c, "data.memory") << 20;
    o.active = rg_config_real(c, "data.active");
    o.low_dbfs = rg_config_real(c, "data.low_dbfs");
    o.high_dbfs = rg_config_real(c, "data.high_dbfs");
    RG_TRY(read_augment(run, &o.augment, err));
    run->flip = rg_config_bool(c, "augment.flip");
    run->sampler = rg_sampler_create(run->store, run->role, &o, err);
    if (!run->sampler) return err->code;
    o.split = RG_SPLIT_VALID;
    o.frames = whole_frames(run, rg_config_real(c, "validation.seconds"));
    return rg_sampler_fixed(run->store, run->role, &o,
                            (int32_t)rg_config_int(c, "validation.per_song"), &run->valid, err);
}

bool rg_codec_run_trains_on(const rg_codec_run *run, const rg_song *song)
{
    if (song->split != RG_SPLIT_TRAIN) return false;
    if (run->role >= 0) return song->present[run->role];
    bool present = false;
    for (int32_t r = 0; r < rg_store_roles(run->store); r++) present |= song->present[r];
    return present;
}

/* Half of the crops are turned upside down: the same sound to an ear, another signal to learn. */
static void flip_signs(const rg_codec_run *run, int64_t step, int32_t micro)
{
    int64_t samples = run->frames * rg_encodec_config_of(run->model)->channels;
    for (int64_t b = 0; b < run->batch && run->flip; b++) {
        rg_rng rng =
            rg_rng_make(run->context.seed, rg_rng_stream(STREAM_SIGN, (uint64_t)step,
                                                         (uint64_t)(micro * run->batch + b)));
        float *x = run->crops + b * samples;
        if (rg_rng_u32(&rng) & 1) continue;
        for (int64_t i = 0; i < samples; i++) x[i] = -x[i];
    }
}

rg_tensor *rg_codec_run_crops(rg_codec_run *run, int64_t step, int32_t micro, double *wait)
{
    rg_exec *ex = run->context.ex;
    rg_error err = {0};
    rg_status status = rg_sampler_next(run->sampler, step, micro, run->crops, wait, &err);
    if (status != RG_OK) {
        rg_exec_fail(ex, status, "%s", err.text);
        return NULL;
    }
    flip_signs(run, step, micro);
    rg_shape shape = RG_SHAPE(run->batch, run->frames, rg_encodec_config_of(run->model)->channels);
    return rg_tensor_from_floats(ex, shape, run->crops);
}
