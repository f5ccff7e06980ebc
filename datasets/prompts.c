/*
 * Wordings of prompts (prompts.h).
 *
 * One idea: a wording is a text with marks, $genre, $tempo, $key, $meter and $parts; a stretch in
 * brackets is left out as a whole when one of its marks is unknown.
 */
#include "datasets/prompts.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"

static const char *const tonics[12] = {"C",  "C#", "D",  "Eb", "E",  "F",
                                       "F#", "G",  "Ab", "A",  "Bb", "B"};

enum { MARKS = 5, VALUE = 192, MOST_PARTS = 4 };
static const char *const marks[MARKS] = {"$genre", "$tempo", "$key", "$meter", "$parts"};

static const char *const wordings[] = {
    "$genre[ at $tempo bpm][ in $key][, $meter time][, with $parts]",
    "$genre[ in $key][ with $parts][, $tempo bpm][, $meter]",
    "[$tempo bpm ]$genre[, $key][, $meter][: $parts]",
    "[$parts playing ]$genre[ in $key][, at $tempo beats per minute][, in $meter]",
    "a piece of $genre[ for $parts][ in $key][, $meter][, about $tempo bpm]",
    "$genre[, $key][, $tempo bpm][, $meter][, $parts]",
};
enum { WORDINGS = sizeof wordings / sizeof wordings[0] };

/* "drums, fretless bass and flute": the first instrument of each role, or the role's name. */
static void list_parts(const rg_song *s, int32_t n_roles, const char *const *roles, char *out)
{
    char names[MOST_PARTS][40];
    int32_t n = 0;
    for (int32_t r = 0; r < n_roles && n < MOST_PARTS; r++) {
        const char *given = s->instruments[r][0] ? s->instruments[r] : roles[r];
        char first[64];
        bool known = false;
        if (!s->present[r]) continue;
        rg_copy_text(first, sizeof first, given);
        first[strcspn(first, ",")] = 0;
        if (strcmp(first, "other") == 0) rg_copy_text(first, sizeof first, roles[r]);
        rg_copy_text(names[n], sizeof names[n], first);
        for (int32_t k = 0; k < n; k++) known = known || strcmp(names[k], names[n]) == 0;
        n += !known;
    }
    size_t used = 0;
    for (int32_t k = 0; k < n; k++)
        used += (size_t)snprintf(out + used, VALUE - used, "%s%s",
                                 k == 0 ? "" : (k + 1 < n ? ", " : " and "), names[k]);
}

static void find_values(const rg_song *s, int32_t n_roles, const char *const *roles,
                        char values[MARKS][VALUE])
{
    memset(values, 0, MARKS * sizeof *values);
    snprintf(values[0], VALUE, "%s", s->genre[0] ? s->genre : "music");
    if (s->tempo_bpm > 0) snprintf(values[1], VALUE, "%.0f", s->tempo_bpm);
    if (s->key_tonic >= 0)
        snprintf(values[2], VALUE, "%s %s", tonics[s->key_tonic], s->key_mode ? "minor" : "major");
    if (s->signature[0])
        snprintf(values[3], VALUE, "%s", s->signature);
    else if (s->meter == 3 || s->meter == 4)
        snprintf(values[3], VALUE, "%d/4", s->meter);
    list_parts(s, n_roles, roles, values[4]);
}

static int32_t mark_at(const char *text)
{
    for (int32_t m = 0; m < MARKS; m++)
        if (strncmp(text, marks[m], strlen(marks[m])) == 0) return m;
    return -1;
}

/* Whether all marks up to the closing bracket are known. */
static bool is_known(const char *text, char values[MARKS][VALUE])
{
    for (; *text && *text != ']'; text++)
        if (*text == '$' && !values[mark_at(text)][0]) return false;
    return true;
}

static void fill_in(const char *wording, char values[MARKS][VALUE], char *out, size_t size)
{
    size_t n = 0;
    for (const char *c = wording; *c && n + 1 < size; c++) {
        if (*c == '[' && !is_known(c, values)) {
            c += strcspn(c, "]");
        } else if (*c == '$') {
            int32_t m = mark_at(c);
            n += (size_t)snprintf(out + n, size - n, "%s", values[m]);
            c += strlen(marks[m]) - 1;
        } else if (*c != '[' && *c != ']') {
            out[n++] = *c;
        }
    }
    if (n >= size) n = size - 1;
    out[n] = 0;
    out[0] = (char)toupper((unsigned char)out[0]);
}

static void write_list(rg_song *s, int32_t n_roles)
{
    size_t n = (size_t)snprintf(s->prompt, sizeof s->prompt, "%s", s->genre);
#define ADD(...)                                                                     \
    do {                                                                             \
        if (n < sizeof s->prompt)                                                    \
            n += (size_t)snprintf(s->prompt + n, sizeof s->prompt - n, __VA_ARGS__); \
    } while (0)
    if (s->tempo_bpm > 0) ADD("%s%.0f bpm", n ? ", " : "", s->tempo_bpm);
    if (s->key_tonic >= 0) ADD(", %s %s", tonics[s->key_tonic], s->key_mode ? "minor" : "major");
    if (s->meter == 3 || s->meter == 4) ADD(", %d/4", s->meter);
    for (int32_t r = 0; r < n_roles; r++) {
        char first[64];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(s->instruments[r], ","),
                 s->instruments[r]);
        if (strcmp(first, "drum kit") != 0 && !strstr(s->prompt, first)) ADD(", %s", first);
    }
#undef ADD
}

void rg_prompt_write(rg_song *song, int32_t n_roles, const char *const *roles, rg_prompt_form form,
                     uint64_t seed)
{
    char values[MARKS][VALUE], text[1024];
    if (form == RG_PROMPT_LIST) {
        write_list(song, n_roles);
        return;
    }
    rg_rng rng = rg_rng_make(seed, rg_xxh3(song->id, strlen(song->id)));
    find_values(song, n_roles, roles, values);
    fill_in(wordings[rg_rng_below(&rng, WORDINGS)], values, text, sizeof text);
    rg_copy_text(song->prompt, sizeof song->prompt, text);
}
