/*
 * The role rule (roles.h): measure the parts, settle what programs and names settle, share the
 * rest.
 */
#include "datasets/roles.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- measuring parts ---- */

typedef struct part_notes {
    const rg_midi *midi;
    int32_t *order; /* notes sorted by part, then time */
    int64_t first[RG_MIDI_MAX_PARTS + 1];
} part_notes;

static int32_t find_parts(const rg_midi *midi, rg_midi_parts *out)
{
    memset(out, 0, sizeof *out);
    memset(out->of, -1, sizeof out->of);
    for (int64_t i = 0; i < midi->n_notes; i++) {
        const rg_midi_note *n = &midi->notes[i];
        int16_t *of = &out->of[n->channel][n->program];
        if (*of < 0 && out->n < RG_MIDI_MAX_PARTS) {
            out->part[out->n] = (rg_midi_part){
                .channel = n->channel, .program = n->program, .role = RG_ROLE_DROP, .track = ""};
            *of = (int16_t)out->n++;
        }
        if (*of >= 0) out->part[*of].notes++;
    }
    return out->n;
}

static rg_status sort_notes(const rg_midi *midi, const rg_midi_parts *parts, part_notes *p,
                            rg_error *err)
{
    int64_t next[RG_MIDI_MAX_PARTS];
    p->midi = midi;
    p->first[0] = 0;
    for (int32_t k = 0; k < parts->n; k++) {
        next[k] = p->first[k];
        p->first[k + 1] = p->first[k] + parts->part[k].notes;
    }
    p->order = calloc((size_t)midi->n_notes + 1, sizeof *p->order);
    if (!p->order) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's parts");
    for (int64_t i = 0; i < midi->n_notes; i++) {
        int16_t k = parts->of[midi->notes[i].channel][midi->notes[i].program];
        if (k >= 0) p->order[next[k]++] = (int32_t)i;
    }
    return RG_OK;
}

static double at_least(double seconds)
{
    return seconds > 0.01 ? seconds : 0.01;
}

/* Time in which the part sounds, and the summed time of its notes. Notes are sorted by onset. */
static void measure_time(const part_notes *p, int32_t k, rg_midi_part *part)
{
    double end = -1, sum = 0;
    for (int64_t i = p->first[k]; i < p->first[k + 1]; i++) {
        const rg_midi_note *n = &p->midi->notes[p->order[i]];
        double length = at_least(n->off - n->on), off = n->on + length;
        sum += length;
        if (n->on > end)
            part->active += length;
        else if (off > end)
            part->active += off - end;
        if (off > end) end = off;
    }
    part->polyphony = sum / fmax(part->active, 1e-6);
}

static void measure_onsets(const part_notes *p, int32_t k, rg_midi_part *part)
{
    int64_t together = 0, first = p->first[k], last = p->first[k + 1];
    for (int64_t i = first; i < last; i++) {
        const rg_midi_note *notes = p->midi->notes;
        double on = notes[p->order[i]].on;
        together += (i > first && on - notes[p->order[i - 1]].on < 0.03) ||
                    (i + 1 < last && notes[p->order[i + 1]].on - on < 0.03);
    }
    part->chordal = (double)together / (double)part->notes;
}

static void measure_pitches(const part_notes *p, int32_t k, rg_midi_part *part)
{
    int64_t count[128] = {0}, seen = 0;
    double velocity = 0;
    for (int64_t i = p->first[k]; i < p->first[k + 1]; i++) {
        const rg_midi_note *n = &p->midi->notes[p->order[i]];
        count[n->pitch]++;
        velocity += n->velocity;
    }
    part->velocity = velocity / (double)part->notes;
    part->low = -1;
    double lower = -1, upper = -1; /* the two middle notes of an even count */
    for (int32_t pitch = 0; pitch < 128; pitch++) {
        if (!count[pitch]) continue;
        if (part->low < 0) part->low = pitch;
        part->high = pitch;
        part->pitches++;
        seen += count[pitch];
        if (lower < 0 && 2 * seen >= part->notes) lower = pitch;
        if (upper < 0 && 2 * seen > part->notes) upper = pitch;
    }
    part->median_pitch = (lower + upper) / 2;
}

static rg_status name_part(const part_notes *p, int32_t k, rg_midi_part *part, rg_error *err)
{
    int64_t *votes = calloc((size_t)p->midi->n_tracks + 1, sizeof *votes), best = 0;
    if (!votes) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's parts");
    for (int64_t i = p->first[k]; i < p->first[k + 1]; i++) {
        int64_t track = p->midi->notes[p->order[i]].track;
        if (++votes[track] > best) {
            best = votes[track];
            part->track = p->midi->names[track];
        }
    }
    free(votes);
    return RG_OK;
}

