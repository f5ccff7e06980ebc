/*
 * Songs to look at and to hear: what went in, what came out, and their difference.
 *
 * One idea: the worst songs come first, so that nobody is shown only what went well; some of the
 * others are drawn at random.
 */
#include <stdlib.h>

#include "base/rng.h"
#include "eval/internal.h"

enum { PLAYER_SECONDS = 8, PICTURES = 3 };

typedef struct ranked {
    double mel;
    int64_t song;
} ranked;

static int worst_first(const void *a, const void *b)
{
    double x = ((const ranked *)a)->mel, y = ((const ranked *)b)->mel;
    return (x < y) - (x > y);
}

static void shorten(rg_audio *sound)
{
    int64_t most = PLAYER_SECONDS * (int64_t)sound->rate;
    if (sound->frames > most) sound->frames = most;
}

/* `picture`: number of its spectrograms; 0: none. */
static void show(evaluation *e, const codec_result *r, codec_excerpt *x, const char *title,
                 const char *note, int32_t picture)
{
    char id[64], caption[300];
    rg_player players[CODEC_ROWS + 1] = {{"original", &x->original}};
    int32_t n = 1;
    static const enum codec_row heard[] = {CODEC_OURS, CODEC_OPUS, CODEC_PCM};
    for (size_t k = 0; k < sizeof heard / sizeof heard[0]; k++) {
        enum codec_row row = heard[k];
        shorten(&x->rows[row]);
        if (!r->missing[row][0])
            players[n++] = (rg_player){rg__codec_rows[row].title, &x->rows[row]};
    }
    shorten(&x->original);
    rg_format(id, sizeof id, "spectrum-%s-%d", r->role, picture);
    rg_format(caption, sizeof caption, "%s: log-mel spectrograms of what went in and came out.",
              title);
    if (picture > 0)
        rg_report_spectrograms(e->report, id, caption, &x->original, "original",
                               &x->rows[CODEC_OURS], "codec");
    rg_report_players(e->report, title, note, players, n);
}

static rg_status add_item(evaluation *e, const codec_result *r, int64_t i, int32_t picture,
                          rg_error *err)
{
    char title[200], note[200];
    const rg_song *song = rg_store_song(e->store, e->songs[i]);
    codec_excerpt x;
    rg_status status = rg__codec_excerpt(e, r, i, &x, err);
    rg_format(title, sizeof title, "%s (%s)", song->title[0] ? song->title : song->id, r->role);
    rg_format(note, sizeof note, "from %.0f s; SI-SDR %.1f dB, mel distance %.1f dB, onset F %.2f",
              (double)r->start[i] / rg_store_rate(e->store),
              rg__codec_values(r, CODEC_OURS, CODEC_SI_SDR)[i],
              rg__codec_values(r, CODEC_OURS, CODEC_MEL)[i],
              rg__codec_values(r, CODEC_OURS, CODEC_ONSET_F)[i]);
    if (status == RG_OK) show(e, r, &x, title, note, picture);
    rg__codec_excerpt_free(&x);
    return status;
}

rg_status rg__codec_items(evaluation *e, const codec_result *r, int32_t most, rg_error *err)
{
    ranked *order = malloc((size_t)(r->n > 0 ? r->n : 1) * sizeof *order);
    if (!order) return rg_fail(err, RG_ERR_NOMEM, "no memory for a list of songs");
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++)
        if (r->start[i] >= 0)
            order[n++] = (ranked){rg__codec_values(r, CODEC_OURS, CODEC_MEL)[i], i};
    qsort(order, (size_t)n, sizeof *order, worst_first);
    rg_status status = RG_OK;
    int32_t pictures = 0, worst = n > most ? 1 : PICTURES; /* the others are of random songs */
    rg_report_heading(e->report, "%s: worst first", r->role);
    for (int64_t k = 0; k < n && k < most && status == RG_OK; k++)
        status = add_item(e, r, order[k].song, k < worst ? ++pictures : 0, err);
    if (n > most) rg_report_heading(e->report, "%s: drawn at random", r->role);
    rg_rng rng = rg_rng_make(e->options.seed, 0x6974656d);
    for (int64_t k = most; k < n && k < 2 * (int64_t)most && status == RG_OK; k++) {
        int64_t other = k + (int64_t)rg_rng_below(&rng, (uint64_t)(n - k));
        ranked swap = order[k];
        order[k] = order[other];
        order[other] = swap;
        status = add_item(e, r, order[k].song, pictures < PICTURES ? ++pictures : 0, err);
    }
    free(order);
    return status;
}
