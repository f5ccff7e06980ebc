/*
 * One song of a data set: files to roles to the store.
 *
 * One idea: each stem is folded down, resampled and added to the row of its role at once, so memory
 * grows with roles and not with stems; whatever was odd about a file becomes a note that is told,
 * and kept with the song.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "datasets/importers/import_internal.h"
#include "datasets/prompts.h"
#include "datasets/stem_levels.h"

static const double pad_seconds = 0.05, dc_limit = 0.01, residual_limit_db = -30,
                    cancelling_db = -9;

typedef struct row {
    float *samples; /* NULL while empty */
    int64_t length;
} row;

typedef struct mixing {
    const rg__import_job *job;
    rg__import_song *song;
    row rows[RG_MAX_ROLES], sum; /* of each role, of all stems */
    int64_t shortest, longest;   /* of the stems */
    int32_t original_rate;
    json_t *facts; /* of the stems, for the provenance */
} mixing;

/* ---- one file ---- */

/* Channels that are each other's opposite leave nothing of their mean. */
static void note_cancelling(rg__import_song *song, const char *label, const rg_audio *read,
                            const rg_audio *mono)
{
    double each = 0, mean = 0;
    for (int64_t i = 0; i < read->frames * read->channels; i++)
        each += (double)read->samples[i] * read->samples[i];
    for (int64_t i = 0; i < mono->frames; i++) mean += (double)mono->samples[i] * mono->samples[i];
    double db = 10 * log10(mean * read->channels / fmax(each, 1e-30) + 1e-12);
    if (each > 0 && db < cancelling_db)
        rg__import_note(song,
                        "the channels of '%s' cancel each other: their mean is %.0f dB below them; "
                        "--stereo left takes one",
                        label, -db);
}

/* One channel of all, by the policy. */
static rg_status fold(const mixing *m, const char *label, const rg_audio *read, rg_audio *out,
                      rg_error *err)
{
    rg_import_downmix policy = m->job->options->downmix;
    if (read->channels == 1 || policy == RG_IMPORT_MEAN) {
        RG_TRY(rg_audio_to_channels(read, 1, out, err));
        if (read->channels > 1) note_cancelling(m->song, label, read, out);
        return RG_OK;
    }
    if (policy == RG_IMPORT_MONO)
        return rg_fail(err, RG_ERR_FORMAT, "'%s' has %d channels; --stereo mean, left or right",
                       label, read->channels);
    RG_TRY(rg_audio_make(out, read->frames, 1, read->rate, err));
    const float *from = read->samples + (policy == RG_IMPORT_RIGHT);
    for (int64_t i = 0; i < read->frames; i++) out->samples[i] = from[i * read->channels];
    return RG_OK;
}

static rg_status read_mono(const mixing *m, const char *path, const char *label, rg_audio *out,
                           rg_audio *original, rg_levels *levels, rg_error *err)
{
    rg_audio read = {0}, mono = {0};
    RG_TRY(rg_audio_read(path, &read, err));
    *levels = rg_audio_levels(&read);
    *original = (rg_audio){.frames = read.frames, .channels = read.channels, .rate = read.rate};
    rg_status status = fold(m, label, &read, &mono, err);
    rg_audio_free(&read);
    if (status == RG_OK) status = rg_audio_resample(&mono, m->job->rate, out, err);
    rg_audio_free(&mono);
    return status;
}

static rg_status add_to(row *to, const rg_audio *audio, rg_error *err)
{
    if (audio->frames > to->length) {
        float *grown = realloc(to->samples, (size_t)audio->frames * sizeof *grown);
        if (!grown) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's stems");
        to->samples = grown;
        memset(grown + to->length, 0, (size_t)(audio->frames - to->length) * sizeof *grown);
        to->length = audio->frames;
    }
    for (int64_t i = 0; i < audio->frames; i++) to->samples[i] += audio->samples[i];
    return RG_OK;
}

static void note_levels(rg__import_song *song, const rg__import_stem *stem, const rg_levels *levels)
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

