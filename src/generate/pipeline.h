/*
 * Takes: the codes of all roles over a span of time, made bar by bar and role by role.
 *
 * One idea: a wavefront of fills. For each bar every role in order fills its unknown cells, seeing
 * the earlier roles through this bar, all roles through the last one, and what is known anywhere,
 * the future included. The take is a step function: each call decodes one step (20 ms of one role),
 * so a server can show progress, and stopping is not calling again.
 * Several takes of one request differ in their seeds alone: which cells are known and wanted is the
 * same for all, so they are rows of the same steps, and a take's bits are those it has alone.
 * Not here: audio (stems.h), files (scene.h).
 */
#ifndef RG_GENERATE_PIPELINE_H
#define RG_GENERATE_PIPELINE_H

#include "generate/conditions.h"
#include "generate/sampling.h"

enum { RG_MAX_TAKES = 16 };

typedef struct rg_take_options {
    rg_bundle *bundle;  /* must outlive the take, which has its parts come and go */
    rg_exec *ex;        /* likewise; the take uses its persist and step arenas */
    rg_dtype precision; /* of the bundle's weights, for the id */
    int32_t frames;     /* T, at the bundle's frame rate */
    int32_t takes;      /* made at once, 1 to RG_MAX_TAKES; 0 counts as 1 */
    uint64_t seeds[RG_MAX_TAKES][RG_TRACK_ROLES];
    rg_sampling sampling;
    const rg_conditions *conditions; /* copied */
} rg_take_options;

typedef struct rg_take rg_take;

/* Every cell unknown. NULL with a text in err on failure. */
rg_take *rg_take_create(const rg_take_options *options, rg_error *err);
/* What a take holds besides the models' caches; rows and frames of its caches' windows. */
int64_t rg_take_bytes(const rg_track_config *config, int32_t frames, int32_t takes);
int32_t rg_take_rows(int32_t takes);
int32_t rg_take_window(const rg_track_config *config);
void rg_take_destroy(rg_take *take); /* NULL is fine; also cancels */

/* What is known of a role, in all takes: codes (T,K) are read where known[t] is 1 (T). Before the
 * first step. */
rg_status rg_take_know(rg_take *take, int32_t role, const int32_t *codes, const uint8_t *known,
                       rg_error *err) RG_MUST_USE;
/* The role does not play in this piece. */
void rg_take_leave_out(rg_take *take, int32_t role);

typedef struct rg_take_progress {
    int64_t done, total; /* decoding steps, each of all takes */
    int32_t role, frame; /* last written */
    bool finished;
} rg_take_progress;

/* One decoding step. After the last, progress->finished. */
rg_status rg_take_step(rg_take *take, rg_take_progress *progress, rg_error *err) RG_MUST_USE;

/* 16 hex digits that name the request of take i: the same seeds, conditions, precision and known
 * cells give the same id. */
void rg_take_id(const rg_take *take, int32_t i, char id[17]);
/* (T,K) of take i; -1 where nothing is written yet. Lives as long as the takes. */
const int32_t *rg_take_codes(const rg_take *take, int32_t i, int32_t role);

#endif
