/*
 * The codec task (task.h): configuration keys, what a checkpoint keeps, the table.
 *
 * One idea: one run trains the codec of one role; a set of codecs is a set of runs with one frame
 * rate. Not here: opening (codec_open.c), steps (codec_step.c), validation (codec_validate.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "train/codec_task.h"

static const rg_config_key schema[] = {
    {"store", RG_CONFIG_TEXT, NULL, 0, 0, NULL, "folder of the stem store that is trained on"},
    {"role", RG_CONFIG_TEXT, NULL, 0, 0, NULL,
     "role of the store whose codec this is; any: crops of every role; mix: of all roles added up"},
    {"init", RG_CONFIG_TEXT, "", 0, 0, NULL,
     "codec to begin from: a run, checkpoint, bundle, BUNDLE:ROLE or codec's file; its model is "
     "the one that the other keys say"},
    {"sample_rate", RG_CONFIG_INT, NULL, 1000, 384000, NULL, "of the codec, Hz"},
    {"band.low", RG_CONFIG_REAL, "0", 0, 192000, NULL, "Hz that the role needs: from here"},
    {"band.high", RG_CONFIG_REAL, "0", 0, 192000, NULL,
     "to here; 0: half the rate. The report shows the energy outside"},
    {"frame_rate", RG_CONFIG_INT, "50", 1, 1000, NULL,
     "code frames a second; the same for all codecs of a bundle"},
    {"ratios", RG_CONFIG_INTS, NULL, 2, 64, NULL,
     "strides, decoder order; their product is sample_rate / frame_rate"},
    {"filters", RG_CONFIG_INT, "16", 1, 512, NULL,
     "channels of the first layer, doubled per ratio"},
    {"dimension", RG_CONFIG_INT, "128", 1, 4096, NULL, "channels of the latent"},
    {"lstm_layers", RG_CONFIG_INT, "2", 0, RG_MAX_LSTM_LAYERS, NULL, "LSTM layers; 0: none"},
    {"residual_layers", RG_CONFIG_INT, "1", 0, RG_MAX_RESIDUAL_LAYERS, NULL,
     "residual layers per ratio"},
    {"causal", RG_CONFIG_BOOL, "false", 0, 0, NULL, "no sample depends on later ones"},
    {"channels", RG_CONFIG_INT, "1", 1, 2, NULL,
     "1 mono, of a stereo store the mean; 2 stereo, of a mono store both alike"},
    {"kernel", RG_CONFIG_INT, "7", 1, 63, NULL, "kernel of the first layer"},
    {"last_kernel", RG_CONFIG_INT, "7", 1, 63, NULL, "kernel of the last layer"},
    {"residual_kernel", RG_CONFIG_INT, "3", 1, 63, NULL, "kernel of a residual layer"},
    {"dilation_base", RG_CONFIG_INT, "2", 1, 8, NULL,
     "residual layer j has a dilation of this to the power of j"},
    {"compress", RG_CONFIG_INT, "2", 1, 512, NULL,
     "inside a residual layer there are this many times fewer channels"},
    {"conv_shortcut", RG_CONFIG_BOOL, "false", 0, 0, NULL,
     "a residual layer's skip is a convolution of kernel 1 (published 24 and 48 kHz files), not "
     "the "
     "input (audiocraft)"},
    {"pad_mode", RG_CONFIG_CHOICE, "constant", 0, 0, "constant|reflect",
     "how signals go on at their ends: zeros (audiocraft) or mirrored (published files)"},
    {"norm", RG_CONFIG_CHOICE, "weight_norm", 0, 0, "weight_norm|time_group_norm|none",
     "what keeps layers in range: time_group_norm for the 48 kHz model, which is not causal"},
    {"trim_right_ratio", RG_CONFIG_REAL, "1", 0, 1, NULL,
     "share of a causal transposed convolution's surplus that is cut off on the right"},
    {"normalize", RG_CONFIG_BOOL, "false", 0, 0, NULL,
     "each crop or chunk is divided by its loudness, which is stored beside its codes"},
    {"chunk_seconds", RG_CONFIG_REAL, "0", 0, 60, NULL,
     "long audio is coded in chunks of this length; 0: whole"},
    {"chunk_overlap", RG_CONFIG_REAL, "0", 0, 0.99, NULL, "part of a chunk that the next repeats"},
    {"bandwidths", RG_CONFIG_REALS, "[]", 0, 1e6, NULL,
     "kbit/s that the codec may be asked for, rising; empty: any"},
    {"codebooks", RG_CONFIG_INT, NULL, 1, RG_MAX_BOOKS, NULL, "codes per frame"},
    {"entries", RG_CONFIG_INT, "1024", 2, 65536, NULL, "codewords of a codebook"},
    {"batch", RG_CONFIG_INT, "8", 1, 4096, NULL, "crops per micro-batch"},
    {"crop_seconds", RG_CONFIG_REAL, "0.5", 0.02, 60, NULL, "length of a crop"},
    {"data.threads", RG_CONFIG_INT, "1", 0, 64, NULL, "threads that read crops ahead"},
    {"data.memory", RG_CONFIG_INT, "512", 0, 1 << 20, NULL,
     "MiB for stems that are resampled once and held; the rest is resampled crop by crop"},
    {"data.active", RG_CONFIG_REAL, "0.9", 0, 1, NULL, "share of crops in which the role plays"},
    {"data.low_dbfs", RG_CONFIG_REAL, "-28", -120, 0, NULL, "softest level that crops are set to"},
    {"data.high_dbfs", RG_CONFIG_REAL, "-14", -120, 0, NULL, "loudest level that crops are set to"},
    {"augment.flip", RG_CONFIG_BOOL, "true", 0, 0, NULL,
     "half of the crops are turned upside down: the same sound, another signal to learn"},
    {"augment.mix", RG_CONFIG_REALS, "[]", 0, 1, NULL,
     "shares of the crops made of one source, two, three, four, added up; empty: one each"},
    {"augment.file_dbfs", RG_CONFIG_REAL, "0", -120, 0, NULL,
     "RMS level that each stem of a song is brought to; 0: as stored"},
    {"augment.gain_db", RG_CONFIG_REALS, "[0, 0]", -60, 60, NULL,
     "gain of each source, dB, drawn between the two"},
    {"augment.pan", RG_CONFIG_REAL, "0", 0, 1, NULL,
     "how far from the middle sources lie in a stereo codec, drawn up to this; 1: one side"},
    {"augment.reverb", RG_CONFIG_REAL, "0", 0, 1, NULL, "share of the crops that get a room"},
    {"augment.reverb_single", RG_CONFIG_BOOL, "true", 0, 0, NULL,
     "crops of one source get one too, not only mixes"},
    {"augment.rt60", RG_CONFIG_REALS, "[0.3, 1.3]", 0.01, 10, NULL,
     "seconds in which a room's sound falls by 60 dB, drawn between the two"},
    {"augment.wet_db", RG_CONFIG_REALS, "[-12, 0]", -120, 60, NULL,
     "energy of a room's sound relative to the direct one, dB, drawn between the two"},
    {"augment.reject_clipped", RG_CONFIG_BOOL, "false", 0, 0, NULL,
     "crops that reach full scale are drawn again"},
    {"losses.l1", RG_CONFIG_REALS, "[0.1, 0.1]", 0, 1e6, NULL,
     "weight of mean |y - x|: at the start, and after annealing"},
    {"losses.mse", RG_CONFIG_REALS, "[2, 1]", 0, 1e6, NULL,
     "weight of the squared error relative to the signal's power: start, end"},
    {"losses.mel", RG_CONFIG_REALS, "[2, 2]", 0, 1e6, NULL,
     "weight of the multi-scale log-mel distance: start, end"},
    {"losses.adv", RG_CONFIG_REALS, "[0, 0]", 0, 1e6, NULL,
     "weight of what a discriminator says of the output: start, end; with feat 0 too there is "
     "none"},
    {"losses.adv_form", RG_CONFIG_CHOICE, "linear", 0, 0, "linear|hinge",
     "mean -D(y) (audiocraft, which calls it hinge), or mean max(0, 1 - D(y)) (paper)"},
    {"losses.feat", RG_CONFIG_REALS, "[0, 0]", 0, 1e6, NULL,
     "weight of the distance between the discriminator's maps of output and target: start, end"},
    {"losses.feat_form", RG_CONFIG_CHOICE, "plain", 0, 0, "plain|relative",
     "mean |difference| of a map (audiocraft), or that over the target's mean size (paper)"},
    {"losses.commit", RG_CONFIG_REAL, "4", 0, 1e6, NULL,
     "weight of the quantizer's commitment, outside the balancer"},
    {"losses.commit_sum", RG_CONFIG_BOOL, "false", 0, 0, NULL,
     "commitment is the sum over the codebooks in use (paper), not their mean (audiocraft)"},
    {"losses.anneal", RG_CONFIG_REAL, "0.6", 0, 1, NULL,
     "share of the run over which the weights move from start to end"},
    {"mel.scales", RG_CONFIG_INTS, "[64, 128, 256, 512, 1024]", 16, 65536, NULL,
     "FFT sizes of the mel distance, powers of two"},
    {"mel.form", RG_CONFIG_CHOICE, "log", 0, 0, "log|linear",
     "the mean |difference| of mel power and the mean squared one of its log10 (audiocraft), or of "
     "itself (paper)"},
    {"mel.bands", RG_CONFIG_INT, "64", 1, 512, NULL, "mel bands"},
    {"balancer.enabled", RG_CONFIG_BOOL, "true", 0, 0, NULL,
     "weights are shares of the update; false: factors of the losses, as in a plain sum"},
    {"balancer.decay", RG_CONFIG_REAL, "0.999", 0, 0.9999999, NULL,
     "moving average of the gradients' norms"},
    {"discriminator.scales", RG_CONFIG_INTS, "[1024, 2048, 512, 256, 128]", 16, 65536, NULL,
     "FFT sizes, powers of two; twice these at 48 kHz (paper)"},
    {"discriminator.filters", RG_CONFIG_INT, "32", 1, 1024, NULL, "channels of its inner layers"},
    {"discriminator.kernel", RG_CONFIG_INTS, "[3, 9]", 1, 63, NULL,
     "frames and bins of its kernels: [3, 9] (audiocraft), [3, 8] (paper)"},
    {"discriminator.slope", RG_CONFIG_REAL, "0.3", 0, 0.999, NULL,
     "of its LeakyReLU: 0.3 (audiocraft), 0.2 (encodec's code)"},
    {"discriminator.per_bandwidth", RG_CONFIG_BOOL, "false", 0, 0, NULL,
     "one discriminator for each codebook count that steps use (paper), not one for all "
     "(audiocraft)"},
    {"discriminator.start", RG_CONFIG_REAL, "0", 0, 1, NULL,
     "share of the run after which it takes part; small runs start it late"},
    {"discriminator.probability", RG_CONFIG_REAL, "1", 0, 1, NULL,
     "of its update in a step: 1 (audiocraft), 2/3 at 24 kHz and 0.5 at 48 kHz (paper)"},
    {"discriminator.beta1", RG_CONFIG_REAL, "0.5", 0, 0.9999999, NULL,
     "first moment decay of its AdamW"},
    {"discriminator.beta2", RG_CONFIG_REAL, "0.9", 0, 0.9999999, NULL,
     "second moment decay of its AdamW"},
    {"discriminator.eps", RG_CONFIG_REAL, "1.0e-8", 1e-30, 1, NULL, "epsilon of its AdamW"},
    {"discriminator.clip_norm", RG_CONFIG_REAL, "0", 0, 1e9, NULL,
     "global norm of its gradient; 0: none"},
    {"discriminator.schedule", RG_CONFIG_CHOICE, "constant", 0, 0, "constant|cosine",
     "its learning-rate curve, from its start to the run's end"},
    {"discriminator.lr", RG_CONFIG_REAL, "3.0e-4", 1e-12, 10, NULL,
     "its learning rate after warm-up"},
    {"discriminator.final_lr", RG_CONFIG_REAL, "0", 0, 10, NULL,
     "its learning rate at the end (cosine)"},
    {"discriminator.warmup", RG_CONFIG_INT, "0", 0, 1e9, NULL, "steps of its linear warm-up"},
    {"quantizer.start", RG_CONFIG_REAL, "0.1", 0, 1, NULL,
     "share of the run that is trained without quantizer, before k-means starts the codebooks"},
    {"quantizer.pool", RG_CONFIG_REAL, "10", 1, 1000, NULL,
     "vectors per codeword that k-means sees"},
    {"quantizer.decay", RG_CONFIG_REAL, "0.99", 0, 0.9999999, NULL,
     "moving average of the codewords"},
    {"quantizer.dead", RG_CONFIG_REAL, "0.1", 0, 1, NULL,
     "a codeword used less than this share of the average is replaced"},
    {"quantizer.dropout", RG_CONFIG_REAL, "0", 0, 1, NULL,
     "share of steps that use only the first codebooks, as many as a draw says"},
    {"quantizer.books", RG_CONFIG_INTS, "[]", 1, RG_MAX_BOOKS, NULL,
     "codebook counts that dropout draws from; empty: each from 1 to all is as likely"},
    {"quantizer.kbps", RG_CONFIG_REALS, "[]", 0, 1e6, NULL,
     "the same as bitrates in kbit/s: as many codebooks as fit"},
    {"validation.seconds", RG_CONFIG_REAL, "2", 0.02, 60, NULL, "length of a validation crop"},
    {"validation.per_song", RG_CONFIG_INT, "2", 1, 1000, NULL, "validation crops per song"},
};

static rg_params *params_of(void *self)
{
    return ((rg_codec_run *)self)->params;
}

/* What the run began from, and its model hash; null: from random numbers. */
static json_t *init_json(const rg_codec_run *run)
{
    return run->init[0] ? json_pack("{s:s, s:s}", "codec", run->init, "hash", run->init_hash)
                        : json_null();
}

