/*
 * One song of a data set: files to roles to the store.
 *
 * One idea: each stem is folded down, resampled and added to the row of its role block by block, so
 * memory grows with roles and not with stems, and a worker keeps it for its next song; whatever was
 * odd about a file becomes a note that is told, and kept with the song.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/importers/import_internal.h"
#include "datasets/importers/import_stem.h"
#include "datasets/prompts.h"
#include "datasets/stem_levels.h"

static const double pad_seconds = 0.05, dc_limit = 0.01, residual_limit_db = -30,
                    cancelling_db = -9;

struct rg__import_room {
    rg__row rows[RG_MAX_ROLES][RG_MAX_CHANNELS]; /* of each role ... */
    rg__row sum[RG_MAX_CHANNELS];                /* ... and of all stems */
    rg_stems stems;
};

typedef struct mixing {
    const rg__import_job *job;
    rg__import_song *song;
    rg__import_room *room;
    int64_t shortest, longest; /* of the stems */
    int32_t original_rate;
    json_t *facts; /* of the stems, for the provenance */
} mixing;

rg__import_room *rg__import_room_create(void)
{
    return calloc(1, sizeof(rg__import_room));
}

void rg__import_room_destroy(rg__import_room *room)
{
    if (!room) return;
    for (size_t c = 0; c < RG_MAX_CHANNELS; c++) {
        for (size_t r = 0; r < RG_MAX_ROLES; r++) free(room->rows[r][c].samples);
        free(room->sum[c].samples);
    }
    rg_stems_free(&room->stems);
    free(room);
}

/* ---- one file ---- */

/* Channels that are each other's opposite leave nothing of their mean. */
static void note_cancelling(rg__import_song *song, const char *label, double folded_db)
{
    if (folded_db < cancelling_db)
        rg__import_note(song,
                        "the channels of '%s' cancel each other: their mean is %.0f dB below them; "
                        "--stereo left takes one",
                        label, -folded_db);
}

static void note_levels(rg__import_song *song, const rg__import_stem *stem,
                        const rg__stem_facts *levels)
{
    if (!(levels->peak > 1e-5)) rg__import_note(song, "'%s' has no sound", stem->label);
    if (levels->peak > 1)
        rg__import_note(song, "'%s' goes beyond full scale, to %.2f; it is scaled, not clipped",
                        stem->label, levels->peak);
    if (fabs(levels->dc) > dc_limit)
        rg__import_note(song, "'%s' has an offset of %.3f, which is filtered out", stem->label,
                        levels->dc);
    if (stem->role == RG_ROLE_DROP)
        rg__import_note(song, "no role takes '%s'; it is left out", stem->label);
}

static rg_status add_blocks(mixing *m, rg__stem *file, int32_t role, int64_t *frames, rg_error *err)
{
    rg__import_room *room = m->room;
    const float *x[RG_MAX_CHANNELS];
    int64_t n;
    *frames = 0;
    for (;;) {
        RG_TRY(rg__stem_next(file, x, &n, err));
        if (n == 0) return RG_OK;
        for (int32_t c = 0; c < m->job->channels; c++) {
            if (m->song->mixture) RG_TRY(rg__row_add(&room->sum[c], *frames, x[c], n, err));
            if (role >= 0) RG_TRY(rg__row_add(&room->rows[role][c], *frames, x[c], n, err));
        }
        *frames += n;
    }
}

static rg_status add_stem(mixing *m, const rg__import_stem *stem, rg_error *err)
{
    int64_t frames;
    rg__stem *file =
        rg__stem_open(stem->path, stem->label, m->job->options->downmix, m->job->rate, err);
    if (!file) return err->code;
    rg_status status = add_blocks(m, file, stem->role, &frames, err);
    rg__stem_facts facts = rg__stem_measured(file);
    rg__stem_close(file);
    RG_TRY(status);
    note_cancelling(m->song, stem->label, facts.folded_db);
    note_levels(m->song, stem, &facts);
    if (m->original_rate && m->original_rate != facts.rate)
        rg__import_note(m->song, "'%s' has %d Hz, others have %d", stem->label, facts.rate,
                        m->original_rate);
    m->original_rate = m->original_rate ? m->original_rate : facts.rate;
    m->longest = frames > m->longest ? frames : m->longest;
    m->shortest = m->shortest && m->shortest < frames ? m->shortest : frames;
    json_t *fact = json_pack("{s:s, s:s, s:i, s:i, s:f, s:b}", "name", stem->label, "role",
                             stem->role < 0 ? "" : m->job->map->roles[stem->role].name, "rate",
                             (int)facts.rate, "channels", (int)facts.channels, "peak", facts.peak,
                             "bleed", (int)stem->bleed);
    m->song->stereo |= facts.channels > 1;
    if (facts.channels < m->job->channels) json_object_set_new(fact, "both_alike", json_true());
    json_array_append_new(m->facts, fact);
    return RG_OK;
}

