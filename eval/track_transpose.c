/*
 * The transposition test: does the bass follow when the harmony it was made against is moved?
 *
 * One idea: the harmony is played faster or slower, which moves it by exact semitones (resampling,
 * nothing else; its tempo is not told and no other track is seen), and goes through its codec like
 * any sound. Key and tempo are withheld. A bass that listens fits the moved harmony better than the
 * same harmony turned back.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/track_internal.h"
#include "music/features/chroma.h"
#include "music/features/key.h"

enum { PER_SONG = 2, MOST = 40, MOVES = 3, STEPS = RG_CHROMA_RATE * 32 };
/* The first is home; no fifths, whose scales share too much. */
enum { HIGHEST = 3 };
static const int32_t moves[MOVES] = {0, HIGHEST, -2};

enum kind { SEEN, UNSEEN, REAL, KINDS };
static const struct shown {
    const char *name;
    rg_row_kind kind;
} shown[KINDS] = {[SEEN] = {"generated, harmony seen", RG_ROW_OURS},
                  [UNSEEN] = {"generated, harmony not seen", RG_ROW_FLOOR},
                  [REAL] = {"real bass, moved alike", RG_ROW_CEILING}};

/* A chroma of at most STEPS rows. */
typedef struct pitches {
    int64_t n;
    float chroma[STEPS * 12];
} pitches;

typedef struct transposition {
    track_evaluation *t;
    int32_t harmony, bass, n, units;
    track_place places[MOST];
    double seconds;
    pitches *harmonies, *basses[KINDS]; /* (n, MOVES) */
} transposition;

static rg_status hear(const rg_audio *a, pitches *out, rg_error *err)
{
    int64_t frames = rg_chroma_frames(a->frames, a->rate);
    float *chroma = malloc((size_t)(12 * frames) * sizeof *chroma);
    rg_status status = chroma ? rg_chroma(a->samples, a->frames, a->rate, chroma, err)
                              : rg_fail(err, RG_ERR_NOMEM, "no memory for pitches");
    out->n = rg__least(frames, STEPS);
    if (status == RG_OK) memcpy(out->chroma, chroma, (size_t)(12 * out->n) * sizeof *chroma);
    free(chroma);
    return status;
}

/* The stem from the place on, `up` semitones higher, as long as a window. */
static rg_status moved_audio(const transposition *x, const track_place *p, int32_t role, int32_t up,
                             rg_audio *out, rg_error *err)
{
    double factor = pow(2, up / 12.0);
    RG_TRY(rg__place_audio(x->t, p, role, x->seconds * factor, out, err));
    out->rate = (int32_t)lround(out->rate * factor);
    return RG_OK;
}

/* Codes of a sound of any rate into one item; what lacks at its end is silence. */
static rg_status encode_item(const transposition *x, const rg_audio *a, rg_track_batch *rows,
                             int32_t item, rg_error *err)
{
    rg_codec *codec = &x->t->bundle.codecs[x->harmony];
    int64_t n = rows->frames * (int64_t)rg_encodec_hop(&codec->config);
    rg_audio at_rate = {0}, padded = {0};
    rg_status status = rg_audio_resample(a, codec->config.sample_rate, &at_rate, err);
    if (status == RG_OK) status = rg_audio_make(&padded, n, 1, codec->config.sample_rate, err);
    if (status == RG_OK) {
        memcpy(padded.samples, at_rate.samples,
               (size_t)rg__least(n, at_rate.frames) * sizeof(float));
        rg_step_begin(x->t->e->codecs, 0);
        status = rg_codec_encode_audio(x->t->e->codecs, codec, padded.samples, n,
                                       rows->codes[x->harmony] +
                                           item * rows->frames * codec->config.codebooks);
        if (status != RG_OK) rg_fail(err, status, "%s", x->t->e->codecs->error.text);
    }
    rg_audio_free(&at_rate);
    rg_audio_free(&padded);
    return status;
}

