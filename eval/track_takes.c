/*
 * Takes made from nothing but a request: a seed, a tempo, a key, a meter.
 *
 * One idea: every seed is asked for every tempo, so what differs within a seed is the request's
 * doing. Requests stay within what training has seen.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/track_internal.h"
#include "generate/conditions.h"

enum { TAKES = CONTROL_SEEDS * CONTROL_REQUESTS };

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Tempi that training has seen: its lower, middle and upper part. */
static rg_status choose_tempi(const track_evaluation *t, double out[CONTROL_REQUESTS],
                              rg_error *err)
{
    static const double shares[CONTROL_REQUESTS] = {0.15, 0.5, 0.85};
    static const double usual[CONTROL_REQUESTS] = {90, 120, 150};
    int64_t songs = rg_store_songs(t->e->store), n = 0;
    double *tempi = malloc((size_t)(songs + 1) * sizeof *tempi);
    if (!tempi) return rg_fail(err, RG_ERR_NOMEM, "no memory for tempi");
    for (int64_t i = 0; i < songs; i++) {
        const rg_song *song = rg_store_song(t->e->store, i);
        if (song->split == RG_SPLIT_TRAIN && song->tempo_bpm > 0) tempi[n++] = song->tempo_bpm;
    }
    if (n > 0) qsort(tempi, (size_t)n, sizeof *tempi, rising);
    for (int j = 0; j < CONTROL_REQUESTS; j++) {
        double bpm = n > 0 ? tempi[(int64_t)(shares[j] * (double)(n - 1) + 0.5)] : usual[j];
        out[j] = fmax(40, fmin(240, round(bpm)));
    }
    free(tempi);
    return RG_OK;
}

/* Keys that the bundle was trained with, one per request; fewer keys are used in turn. */
static void choose_keys(const track_evaluation *t, rg_key out[CONTROL_REQUESTS])
{
    const rg_track_config *config = &t->bundle.config;
    int32_t field = rg_track_find_field(config, "key"), n = 0;
    for (int32_t w = 0; field >= 0 && w < config->fields[field].n_words; w++) {
        const char *word = config->fields[field].words[w];
        rg_key key;
        if (n == CONTROL_REQUESTS || !rg_key_parse(word, &key.tonic, &key.mode)) continue;
        if (rg_bundle_trained_with(&t->bundle, "key", word) != 0) out[n++] = key;
    }
    for (int32_t j = n; j < CONTROL_REQUESTS; j++) out[j] = n > 0 ? out[j % n] : (rg_key){-1, 0};
}

static bool knows_meter(const track_evaluation *t, const char *word)
{
    return rg_track_word(&t->bundle.config, "meter", word) >= 0 &&
           rg_bundle_trained_with(&t->bundle, "meter", word) != 0;
}

/* Four beats, three and four, of those that the bundle was trained with; 0: neither. */
static void choose_meters(const track_evaluation *t, int32_t out[CONTROL_REQUESTS])
{
    bool three = knows_meter(t, "3/4"), four = knows_meter(t, "4/4");
    for (int j = 0; j < CONTROL_REQUESTS; j++)
        out[j] = three && (j % 2 || !four) ? 3 : four ? 4 : 0;
}

typedef struct request {
    double tempo;
    rg_key key;
    int32_t meter;
} request;

static rg_status choose_requests(const track_evaluation *t, request out[CONTROL_REQUESTS],
                                 rg_error *err)
{
    double tempi[CONTROL_REQUESTS];
    rg_key keys[CONTROL_REQUESTS];
    int32_t meters[CONTROL_REQUESTS];
    RG_TRY(choose_tempi(t, tempi, err));
    choose_keys(t, keys);
    choose_meters(t, meters);
    for (int j = 0; j < CONTROL_REQUESTS; j++) out[j] = (request){tempi[j], keys[j], meters[j]};
    return RG_OK;
}