/* A run that goes on does not read its beginning again. */
static void load_init(rg_codec_run *run, const json_t *init)
{
    const char *name = json_string_value(json_object_get(init, "codec"));
    const char *hash = json_string_value(json_object_get(init, "hash"));
    rg_copy_text(run->init, sizeof run->init, name ? name : "");
    rg_copy_text(run->init_hash, sizeof run->init_hash, hash ? hash : "");
}

/* "codec", "role" and "band" make a checkpoint loadable by itself (models/codec_file.c). */
static json_t *save(void *self)
{
    const rg_codec_run *run = self;
    char *config = rg_encodec_config_to_json(rg_encodec_config_of(run->model));
    json_t *state = json_object();
    json_object_set_new(state, "codec", config ? json_loads(config, 0, NULL) : NULL);
    json_object_set_new(state, "role", json_string(run->role_name));
    json_object_set_new(state, "band", json_pack("[f,f]", run->band[0], run->band[1]));
    json_object_set_new(state, "init", init_json(run));
    json_object_set_new(state, "balancer", rg_balancer_save(&run->balancer));
    if (run->judges.n) json_object_set_new(state, "discriminators", rg_judges_save(&run->judges));
    free(config);
    return state;
}

static rg_status load(void *self, const json_t *state, rg_error *err)
{
    rg_codec_run *run = self;
    const char *role;
    RG_TRY(rg_json_get_text(state, "role", "checkpoint", &role, err));
    if (strcmp(role, run->role_name) != 0)
        return rg_fail(err, RG_ERR_MISMATCH, "the checkpoint is of role '%s', this run of '%s'",
                       role, run->role_name);
    const json_t *balancer = rg_json_get_object(state, "balancer", "checkpoint", err);
    if (!balancer) return err->code;
    RG_TRY(rg_balancer_load(&run->balancer, balancer, err));
    load_init(run, json_object_get(state, "init"));
    return rg_judges_load(&run->judges, json_object_get(state, "discriminators"), err);
}