static rg_status add_stem(mixing *m, const rg__import_stem *stem, rg_error *err)
{
    rg_audio audio = {0}, original;
    rg_levels levels;
    RG_TRY(read_mono(m, stem->path, stem->label, &audio, &original, &levels, err));
    note_levels(m->song, stem, &levels);
    if (m->original_rate && m->original_rate != original.rate)
        rg__import_note(m->song, "'%s' has %d Hz, others have %d", stem->label, original.rate,
                        m->original_rate);
    m->original_rate = m->original_rate ? m->original_rate : original.rate;
    m->longest = audio.frames > m->longest ? audio.frames : m->longest;
    m->shortest = m->shortest && m->shortest < audio.frames ? m->shortest : audio.frames;
    json_array_append_new(m->facts,
                          json_pack("{s:s, s:s, s:i, s:i, s:f, s:b}", "name", stem->label, "role",
                                    stem->role < 0 ? "" : m->job->map->roles[stem->role].name,
                                    "rate", (int)original.rate, "channels", (int)original.channels,
                                    "peak", levels.peak, "bleed", (int)stem->bleed));
    rg_status status = add_to(&m->sum, &audio, err);
    if (status == RG_OK && stem->role >= 0) status = add_to(&m->rows[stem->role], &audio, err);
    rg_audio_free(&audio);
    return status;
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

/* Energy of mixture minus stems against that of the mixture. */
static rg_status compare_mixture(const mixing *m, int64_t frames, rg_error *err)
{
    rg_audio mix = {0}, original;
    rg_levels levels;
    double energy = 0, rest = 0;
    const row *sum = &m->sum;
    if (!m->song->mixture) return RG_OK;
    RG_TRY(read_mono(m, m->song->mixture, "mixture", &mix, &original, &levels, err));
    for (int64_t i = 0; i < frames; i++) {
        double whole = i < mix.frames ? mix.samples[i] : 0;
        double apart = whole - (i < sum->length ? sum->samples[i] : 0);
        energy += whole * whole;
        rest += apart * apart;
    }
    rg_audio_free(&mix);
    double db = rest > 0 ? 10 * log10(rest / fmax(energy, 1e-30)) : -INFINITY;
    if (db > residual_limit_db)
        rg__import_note(m->song, "the stems do not sum to the mixture: %.1f dB are left", db);
    return RG_OK;
}

static rg_status level(mixing *m, int64_t frames, rg_stems *out, rg_error *err)
{
    int32_t n = m->job->map->n;
    if (frames < 1) return rg_fail(err, RG_ERR_FORMAT, "no stem has a sample");
    float *rows = calloc((size_t)(frames * n), sizeof *rows);
    if (!rows) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's stems");
    for (int32_t r = 0; r < n; r++) {
        const row *from = &m->rows[r];
        if (!from->samples) continue;
        size_t length = (size_t)(from->length < frames ? from->length : frames);
        memcpy(rows + r * frames, from->samples, length * sizeof *rows);
        rg__stems_high_pass(rows + r * frames, frames, m->job->rate);
    }
    rg__rows all = {rows, frames, frames, n, m->job->rate};
    rg_status status = rg__stems_make(&all, 0, out, err);
    free(rows);
    return status;
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
        if (m->rows[r].samples)
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

rg_status rg__import_store(const rg__import_job *job, rg__import_song *song, rg_error *err)
{
    mixing m = {.job = job, .song = song, .facts = json_array()};
    rg_stems stems = {0};
    int64_t frames = 0;
    rg_status status = m.facts ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a song");
    for (int32_t k = 0; status == RG_OK && k < song->n; k++)
        status = add_stem(&m, &song->stems[k], err);
    if (status == RG_OK) status = settle_lengths(&m, &frames, err);
    if (status == RG_OK) status = compare_mixture(&m, frames, err);
    if (status == RG_OK) status = level(&m, frames, &stems, err);
    if (status == RG_OK) status = check_roles(&m, &stems, err);
    if (status == RG_OK) status = store_song(&m, &stems, err);
    rg_stems_free(&stems);
    for (size_t r = 0; r < RG_MAX_ROLES; r++) free(m.rows[r].samples);
    free(m.sum.samples);
    json_decref(m.facts);
    return status;
}
