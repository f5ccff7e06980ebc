/*
 * Conditions of songs: from what the store says to words, and from words to ids
 * (track_data.h).
 *
 * One idea: a field is a row of one table: its name, and how a song's word of it is found; the
 * vocabulary of a model is the words that its training songs have.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "datasets/track_data_internal.h"
#include "music/prompt/prompt.h"

enum { TEMPO_WORDS = 28 };

static const struct field_row {
    const char *name;
    size_t offset;
    bool per_role;
} fields[] = {
    {"tempo", offsetof(rg__song_words, tempo), false},
    {"key", offsetof(rg__song_words, key), false},
    {"meter", offsetof(rg__song_words, meter), false},
    {"genre", offsetof(rg__song_words, genre), false},
    {"mood", offsetof(rg__song_words, mood), false},
    {"instruments", offsetof(rg__song_words, instruments), true},
    {"energy", offsetof(rg__song_words, energy), false},
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static const char *word_of(const rg__song_words *words, size_t field, int32_t role)
{
    const char *at = (const char *)words + fields[field].offset;
    return fields[field].per_role ? at + (size_t)role * RG_TRACK_NAME : at;
}

/* ---- words of songs -------------------------------------------------------------------------- */

static void read_mood(const char *prompt, const rg_vocabulary *vocabulary, char out[RG_TRACK_NAME])
{
    rg_prompt *analysis = malloc(sizeof *analysis);
    rg_error ignored = {0};
    size_t i = 0;
    if (analysis && rg_prompt_analyze(prompt, vocabulary, analysis, &ignored) == RG_OK) {
        const rg_finding *found = rg_prompt_next(analysis, "mood", &i);
        if (found) rg_copy_text(out, RG_TRACK_NAME, found->value);
    }
    free(analysis);
}

/* Mean number of roles that play, over the song. */
static double density(const rg_track_data *d, const rg_song *song, int64_t index)
{
    double sum = 0;
    for (int32_t r = 0; r < d->n_roles; r++)
        sum += rg_store_active_share(d->store, index, d->store_role[r], 0, song->frames);
    return sum;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Thirds of all songs by how much plays. */
static rg_status read_energy(rg_track_data *d, rg_error *err)
{
    size_t n = (size_t)d->n_songs;
    double *value = malloc(2 * n * sizeof *value + sizeof *value);
    if (!value) return rg_fail(err, RG_ERR_NOMEM, "no memory for %zu songs", n);
    double *sorted = value + n;
    for (size_t i = 0; i < n; i++)
        sorted[i] = value[i] =
            density(d, rg__song_of(d, (int64_t)i), rg_tokens_song(d->tokens, (int64_t)i)->song);
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t i = 0; i < n; i++)
        rg_copy_text(d->words[i].energy, RG_TRACK_NAME,
                     value[i] < sorted[n / 3]       ? "low"
                     : value[i] < sorted[2 * n / 3] ? "medium"
                                                    : "high");
    free(value);
    return RG_OK;
}

static void read_song(const rg_track_data *d, const rg_song *song, const rg_vocabulary *vocabulary,
                      rg__song_words *out)
{
    char key[16];
    if (song->tempo_bpm > 0) snprintf(out->tempo, RG_TRACK_NAME, "%g", song->tempo_bpm);
    if (song->key_tonic >= 0)
        rg_copy_text(out->key, RG_TRACK_NAME, rg_key_name(song->key_tonic, song->key_mode, key));
    if (song->meter > 0)
        snprintf(out->meter, RG_TRACK_NAME, "%d/%d", song->meter, song->meter == 6 ? 8 : 4);
    rg_copy_text(out->genre, RG_TRACK_NAME, song->genre);
    read_mood(song->prompt, vocabulary, out->mood);
    for (int32_t r = 0; r < d->n_roles; r++)
        rg_copy_text(out->instruments[r], RG_TRACK_NAME, song->instruments[d->store_role[r]]);
}

rg_status rg__track_words_read(rg_track_data *data, rg_error *err)
{
    rg_vocabulary vocabulary;
    if (!rg_vocabulary_make(&vocabulary))
        return rg_fail(err, RG_ERR_NOMEM, "no memory for the vocabulary");
    for (int64_t i = 0; i < data->n_songs; i++)
        read_song(data, rg__song_of(data, i), &vocabulary, &data->words[i]);
    rg_vocabulary_free(&vocabulary);
    return read_energy(data, err);
}

/* ---- words of a model ------------------------------------------------------------------------ */

static void add_word(rg_track_field *field, const char *word)
{
    if (!word[0] || field->n_words == RG_TRACK_WORDS) return;
    for (int32_t w = 0; w < field->n_words; w++)
        if (strcasecmp(field->words[w], word) == 0) return;
    rg_copy_text(field->words[field->n_words++], RG_TRACK_NAME, word);
}

