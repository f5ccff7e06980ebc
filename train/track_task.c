/*
 * The track task (task.h): configuration keys, what a checkpoint keeps, the table.
 *
 * One idea: the three phases are three configurations of one task; `phase` chooses the masks and
 * `init` the weights to begin with.
 */
#include "train/track_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"

static const rg_config_key schema[] = {
    {"store", RG_CONFIG_TEXT, NULL, 0, 0, NULL, "folder of the stem store that is trained on"},
    {"roles.*.codec", RG_CONFIG_TEXT, NULL, 0, 0, NULL,
     "codec run, checkpoint or exported codec of this role; roles in the order they are made in"},
    {"tokens", RG_CONFIG_TEXT, "", 0, 0, NULL,
     "token cache; empty: beside the store, named by what it is made from"},
    {"phase", RG_CONFIG_INT, NULL, 1, 3, NULL,
     "1 isolated stems, 2 multi-track context, 3 regeneration of rectangles"},
    {"init", RG_CONFIG_TEXT, "", 0, 0, NULL, "track run or checkpoint to begin from"},
    {"model.width", RG_CONFIG_INT, "512", 8, 8192, NULL, "channels of the transformers"},
    {"model.heads", RG_CONFIG_INT, "8", 1, 128, NULL, "attention heads"},
    {"model.encoder_layers", RG_CONFIG_INT, "6", 1, RG_TRACK_LAYERS, NULL, "context encoder"},
    {"model.decoder_layers", RG_CONFIG_INT, "6", 1, RG_TRACK_LAYERS, NULL, "decoder"},
    {"model.frames", RG_CONFIG_INT, "512", 4, 16384, NULL, "window, frames (50 per second)"},
    {"model.patch", RG_CONFIG_INT, "4", 1, 64, NULL, "frames per token of the context encoder"},
    {"model.same_reach", RG_CONFIG_INT, "8", 0, 64, NULL,
     "frames on each side that the same-time convolution sees"},
    {"model.same_width", RG_CONFIG_INT, "0", 0, 4096, NULL,
     "its channels per other role; 0: width / 8"},
    {"model.near_reach", RG_CONFIG_INT, "4", 0, 64, NULL,
     "frames on each side that the same-time attention sees"},
    {"model.dropout", RG_CONFIG_REAL, "0", 0, 0.9, NULL, "dropout of every branch"},
    {"batch", RG_CONFIG_INT, "4", 1, 4096, NULL, "windows per role and micro-batch"},
    {"data.active", RG_CONFIG_REAL, "0.75", 0, 1, NULL,
     "share of windows in which the target role plays"},
    {"forget.condition", RG_CONFIG_REAL, "0.1", 0, 1, NULL,
     "chance that one condition is left out"},
    {"forget.conditions", RG_CONFIG_REAL, "0.1", 0, 1, NULL,
     "chance that all conditions are left out (guidance needs it)"},
    {"forget.context", RG_CONFIG_REAL, "0.2", 0, 1, NULL, "chance that all context is left out"},
    {"forget.both", RG_CONFIG_REAL, "0.05", 0, 1, NULL, "chance that both are left out together"},
    {"forget.activity", RG_CONFIG_REAL, "0.3", 0, 1, NULL,
     "chance that the activity per bar is left out"},
    {"validation.windows", RG_CONFIG_INT, "8", 1, 1024, NULL,
     "fixed windows per role and mask family"},
};

static rg_params *params_of(void *self)
{
    return ((rg_track_run *)self)->params;
}

static json_t *codec_hashes(const rg_track_run *run)
{
    json_t *out = json_object();
    for (int32_t r = 0; r < run->n_codecs; r++)
        json_object_set_new(out, run->codecs[r].role, json_string(run->codecs[r].hash));
    return out;
}

/* "tracks" makes a checkpoint loadable by itself (bundles, evaluation, init). */
static json_t *save(void *self)
{
    const rg_track_run *run = self;
    char *config = rg_track_config_to_json(run->config);
    json_t *state = json_object();
    json_object_set_new(state, "tracks", config ? json_loads(config, 0, NULL) : NULL);
    json_object_set_new(state, "codecs", codec_hashes(run));
    json_object_set_new(state, "phase", json_integer(run->phase));
    free(config);
    return state;
}