static rg_status ask(track_evaluation *t, const request *r, rg_conditions *out, rg_error *err)
{
    const rg_prompt *none[RG_TRACK_ROLES] = {0};
    char text[3][48], name[16];
    const char *settings[3];
    size_t n = 0;
    rg_prompt *prompt = calloc(1, sizeof *prompt);
    if (!prompt) return rg_fail(err, RG_ERR_NOMEM, "no memory for a prompt");
    for (size_t i = 0; i < 3; i++) settings[i] = text[i];
    rg_format(text[n++], sizeof text[0], "tempo=%.0f", r->tempo);
    if (r->key.tonic >= 0)
        rg_format(text[n++], sizeof text[0], "key=%s",
                  rg_key_name(r->key.tonic, r->key.mode, name));
    if (r->meter) rg_format(text[n++], sizeof text[0], "meter=%d/4", r->meter);
    rg_status status = rg_prompt_analyze("", &t->bundle.vocabulary, prompt, err);
    if (status == RG_OK)
        status = rg_conditions_make(&t->bundle, prompt, none, settings, n, out, err);
    free(prompt);
    return status;
}

static void write_beats(const track_evaluation *t, const rg_conditions *asked, rg_track_batch *rows,
                        int32_t item)
{
    rg_beat_grid grid = rg_conditions_grid(asked);
    rg_beat_features(&grid, t->bundle.config.frame_rate, 0, rows->frames,
                     rows->beat + (int64_t)item * rows->frames * RG_BEAT_FEATURES);
}

static rg_status fill_role(track_evaluation *t, rg_track_batch *rows, int32_t role,
                           const rg_conditions *asked, rg_error *err)
{
    int32_t fields = t->bundle.config.n_fields;
    uint64_t seeds[TAKES];
    for (int32_t i = 0; i < TAKES; i++) {
        seeds[i] = t->e->options.seed + (uint64_t)(i / CONTROL_REQUESTS);
        memcpy(rows->conditions + (int64_t)i * fields, asked[i % CONTROL_REQUESTS].ids[role],
               (size_t)fields * sizeof(int32_t));
    }
    return rg__rows_fill(t, rows, role, seeds, err);
}

static rg_status make_sound(track_evaluation *t, control_takes *out, const request *requests,
                            rg_error *err)
{
    RG_TRY(rg__pieces_make(&out->pieces, TAKES, err));
    for (int32_t i = 0; i < TAKES; i++) {
        piece *p = &out->pieces.all[i];
        const request *r = &requests[i % CONTROL_REQUESTS];
        p->tempo = r->tempo;
        p->key = r->key;
        p->meter = r->meter;
        rg_format(p->name, sizeof p->name, "seed %d, %.0f bpm", i / CONTROL_REQUESTS + 1, p->tempo);
        for (int32_t k = 0; k < t->bundle.config.n_roles; k++)
            RG_TRY(rg__rows_decode(t, out->rows, i, k, &p->stems[k], err));
    }
    return RG_OK;
}

rg_status rg__control_make(track_evaluation *t, control_takes *out, rg_error *err)
{
    const rg_track_config *config = &t->bundle.config;
    request requests[CONTROL_REQUESTS];
    if (t->e->options.samples < 1) return RG_OK;
    RG_TRY(choose_requests(t, requests, err));
    rg_conditions *asked = calloc(CONTROL_REQUESTS, sizeof *asked);
    if (!asked) return rg_fail(err, RG_ERR_NOMEM, "no memory for requests");
    out->rows = rg_track_batch_create(config, TAKES, config->frames, err);
    if (!out->rows) {
        free(asked);
        return err->code;
    }
    rg_status status = RG_OK;
    for (int j = 0; j < CONTROL_REQUESTS && status == RG_OK; j++)
        status = ask(t, &requests[j], &asked[j], err);
    for (int32_t i = 0; i < TAKES && status == RG_OK; i++)
        write_beats(t, &asked[i % CONTROL_REQUESTS], out->rows, i);
    rg_progress progress;
    rg_progress_start(&progress, "asked takes", config->n_roles);
    for (int32_t r = 0; r < config->n_roles && status == RG_OK; r++) {
        status = fill_role(t, out->rows, r, asked, err);
        rg_progress_step(&progress, t->e->log, r + 1, config->roles[r].name);
    }
    if (status == RG_OK) status = make_sound(t, out, requests, err);
    free(asked);
    return status;
}

void rg__control_free(control_takes *takes)
{
    rg_track_batch_free(takes->rows);
    rg__pieces_free(&takes->pieces);
    *takes = (control_takes){0};
}
