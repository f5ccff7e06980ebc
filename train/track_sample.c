/*
 * Listening to a track run (track_task.h): a window of a validation song, made anew.
 *
 * One idea: always the same song, place and seed, through the same take that `generate` runs, so
 * the files of two steps differ by what was learnt between them. Beside it, what the codecs leave
 * of the song itself: no model of their tokens can sound better.
 * Not here: numbers (track_validate.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "generate/pipeline.h"
#include "generate/stems.h"
#include "train/track_task.h"

typedef struct listening {
    rg_track_run *run;
    rg_bundle bundle; /* the run's models and codecs, borrowed */
    char folder[RG_TRACK_PATH];
    int64_t song, first;
    int32_t frames;
} listening;

/* What the song says of itself: words for every role, tempo and meter. */
static void read_conditions(const listening *l, rg_conditions *out)
{
    rg_track_run *run = l->run;
    const rg_song *song = rg_store_song(run->store, l->song);
    *out = (rg_conditions){.tempo = song->tempo_bpm, .meter = song->meter};
    for (int32_t r = 0; r < run->config->n_roles; r++) {
        rg_track_batch_clear(run->config, run->valid);
        run->valid->target = r;
        rg_track_data_fill(run->data, l->song, l->first, run->valid, 0);
        memcpy(out->ids[r], run->valid->conditions,
               (size_t)run->config->n_fields * sizeof *out->ids[r]);
    }
}

/* A take of the window, with the roles left out that the song lacks. */
static rg_status make_take(listening *l, rg_take **out, rg_error *err)
{
    rg_track_run *run = l->run;
    rg_conditions conditions;
    rg_take_progress now = {0};
    read_conditions(l, &conditions);
    rg_take_options options = {.bundle = &l->bundle,
                               .ex = run->context.ex,
                               .frames = l->frames,
                               .sampling = rg_sampling_defaults(),
                               .conditions = &conditions};
    for (int32_t r = 0; r < run->config->n_roles; r++) options.seeds[0][r] = run->context.seed;
    rg_take *take = *out = rg_take_create(&options, err);
    if (!take) return err->code;
    for (int32_t r = 0; r < run->config->n_roles; r++)
        if (!rg_track_data_has(run->data, l->song, r, RG_SPLIT_VALID)) rg_take_leave_out(take, r);
    while (!now.finished) RG_TRY(rg_take_step(take, &now, err));
    return RG_OK;
}

/* codes (frames,K) of a role -> folder/<role>-<what>.wav; the sound stays in *stem. */
static rg_status write_role(listening *l, int32_t r, const char *what, const int32_t *codes,
                            rg_pcm *stem, rg_error *err)
{
    rg_track_run *run = l->run;
    double seconds = l->frames / run->config->frame_rate;
    char name[RG_TRACK_NAME + 16], path[RG_TRACK_PATH + 64];
    rg_audio made = {0};
    RG_TRY(rg_stem_decode(run->context.ex->host, &run->codecs[r], codes, l->frames, seconds, &made,
                          err));
    rg_status status = rg_stem_assemble(NULL, &made, made.rate, seconds, stem, err);
    rg_audio_free(&made);
    RG_TRY(status);
    snprintf(name, sizeof name, "%s-%s.wav", run->config->roles[r].name, what);
    RG_TRY(rg_fs_join(path, sizeof path, l->folder, name, err));
    return rg_pcm_write_wav(path, stem, err);
}

/* All roles of the take, or of the song itself (take NULL), and their mix. */
static rg_status write_sounds(listening *l, const rg_take *take, const char *what, rg_error *err)
{
    rg_track_run *run = l->run;
    rg_pcm stems[RG_TRACK_ROLES] = {0};
    rg_audio mix = {0};
    double gain;
    char name[32], path[RG_TRACK_PATH + 64];
    int32_t n = 0;
    rg_status status = RG_OK;
    for (int32_t r = 0; r < run->config->n_roles && status == RG_OK; r++) {
        if (!rg_track_data_has(run->data, l->song, r, RG_SPLIT_VALID)) continue;
        const int32_t *codes = take ? rg_take_codes(take, 0, r) : run->valid->codes[r];
        status = write_role(l, r, what, codes, stems + n++, err);
    }
    if (status == RG_OK)
        status = rg_stem_mix(stems, n, l->frames / run->config->frame_rate, &mix, &gain, err);
    snprintf(name, sizeof name, "mix-%s.wav", what);
    if (status == RG_OK) status = rg_fs_join(path, sizeof path, l->folder, name, err);
    if (status == RG_OK) status = rg_audio_write_wav(path, &mix, RG_PCM_S16, NULL, err);
    rg_audio_free(&mix);
    while (n) rg_pcm_free(stems + --n);
    return status;
}

static rg_status write_all(listening *l, rg_error *err)
{
    rg_take *take = NULL;
    RG_TRY(rg_fs_make_folders(l->folder, err));
    rg_status status = make_take(l, &take, err);
    if (status == RG_OK) status = write_sounds(l, take, "made", err);
    if (status == RG_OK) status = write_sounds(l, NULL, "codec", err);
    rg_take_destroy(take);
    return status;
}

rg_status rg_track_run_sample(void *self, int64_t step)
{
    rg_track_run *run = self;
    rg_exec *ex = run->context.ex;
    rg_error err = {0};
    char name[64];
    listening *l = calloc(1, sizeof *l);
    if (!l) return rg_exec_fail(ex, RG_ERR_NOMEM, "no memory for a sample");
    l->run = run;
    l->frames = run->config->frames;
    l->bundle.config = *run->config;
    l->bundle.tracks = run->tracks;
    l->bundle.params = run->params;
    memcpy(l->bundle.codecs, run->codecs, sizeof l->bundle.codecs);
    snprintf(name, sizeof name, "samples/step_%07lld", (long long)step);
    rg_status status = rg_fs_join(l->folder, sizeof l->folder, run->context.run_folder, name, &err);
    bool found =
        rg_track_data_fixed(run->data, RG_SPLIT_VALID, 0, l->frames, 0, &l->song, &l->first);
    if (status == RG_OK && found) {
        int64_t there = rg_tokens_song(run->tokens, l->song)->frames;
        if (there < l->frames) l->frames = (int32_t)there;
        status = write_all(l, &err);
    }
    free(l);
    if (status != RG_OK && err.code) return rg_exec_fail(ex, status, "%s", err.text);
    return status;
}