static rg_status prepare_item(const transposition *x, int32_t item, rg_track_batch *rows,
                              rg_error *err)
{
    const track_place *p = &x->places[item / MOVES];
    int32_t up = moves[item % MOVES];
    rg_audio harmony = {0}, bass = {0};
    rg_status status = moved_audio(x, p, x->harmony, up, &harmony, err);
    if (status == RG_OK) status = moved_audio(x, p, x->bass, up, &bass, err);
    if (status == RG_OK) status = hear(&harmony, &x->harmonies[item], err);
    if (status == RG_OK) status = hear(&bass, &x->basses[REAL][item], err);
    if (status == RG_OK) status = encode_item(x, &harmony, rows, item, err);
    if (status == RG_OK) {
        memset(rows->state[x->harmony] + (int64_t)item * rows->frames, RG_CELL_KNOWN,
               (size_t)rows->frames);
        status = rg_track_data_latents(x->t->data, rows, item, err);
    }
    rg_audio_free(&harmony);
    rg_audio_free(&bass);
    return status;
}

static rg_status hear_made(const transposition *x, const rg_track_batch *rows, int32_t item,
                           pitches *out, rg_error *err)
{
    rg_audio a = {0};
    rg_status status = rg__rows_decode(x->t, rows, item, x->bass, &a, err);
    if (status == RG_OK) status = hear(&a, out, err);
    rg_audio_free(&a);
    return status;
}

static rg_status make_seen(const transposition *x, rg_track_batch *rows, rg_error *err)
{
    uint64_t seeds[MOST * MOVES];
    for (int32_t i = 0; i < x->n * MOVES; i++) {
        seeds[i] = x->t->e->options.seed + (uint64_t)(i / MOVES);
        RG_TRY(prepare_item(x, i, rows, err));
    }
    RG_TRY(rg__rows_fill(x->t, rows, x->bass, seeds, err));
    for (int32_t i = 0; i < x->n * MOVES; i++)
        RG_TRY(hear_made(x, rows, i, &x->basses[SEEN][i], err));
    return RG_OK;
}

/* One bass a place: what is not seen cannot change it. */
static rg_status make_unseen(const transposition *x, rg_track_batch *rows, rg_error *err)
{
    uint64_t seeds[MOST];
    rg_track_batch_clear(&x->t->bundle.config, rows);
    rows->items = x->n;
    for (int32_t i = 0; i < x->n; i++) seeds[i] = x->t->e->options.seed + (uint64_t)i;
    RG_TRY(rg__rows_fill(x->t, rows, x->bass, seeds, err));
    for (int32_t i = 0; i < x->n; i++) {
        pitches *first = &x->basses[UNSEEN][i * MOVES];
        RG_TRY(hear_made(x, rows, i, first, err));
        for (int m = 1; m < MOVES; m++) first[m] = *first;
    }
    return RG_OK;
}

/* ---- what followed ---- */

/* Fit to the harmony as it was heard, less fit to the same one turned back home. */
static double gain_of(const pitches *bass, const pitches *harmony, int32_t up)
{
    pitches home = {.n = harmony->n};
    for (int64_t i = 0; i < harmony->n; i++)
        for (int c = 0; c < 12; c++)
            home.chroma[i * 12 + c] = harmony->chroma[i * 12 + ((c + up) % 12 + 12) % 12];
    int64_t n = rg__least(bass->n, harmony->n);
    return rg_chroma_fit(bass->chroma, harmony->chroma, n) -
           rg_chroma_fit(bass->chroma, home.chroma, n);
}

/* Whether the bass is heard to have turned by as much as the harmony was moved. */
static double turned(const pitches *home, const pitches *moved, int32_t up)
{
    int32_t turn = rg_chroma_turn(home->chroma, home->n, moved->chroma, moved->n);
    return turn < 0 ? NAN : turn == (up + 12) % 12 ? 100 : 0;
}

/* Means over a song's places and moves; (units) each. */
static void by_song(const transposition *x, enum kind k, double *gains, double *turns)
{
    for (int32_t u = 0; u < x->units; u++) {
        double sum[2] = {0}, count[2] = {0};
        for (int32_t i = 0; i < x->n * MOVES; i++) {
            if (x->places[i / MOVES].unit != u || i % MOVES == 0) continue;
            const pitches *bass = &x->basses[k][i];
            int32_t up = moves[i % MOVES];
            const double v[2] = {gain_of(bass, &x->harmonies[i], up),
                                 turned(bass - i % MOVES, bass, up)};
            for (int c = 0; c < 2; c++)
                if (isfinite(v[c])) {
                    sum[c] += v[c];
                    count[c]++;
                }
        }
        gains[u] = count[0] > 0 ? sum[0] / count[0] : NAN;
        turns[u] = count[1] > 0 ? sum[1] / count[1] : NAN;
    }
}