/* ---- the song ---- */

static rg_status settle_lengths(mixing *m, int64_t *frames, rg_error *err)
{
    double apart = (double)(m->longest - m->shortest) / m->job->rate;
    bool trims = apart > pad_seconds && m->job->options->lengths == RG_IMPORT_TRIM;
    *frames = trims ? m->shortest : m->longest;
    if (!(apart > 1.5 / m->job->rate)) return RG_OK;
    if (apart > pad_seconds && m->job->options->lengths == RG_IMPORT_ERROR)
        return rg_fail(err, RG_ERR_FORMAT, "stems differ by %.3f s in length", apart);
    rg__import_note(m->song, "stems differ by %.3f s in length; %s", apart,
                    trims ? "all are cut to the shortest" : "the shorter ones are padded");
    return RG_OK;
}

/* Energies of the mixture and of mixture minus stems, in the first `frames`. */
static rg_status add_energies(const mixing *m, rg__stem *mixture, int64_t frames, double *energy,
                              double *rest, rg_error *err)
{
    const float *x[RG_MAX_CHANNELS];
    int64_t n = 0, at = 0;
    do {
        RG_TRY(rg__stem_next(mixture, x, &n, err));
        for (int32_t c = 0; c < m->job->channels; c++) {
            const float *sum = m->room->sum[c].samples + at;
            for (int64_t i = 0; i < n && at + i < frames; i++) {
                double whole = x[c][i], apart = whole - sum[i];
                *energy += whole * whole;
                *rest += apart * apart;
            }
        }
        at += n;
    } while (n > 0);
    for (int32_t c = 0; c < m->job->channels; c++)
        for (int64_t i = at; i < frames; i++)
            *rest += (double)m->room->sum[c].samples[i] * m->room->sum[c].samples[i];
    return RG_OK;
}

static rg_status compare_mixture(const mixing *m, int64_t frames, rg_error *err)
{
    double energy = 0, rest = 0;
    if (!m->song->mixture) return RG_OK;
    for (int32_t c = 0; c < m->job->channels; c++)
        RG_TRY(rg__row_pad(&m->room->sum[c], frames, err));
    rg__stem *mixture =
        rg__stem_open(m->song->mixture, "mixture", m->job->options->downmix, m->job->rate, err);
    if (!mixture) return err->code;
    rg_status status = add_energies(m, mixture, frames, &energy, &rest, err);
    double cancel_db = rg__stem_measured(mixture).folded_db;
    rg__stem_close(mixture);
    RG_TRY(status);
    note_cancelling(m->song, "mixture", cancel_db);
    double db = rest > 0 ? 10 * log10(rest / fmax(energy, 1e-30)) : -INFINITY;
    if (db > residual_limit_db)
        rg__import_note(m->song, "the stems do not sum to the mixture: %.1f dB are left", db);
    return RG_OK;
}

static rg_status level(mixing *m, int64_t frames, rg_error *err)
{
    rg__rows all = {.frames = frames,
                    .n_roles = m->job->map->n,
                    .channels = m->job->channels,
                    .rate = m->job->rate};
    if (frames < 1) return rg_fail(err, RG_ERR_FORMAT, "no stem has a sample");
    for (int32_t r = 0; r < all.n_roles; r++)
        for (int32_t c = 0; c < all.channels; c++) {
            rg__row *from = &m->room->rows[r][c];
            if (from->length == 0) continue;
            RG_TRY(rg__row_pad(from, frames, err));
            all.rows[r][c] = from->samples;
        }
    rg__stems_high_pass(&all);
    return rg__stems_make(&all, 0, &m->room->stems, err);
}

/* Whether the comma-separated list has the name. */
static bool is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == 0 || at[n] == ',')) return true;
    return false;
}