/* ---- names ---- */

/* Whether a word of `text` (letters and digits, lower case) matches one of the patterns. */
static bool name_matches(const char *text, const char (*patterns)[RG_ROLE_PATTERN])
{
    bool found = false;
    while (*text) {
        char word[RG_MIDI_NAME];
        size_t n = 0;
        while (*text && !isalnum((unsigned char)*text)) text++;
        while (isalnum((unsigned char)*text) && n + 1 < sizeof word)
            word[n++] = (char)tolower((unsigned char)*text++);
        word[n] = 0;
        bool yes = false, no = false;
        for (int i = 0; n > 0 && i < RG_ROLE_PATTERNS && patterns[i][0]; i++) {
            const char *pattern = patterns[i];
            if (pattern[0] == '!')
                no = no || fnmatch(pattern + 1, word, 0) == 0;
            else
                yes = yes || fnmatch(pattern, word, 0) == 0;
        }
        found = found || (yes && !no);
    }
    return found;
}

int32_t rg_role_map_find(const rg_role_map *map, const char *name, int32_t program)
{
    for (int32_t r = 0; r < map->n && program >= 0; r++)
        if (program < 128 ? map->roles[r].programs[program] : map->roles[r].drum_channel) return r;
    for (int32_t r = 0; r < map->n; r++)
        if (name_matches(name, map->roles[r].names)) return r;
    for (int32_t r = 0; r < map->n; r++)
        if (map->roles[r].rest) return r;
    return RG_ROLE_DROP;
}

/* ---- the rule ---- */

enum { FREE = -2 };

static int32_t settled_role(const rg_role_map *map, const rg_midi_part *part)
{
    bool drums = part->channel == RG_MIDI_DRUM_CHANNEL;
    for (int32_t r = 0; r < map->n; r++)
        if (drums ? map->roles[r].drum_channel : map->roles[r].programs[part->program]) return r;
    if (drums || map->dropped[part->program]) return RG_ROLE_DROP;
    for (int32_t r = 0; r < map->n; r++)
        if (part->median_pitch < map->roles[r].names_below &&
            name_matches(part->track, map->roles[r].names))
            return r;
    return FREE;
}

static bool role_is_taken(const rg_midi_parts *parts, int32_t role)
{
    for (int32_t k = 0; k < parts->n; k++)
        if (parts->part[k].role == role) return true;
    return false;
}

static void take_lowest(const rg_role_map *map, rg_midi_parts *parts, int32_t role)
{
    rg_midi_part *lowest = NULL;
    if (!map->roles[role].lowest_below || role_is_taken(parts, role)) return;
    for (int32_t k = 0; k < parts->n; k++) {
        rg_midi_part *p = &parts->part[k];
        if (p->role == FREE && p->median_pitch <= map->roles[role].lowest_below &&
            p->polyphony < 1.25 && p->notes >= 16 &&
            (!lowest || p->median_pitch < lowest->median_pitch))
            lowest = p;
    }
    if (lowest) lowest->role = role;
}

/* How much a part is like a lead line; the weights are those measured in roles.h. */
static double lead_score(const rg_role_map *map, const rg_midi_part *p, double seconds)
{
    double score = 0;
    if (name_matches(p->track, map->lead_names)) score += 2.5;
    if (name_matches(p->track, map->rest_names)) score -= 1.5;
    if (map->solo[p->program]) score += 1;
    if (map->pad[p->program]) score -= 1;
    score += 2 * (1 - p->chordal) - 2 * fmin(fmax(p->polyphony - 1.1, 0), 1.5);
    score += 0.7 * (p->median_pitch - 60) / 12 + (p->velocity - 80) / 64;
    score += 3 * fmin(p->active / fmax(seconds, 1e-6), 0.5);
    return p->pitches < 4 ? score - 1.5 : score;
}

static void take_lead(const rg_role_map *map, rg_midi_parts *parts, double seconds, int32_t role)
{
    double score[RG_MIDI_MAX_PARTS], best = -INFINITY;
    int32_t free_parts = 0, leader = -1;
    for (int32_t k = 0; k < parts->n; k++) {
        const rg_midi_part *p = &parts->part[k];
        score[k] = -INFINITY;
        if (p->role != FREE) continue;
        free_parts++;
        if (p->notes >= 12) score[k] = lead_score(map, p, seconds);
        if (score[k] > best) {
            best = score[k];
            leader = k;
        }
    }
    if (free_parts < 2 || best <= 1.0) return;
    for (int32_t k = 0; k < parts->n; k++)
        if (k == leader || (score[k] > fmax(2.0, best - 1.0) && parts->part[k].chordal < 0.35))
            parts->part[k].role = role;
}