static void show(const transposition *x)
{
    char caption[700];
    uint64_t seed = x->t->e->options.seed;
    const char *bass = x->t->bundle.config.roles[x->bass].name,
               *harmony = x->t->bundle.config.roles[x->harmony].name;
    rg_format(
        caption, sizeof caption,
        "Transposition test: %s made against the %s of %d windows from %d songs, moved by %+d "
        "and %+d semitones, key and tempo withheld. “Gain”: how much better its pitch "
        "classes fit the moved %s than the same one moved back. Songs have favourite keys, "
        "so chance is not 0 but the row of a bass that saw nothing: no more than that means "
        "no effect seen. “Turned alike”: the pitch classes turn by just as much; chance "
        "8 %%.",
        bass, harmony, x->n, x->units, moves[1], moves[2], harmony);
    rg_table *table = rg_report_table(x->t->e->report, "transposition", caption);
    rg_table_column(table, "gain", "Gain", "nat", RG_HIGHER_BETTER, 3);
    rg_table_column(table, "turned", "Turned alike", "% of takes", RG_HIGHER_BETTER, 0);
    double gains[KINDS][MOST], turns[MOST];
    judgement j = {0};
    for (enum kind k = 0; k < KINDS; k++) {
        int32_t row = rg_table_row(table, shown[k].kind, "%s", shown[k].name);
        by_song(x, k, gains[k], turns);
        rg_table_interval(table, row, 0, rg_bootstrap(gains[k], x->units, seed));
        rg_table_interval(table, row, 1, rg_bootstrap(turns, x->units, seed));
    }
    rg__judge(&j, bass, rg_bootstrap_paired(gains[SEEN], gains[UNSEEN], x->units, seed), "nat");
    rg__judge_say(x->t->e->report, &j, "Follows a transposed harmony more than if it saw none");
}

static rg_status run(transposition *x, rg_error *err)
{
    const rg_track_config *config = &x->t->bundle.config;
    size_t one = (size_t)x->n * MOVES;
    x->harmonies = calloc(one * (KINDS + 1), sizeof *x->harmonies);
    rg_track_batch *rows = rg_track_batch_create(config, x->n * MOVES, config->frames, err);
    rg_status status = x->harmonies && rows
                           ? RG_OK
                           : rg_fail(err, RG_ERR_NOMEM, "no memory for a transposition test");
    for (int k = 0; k < KINDS && status == RG_OK; k++)
        x->basses[k] = x->harmonies + one * (size_t)(k + 1);
    if (status == RG_OK) status = make_seen(x, rows, err);
    if (status == RG_OK) status = make_unseen(x, rows, err);
    if (status == RG_OK) show(x);
    rg_track_batch_free(rows);
    free(x->harmonies);
    return status;
}

rg_status rg__transposition_test(track_evaluation *t, rg_error *err)
{
    const rg_track_config *config = &t->bundle.config;
    transposition x = {.t = t,
                       .bass = rg__pitched_role(config, 0),
                       .harmony = rg__pitched_role(config, 1),
                       .seconds = config->frames / config->frame_rate};
    if (t->e->options.samples < 1 || x.harmony < 0) return RG_OK;
    const int32_t roles[] = {x.bass, x.harmony};
    rg_report_section(t->e->report, "listening", "Does one track listen to another?");
    /* the song goes on long enough for the move that plays it fastest */
    int64_t longest = (int64_t)ceil(config->frames * pow(2, HIGHEST / 12.0));
    x.n = rg__places_find(t, roles, 2, longest, PER_SONG, MOST, x.places, &x.units);
    if (x.n > 0) return run(&x, err);
    rg_report_text(t->e->report, "No transposition test: no song has %s and %s at once.",
                   config->roles[x.bass].name, config->roles[x.harmony].name);
    return RG_OK;
}