static json_t *describe(void *self)
{
    const rg_codec_run *run = self;
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    json_t *out = json_object(), *songs = json_array(), *roles = json_array();
    for (int64_t i = 0; i < rg_store_songs(run->store); i++) {
        const rg_song *song = rg_store_song(run->store, i);
        if (rg_codec_run_trains_on(run, song)) json_array_append_new(songs, json_string(song->id));
    }
    json_array_append_new(roles, json_string(run->role_name));
    json_object_set_new(out, "task", json_string("codec"));
    json_object_set_new(out, "role", json_string(run->role_name));
    json_object_set_new(out, "roles", roles);
    json_object_set_new(out, "store", json_string(rg_store_folder(run->store)));
    json_object_set_new(out, "store_hash", json_string(rg_store_hash(run->store)));
    json_object_set_new(out, "songs", songs);
    if (run->init[0]) {
        json_object_set_new(out, "init", json_string(run->init));
        json_object_set_new(out, "init_hash", json_string(run->init_hash));
    }
    json_object_set_new(out, "band", json_pack("[f,f]", run->band[0], run->band[1]));
    json_object_set_new(out, "sample_rate", json_integer(c->sample_rate));
    json_object_set_new(out, "bitrate", json_real(rg_encodec_bitrate(c)));
    return out;
}

