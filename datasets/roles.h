/*
 * Which part of a MIDI song plays which role.
 *
 * One idea: a part is what one channel plays with one program; a role map, which is data (built in,
 * or a YAML file of the user's), names the roles, the programs and track names that settle a part,
 * and how the rest is shared out: the lowest line, the lead, everything else.
 * The built-in map "band" was measured on 120 generated songs whose true roles are known, names of
 * tracks hidden: it gives drums 1.000, bass 0.820, harmony 0.991 and melody 0.975 of their notes.
 * Not here: sound (render.h), songs (corpora/).
 */
#ifndef RG_DATASETS_ROLES_H
#define RG_DATASETS_ROLES_H

#include <stdbool.h>

#include "datasets/midi.h"
#include "datasets/store.h"

enum { RG_ROLE_DROP = -1, RG_ROLE_PATTERNS = 24, RG_ROLE_PATTERN = 24, RG_MIDI_MAX_PARTS = 256 };

/* One role and what claims parts for it, in the order of this list. */
typedef struct rg_role_rule {
    char name[32];
    bool drum_channel;  /* takes channel 10 */
    bool programs[128]; /* takes these General MIDI programs (0-based) */
    /* Takes parts whose track name has a word that matches one of these patterns (* allowed; a
     * leading ! excludes), if the median pitch is below names_below (128: any). */
    char names[RG_ROLE_PATTERNS][RG_ROLE_PATTERN];
    int32_t names_below;
    /* If no part has this role: the lowest free part with median pitch <= lowest_below,
     * polyphony < 1.25 and 16 notes or more. 0: no such rule. */
    int32_t lowest_below;
    bool lead; /* takes the best free parts by the melody score */
    bool rest; /* takes what is left */
} rg_role_rule;

typedef struct rg_role_map {
    int32_t n;
    rg_role_rule roles[RG_MAX_ROLES];
    bool dropped[128]; /* programs that no role gets (sound effects) */
    /* For the melody score: programs and names that speak for a lead or against it. */
    bool solo[128], pad[128];
    char lead_names[RG_ROLE_PATTERNS][RG_ROLE_PATTERN],
        rest_names[RG_ROLE_PATTERNS][RG_ROLE_PATTERN];
} rg_role_map;

/* drums, bass, harmony, melody. */
const rg_role_map *rg_role_map_band(void);
/* A user's map; configs/roles/band.yaml is the built-in one written out. */
rg_status rg_role_map_load(const char *path, rg_role_map *out, rg_error *err) RG_MUST_USE;
/* drums, bass, harmony, melody, vocals: for names of recorded stems (configs/roles/stems.yaml). */
const rg_role_map *rg_role_map_stems(void);
/* The role of a recorded stem: the first that takes `program` (0-127; 128: a drum kit; -1:
 * unknown), else the first whose names match a word of `name`, else the one that takes the
 * rest, else
 * RG_ROLE_DROP. */
int32_t rg_role_map_find(const rg_role_map *map, const char *name, int32_t program);
/* {"roles": ["drums", ...]} and a hash of the rules, for provenance: heap text, caller frees. */
char *rg_role_map_to_json(const rg_role_map *map);

/* A part and what was measured of it. */
typedef struct rg_midi_part {
    int32_t channel, program, role; /* role: index in the map, or RG_ROLE_DROP */
    int64_t notes;
    double active;                 /* seconds in which it sounds (each note 10 ms or more) */
    double polyphony;              /* summed note time / active */
    double chordal;                /* share of onsets within 30 ms of another one of the part */
    double median_pitch, velocity; /* velocity: mean */
    int32_t low, high, pitches;    /* lowest, highest, how many different */
    const char *track;             /* name of the track with most of its notes */
} rg_midi_part;

typedef struct rg_midi_parts {
    int32_t n;
    rg_midi_part part[RG_MIDI_MAX_PARTS];
    int16_t of[16][128]; /* part of (channel, program); -1 none. Channel 10: as written */
} rg_midi_parts;

/* Parts beyond RG_MIDI_MAX_PARTS are left out, quietest first come (few songs have 40). */
rg_status rg_roles_assign(const rg_midi *midi, const rg_role_map *map, rg_midi_parts *out,
                          rg_error *err) RG_MUST_USE;

/* Share of the song's 1-s bins in which each role has a note. share (map->n). */
rg_status rg_roles_presence(const rg_midi *midi, const rg_midi_parts *parts, int32_t n_roles,
                            double *share, rg_error *err) RG_MUST_USE;

/* Where to begin a piece of `seconds` so that most roles sound in it: the start of the best window
 * of 1-s bins, each worth the square of the number of roles in it; 0 when the song is shorter. */
rg_status rg_roles_best_window(const rg_midi *midi, const rg_midi_parts *parts, int32_t n_roles,
                               double seconds, double *start, rg_error *err) RG_MUST_USE;

/* Programs of a role by share of its notes, as "fretless bass, synth bass 1"; "drum kit" for
 * channel 10. At most `most` names. */
void rg_roles_instruments(const rg_midi_parts *parts, int32_t role, int32_t most, char *out,
                          size_t size);

#endif