static rg_status check_roles(const mixing *m, const rg_stems *stems, rg_error *err)
{
    for (int32_t r = 0; r < m->job->map->n; r++) {
        const char *name = m->job->map->roles[r].name;
        if (stems->present[r]) continue;
        if (is_listed(m->job->options->require, name))
            return rg_fail(err, RG_ERR_FORMAT, "'%s' is required and is absent", name);
        if (m->room->rows[r][0].length > 0)
            rg__import_note(m->song, "%s stays below -60 dBFS: marked absent", name);
    }
    return RG_OK;
}

static void fill_song(const mixing *m, const rg_stems *stems, rg_song *s)
{
    const rg__import_song *from = m->song;
    *s = (rg_song){.split = from->split,
                   .frames = stems->frames,
                   .loudness_lufs = stems->loudness_lufs,
                   .gain_db = stems->gain_db,
                   .original_rate = m->original_rate,
                   .key_tonic = -1};
    memcpy(s->present, stems->present, sizeof s->present);
    rg_copy_text(s->id, sizeof s->id, from->id);
    rg_copy_text(s->title, sizeof s->title, from->title);
    rg_copy_text(s->genre, sizeof s->genre, from->genre);
    rg_copy_text(s->group, sizeof s->group, from->group);
    rg_copy_text(s->content_hash, sizeof s->content_hash, from->content_hash);
    for (int32_t k = 0; k < from->n; k++) {
        int32_t r = from->stems[k].role;
        if (r < 0 || !s->present[r]) continue;
        char *out = s->instruments[r];
        size_t used = strlen(out), room = sizeof s->instruments[r] - used;
        if (strlen(from->stems[k].label) + 3 <= room)
            snprintf(out + used, room, "%s%s", used ? ", " : "", from->stems[k].label);
    }
    const char *roles[RG_MAX_ROLES];
    for (int32_t r = 0; r < m->job->map->n; r++) roles[r] = m->job->map->roles[r].name;
    rg_prompt_write(s, m->job->map->n, roles, RG_PROMPT_SENTENCE, 0);
}

static rg_status store_song(const mixing *m, const rg_stems *stems, rg_error *err)
{
    rg_song *song = malloc(sizeof *song);
    json_t *map = json_loads(m->job->map_json, 0, NULL);
    json_object_set(map, "stems", m->facts);
    json_object_set(map, "notes", m->song->notes);
    char *text = json_dumps(map, JSON_COMPACT);
    json_decref(map);
    if (!song || !text) {
        free(song);
        free(text);
        return rg_fail(err, RG_ERR_NOMEM, "no memory to store a song");
    }
    fill_song(m, stems, song);
    const char *given = m->job->options->license;
    rg_provenance p = {.package = m->job->importer->name,
                       .package_version = "",
                       .file = m->song->file,
                       .file_sha256 = "",
                       .license = m->song->license[0] ? m->song->license
                                  : given             ? given
                                                      : m->job->importer->license,
                       .renderer = "",
                       .renderer_version = "",
                       .soundfont = "",
                       .soundfont_sha256 = "",
                       .role_map_json = text,
                       .source_dataset = m->job->importer->name,
                       .track_id = m->song->title};
    rg_status status = rg_store_add(m->job->writer, song, &p, stems->samples, err);
    free(text);
    free(song);
    return status;
}

rg_status rg__import_store(const rg__import_job *job, rg__import_room *room, rg__import_song *song,
                           rg_error *err)
{
    mixing m = {.job = job, .song = song, .room = room, .facts = json_array()};
    int64_t frames = 0;
    rg_status status = m.facts ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a song");
    for (size_t c = 0; c < RG_MAX_CHANNELS; c++) {
        for (size_t r = 0; r < RG_MAX_ROLES; r++) room->rows[r][c].length = 0;
        room->sum[c].length = 0;
    }
    for (int32_t k = 0; status == RG_OK && k < song->n; k++)
        status = add_stem(&m, &song->stems[k], err);
    if (status == RG_OK) status = settle_lengths(&m, &frames, err);
    if (status == RG_OK) status = compare_mixture(&m, frames, err);
    if (status == RG_OK) status = level(&m, frames, err);
    if (status == RG_OK) status = check_roles(&m, &room->stems, err);
    if (status == RG_OK) status = store_song(&m, &room->stems, err);
    json_decref(m.facts);
    return status;
}