/* Buffers are of the sizes that codec_open.c gives them. */
static int64_t bytes(void *self)
{
    const rg_codec_run *run = self;
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    int64_t crops = (int64_t)run->batch * run->frames, all = run->micros * crops, n = c->channels;
    int64_t vectors = all / rg_encodec_hop(c) * c->codebooks;
    return rg_sampler_describe(run->sampler).bytes + 4 * n * crops +
           4 * vectors * (1 + c->dimension) + 4 * n * run->valid.n * run->valid.frames;
}

/* A validation takes its crops one by one. */
static int32_t items(void *self, bool training)
{
    return training ? ((rg_codec_run *)self)->batch : 1;
}

static double units_per_step(void *self, const char **unit)
{
    const rg_codec_run *run = self;
    *unit = "s audio";
    return (double)run->micros * run->batch * (double)run->frames /
           rg_encodec_config_of(run->model)->sample_rate;
}

static bool newest_is_best(void *self)
{
    return ((rg_codec_run *)self)->judges.n > 0;
}

const rg_task rg_codec_task = {.kind = "codec",
                               .schema = schema,
                               .n_schema = sizeof schema / sizeof schema[0],
                               .open = rg_codec_run_open,
                               .rehearse = rg_codec_run_rehearse,
                               .bytes = bytes,
                               .items = items,
                               .start = rg_codec_run_start,
                               .close = rg_codec_run_close,
                               .params = params_of,
                               .micro_step = rg_codec_run_step,
                               .after_update = rg_codec_run_after_update,
                               .validate = rg_codec_run_validate,
                               .sample = rg_codec_run_sample,
                               .save = save,
                               .load = load,
                               .describe = describe,
                               .units_per_step = units_per_step,
                               .best_metric = "mel_distance",
                               .newest_is_best = newest_is_best};