/* What is left goes to the role that takes the rest; if that is nothing although the lead has two
 * parts or more, the most chordal of these, then the lowest, moves there. */
static void take_rest(rg_midi_parts *parts, int32_t rest, int32_t lead)
{
    rg_midi_part *most = NULL;
    int32_t leads = 0;
    for (int32_t k = 0; k < parts->n; k++) {
        rg_midi_part *p = &parts->part[k];
        if (p->role == FREE) p->role = rest;
        if (lead < 0 || p->role != lead) continue;
        leads++;
        if (!most || p->chordal > most->chordal ||
            (p->chordal == most->chordal && p->median_pitch < most->median_pitch))
            most = p;
    }
    if (rest != RG_ROLE_DROP && leads >= 2 && !role_is_taken(parts, rest)) most->role = rest;
}

rg_status rg_roles_assign(const rg_midi *midi, const rg_role_map *map, rg_midi_parts *out,
                          rg_error *err)
{
    part_notes p = {0};
    int32_t rest = RG_ROLE_DROP, lead = -1;
    find_parts(midi, out);
    RG_TRY(sort_notes(midi, out, &p, err));
    rg_status status = RG_OK;
    for (int32_t k = 0; status == RG_OK && k < out->n; k++) {
        rg_midi_part *part = &out->part[k];
        measure_time(&p, k, part);
        measure_onsets(&p, k, part);
        measure_pitches(&p, k, part);
        status = name_part(&p, k, part, err);
        part->role = settled_role(map, part);
    }
    free(p.order);
    RG_TRY(status);
    for (int32_t r = 0; r < map->n; r++) {
        take_lowest(map, out, r);
        if (map->roles[r].rest) rest = r;
        if (map->roles[r].lead) lead = r;
    }
    if (lead >= 0) take_lead(map, out, midi->seconds, lead);
    take_rest(out, rest, lead);
    return RG_OK;
}

/* sounds (n_roles,bins): 1 where a role has a note in a 1-s bin of the song; heap. */
static uint8_t *find_sounding(const rg_midi *midi, const rg_midi_parts *parts, int32_t n_roles,
                              int64_t *bins, rg_error *err)
{
    *bins = (int64_t)midi->seconds + 1;
    uint8_t *sounds = calloc((size_t)(*bins * n_roles), 1);
    if (!sounds) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a song's activity");
        return NULL;
    }
    for (int64_t i = 0; i < midi->n_notes; i++) {
        const rg_midi_note *n = &midi->notes[i];
        int16_t k = parts->of[n->channel][n->program];
        int32_t role = k < 0 ? RG_ROLE_DROP : parts->part[k].role;
        if (role < 0) continue;
        int64_t last = (int64_t)(n->on + at_least(n->off - n->on));
        for (int64_t b = (int64_t)n->on; b <= last && b < *bins; b++) sounds[role * *bins + b] = 1;
    }
    return sounds;
}

rg_status rg_roles_presence(const rg_midi *midi, const rg_midi_parts *parts, int32_t n_roles,
                            double *share, rg_error *err)
{
    int64_t bins;
    uint8_t *sounds = find_sounding(midi, parts, n_roles, &bins, err);
    if (!sounds) return RG_ERR_NOMEM;
    for (int32_t r = 0; r < n_roles; r++) {
        int64_t on = 0;
        for (int64_t b = 0; b < bins; b++) on += sounds[r * bins + b];
        share[r] = (double)on / (double)bins;
    }
    free(sounds);
    return RG_OK;
}

/* The square of the number of roles that sound in a bin. */
static int64_t worth(const uint8_t *sounds, int32_t n_roles, int64_t bins, int64_t b)
{
    int64_t n = 0;
    for (int32_t r = 0; r < n_roles; r++) n += sounds[r * bins + b];
    return n * n;
}

rg_status rg_roles_best_window(const rg_midi *midi, const rg_midi_parts *parts, int32_t n_roles,
                               double seconds, double *start, rg_error *err)
{
    int64_t bins, length = (int64_t)ceil(seconds), sum = 0, best = -1;
    uint8_t *sounds = find_sounding(midi, parts, n_roles, &bins, err);
    *start = 0;
    if (!sounds) return RG_ERR_NOMEM;
    for (int64_t b = 0; b < bins; b++) {
        sum += worth(sounds, n_roles, bins, b);
        if (b >= length) sum -= worth(sounds, n_roles, bins, b - length);
        if (b + 1 >= length && sum > best) {
            best = sum;
            *start = (double)(b + 1 - length);
        }
    }
    free(sounds);
    return RG_OK;
}