/* Tempi from 40 to 240, some 7 % apart. */
static void add_tempi(rg_track_field *field)
{
    for (int32_t i = 0; i < TEMPO_WORDS; i++)
        snprintf(field->words[i], RG_TRACK_NAME, "%.0f", 40 * pow(1.0686, i));
    field->n_words = TEMPO_WORDS;
}

static bool trained_on(const rg_track_data *d, int64_t song)
{
    return rg__song_of(d, song)->split == RG_SPLIT_TRAIN;
}

void rg_track_data_describe(const rg_track_data *d, rg_track_config *config)
{
    config->frame_rate = rg_tokens_frame_rate(d->tokens);
    config->n_roles = d->n_roles;
    for (int32_t r = 0; r < d->n_roles; r++) {
        const rg_token_role *role = rg_tokens_role(d->tokens, r);
        rg_copy_text(config->roles[r].name, RG_TRACK_NAME, role->name);
        config->roles[r].books = role->books;
        config->roles[r].entries = role->entries;
        config->roles[r].dim = role->dim;
    }
    config->n_fields = 0;
    for (size_t f = 0; f < N_FIELDS; f++) {
        rg_track_field *field = &config->fields[config->n_fields];
        *field = (rg_track_field){0};
        rg_copy_text(field->name, RG_TRACK_NAME, fields[f].name);
        for (int64_t i = 0; i < d->n_songs; i++)
            for (int32_t r = 0; trained_on(d, i) && r < (fields[f].per_role ? d->n_roles : 1); r++)
                add_word(field, word_of(&d->words[i], f, r));
        if (field->n_words == 0) continue;
        if (strcmp(fields[f].name, "tempo") == 0) add_tempi(field);
        config->n_fields++;
    }
}

static int32_t id_of(const rg_track_config *config, size_t f, const char *word)
{
    double value;
    if (!word[0]) return -1;
    if (strcmp(fields[f].name, "tempo") == 0)
        return rg_parse_double(word, &value) ? rg_track_nearest(config, "tempo", value) : -1;
    return rg_track_word(config, fields[f].name, word);
}

static rg_status check_roles(const rg_track_data *d, const rg_track_config *config, rg_error *err)
{
    if (config->n_roles != d->n_roles)
        return rg_fail(err, RG_ERR_MISMATCH, "the model has %d roles, the tokens have %d",
                       config->n_roles, d->n_roles);
    for (int32_t r = 0; r < d->n_roles; r++) {
        const rg_token_role *have = rg_tokens_role(d->tokens, r);
        const rg_track_role *want = &config->roles[r];
        if (strcmp(have->name, want->name) != 0 || have->books != want->books ||
            have->entries != want->entries || have->dim != want->dim)
            return rg_fail(err, RG_ERR_MISMATCH,
                           "role %d: the model was made for %s (%d x %d, dim %d), the tokens have "
                           "%s (%d x %d, dim %d)",
                           r, want->name, want->books, want->entries, want->dim, have->name,
                           have->books, have->entries, have->dim);
    }
    return RG_OK;
}

rg_status rg_track_data_bind(rg_track_data *d, const rg_track_config *config, rg_error *err)
{
    RG_TRY(check_roles(d, config, err));
    size_t n = (size_t)d->n_songs * (size_t)d->n_roles * (size_t)config->n_fields;
    free(d->config);
    free(d->ids);
    d->config = malloc(sizeof *d->config);
    d->ids = malloc(n * sizeof *d->ids + 1);
    if (!d->config || !d->ids) return rg_fail(err, RG_ERR_NOMEM, "no memory for conditions");
    *d->config = *config;
    memset(d->ids, 0xff, n * sizeof *d->ids);
    for (size_t f = 0; f < N_FIELDS; f++) {
        int32_t at = rg_track_find_field(config, fields[f].name);
        for (int64_t i = 0; at >= 0 && i < d->n_songs; i++)
            for (int32_t r = 0; r < d->n_roles; r++)
                d->ids[(i * d->n_roles + r) * config->n_fields + at] =
                    id_of(config, f, word_of(&d->words[i], f, r));
    }
    return RG_OK;
}

json_t *rg_track_data_words(const rg_track_data *d)
{
    json_t *out = json_object();
    const rg_track_config *c = d->config;
    for (int32_t f = 0; f < c->n_fields; f++) {
        json_t *counts = json_object();
        for (int32_t w = 0; w < c->fields[f].n_words; w++) {
            int64_t songs = 0;
            for (int64_t i = 0; i < d->n_songs; i++) {
                bool has = false;
                for (int32_t r = 0; r < d->n_roles; r++)
                    has = has || d->ids[(i * d->n_roles + r) * c->n_fields + f] == w;
                songs += has && trained_on(d, i);
            }
            json_object_set_new(counts, c->fields[f].words[w], json_integer(songs));
        }
        json_object_set_new(out, c->fields[f].name, counts);
    }
    return out;
}