static rg_status load(void *self, const json_t *state, rg_error *err)
{
    rg_track_run *run = self;
    json_t *mine = save(run);
    rg_status status = RG_OK;
    static const char *const members[] = {"tracks", "codecs"};
    for (size_t i = 0; i < 2 && status == RG_OK; i++)
        if (!json_equal(json_object_get(mine, members[i]), json_object_get(state, members[i])))
            status = rg_fail(err, RG_ERR_MISMATCH,
                             "the checkpoint was made with other %s (%s differ); resume with the "
                             "run's own configuration, or name it as init of a new run",
                             i ? "codecs" : "sizes, roles or words", members[i]);
    json_decref(mine);
    return status;
}

static json_t *describe(void *self)
{
    const rg_track_run *run = self;
    json_t *out = json_object(), *songs = json_array(), *roles = json_array();
    double hours = 0;
    for (int64_t i = 0; i < rg_store_songs(run->store); i++) {
        const rg_song *song = rg_store_song(run->store, i);
        if (song->split != RG_SPLIT_TRAIN) continue;
        json_array_append_new(songs, json_string(song->id));
        hours += (double)song->frames / rg_store_rate(run->store) / 3600;
    }
    for (int32_t r = 0; r < run->config->n_roles; r++)
        json_array_append_new(roles, json_string(run->config->roles[r].name));
    json_object_set_new(out, "task", json_string("tracks"));
    json_object_set_new(out, "phase", json_integer(run->phase));
    json_object_set_new(out, "roles", roles);
    json_object_set_new(out, "store", json_string(rg_store_folder(run->store)));
    json_object_set_new(out, "store_hash", json_string(rg_store_hash(run->store)));
    json_object_set_new(out, "tokens", json_string(rg_tokens_key_of(run->tokens)));
    json_object_set_new(out, "songs", songs);
    json_object_set_new(out, "words", rg_track_data_words(run->data));
    json_object_set_new(out, "codecs", codec_hashes(run));
    json_object_set_new(out, "init", json_string(run->init));
    json_object_set_new(out, "data",
                        json_pack("{s:s, s:f}", "store",
                                  rg_fs_base_name(rg_store_folder(run->store)), "hours", hours));
    return out;
}

static int32_t items(void *self, bool training)
{
    const rg_track_run *run = self;
    return training ? run->items : run->windows;
}

static double units_per_step(void *self, const char **unit)
{
    const rg_track_run *run = self;
    double books = 0;
    for (int32_t r = 0; r < run->config->n_roles; r++) books += run->config->roles[r].books;
    *unit = "tokens";
    return books * run->micros * run->items * run->config->frames;
}

/* A role's own parameters take part in its turn only, which is a pass of its own. */
static int32_t last_pass(const void *self, const char *parameter)
{
    const rg_track_config *c = ((const rg_track_run *)self)->config;
    for (int32_t r = 0; r < c->n_roles; r++) {
        char prefix[RG_NAME_SIZE];
        snprintf(prefix, sizeof prefix, "track.%s.", c->roles[r].name);
        if (!strncmp(parameter, prefix, strlen(prefix))) return r;
    }
    return c->n_roles - 1;
}

const rg_task rg_track_task = {.kind = "tracks",
                               .schema = schema,
                               .n_schema = sizeof schema / sizeof schema[0],
                               .open = rg_track_run_open,
                               .rehearse = rg_track_run_rehearse,
                               .bytes = rg_track_run_bytes,
                               .items = items,
                               .start = rg_track_run_start,
                               .close = rg_track_run_close,
                               .params = params_of,
                               .micro_step = rg_track_run_step,
                               .losses = rg_track_run_losses,
                               .last_pass = last_pass,
                               .validate = rg_track_run_validate,
                               .sample = rg_track_run_sample,
                               .save = save,
                               .load = load,
                               .describe = describe,
                               .units_per_step = units_per_step,
                               .best_metric = "bits"};
