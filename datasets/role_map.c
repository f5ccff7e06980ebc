/*
 * Role maps as data (roles.h): the built-in one, YAML files, General MIDI's names.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/hash.h"
#include "datasets/roles.h"

/* ---- General MIDI ---- */

static const char *const program_names[128] = {"acoustic grand piano",
                                               "bright piano",
                                               "electric grand piano",
                                               "honky-tonk piano",
                                               "electric piano",
                                               "chorused piano",
                                               "harpsichord",
                                               "clavinet",
                                               "celesta",
                                               "glockenspiel",
                                               "music box",
                                               "vibraphone",
                                               "marimba",
                                               "xylophone",
                                               "tubular bells",
                                               "dulcimer",
                                               "drawbar organ",
                                               "percussive organ",
                                               "rock organ",
                                               "church organ",
                                               "reed organ",
                                               "accordion",
                                               "harmonica",
                                               "bandoneon",
                                               "nylon guitar",
                                               "steel guitar",
                                               "jazz guitar",
                                               "clean guitar",
                                               "muted guitar",
                                               "overdriven guitar",
                                               "distorted guitar",
                                               "guitar harmonics",
                                               "acoustic bass",
                                               "fingered bass",
                                               "picked bass",
                                               "fretless bass",
                                               "slap bass",
                                               "slap bass",
                                               "synth bass",
                                               "synth bass",
                                               "violin",
                                               "viola",
                                               "cello",
                                               "contrabass",
                                               "tremolo strings",
                                               "pizzicato strings",
                                               "harp",
                                               "timpani",
                                               "string ensemble",
                                               "slow strings",
                                               "synth strings",
                                               "synth strings",
                                               "choir",
                                               "voice oohs",
                                               "synth voice",
                                               "orchestra hit",
                                               "trumpet",
                                               "trombone",
                                               "tuba",
                                               "muted trumpet",
                                               "french horn",
                                               "brass section",
                                               "synth brass",
                                               "synth brass",
                                               "soprano sax",
                                               "alto sax",
                                               "tenor sax",
                                               "baritone sax",
                                               "oboe",
                                               "english horn",
                                               "bassoon",
                                               "clarinet",
                                               "piccolo",
                                               "flute",
                                               "recorder",
                                               "pan flute",
                                               "blown bottle",
                                               "shakuhachi",
                                               "whistle",
                                               "ocarina",
                                               "square lead",
                                               "saw lead",
                                               "calliope lead",
                                               "chiff lead",
                                               "charang lead",
                                               "voice lead",
                                               "fifths lead",
                                               "bass and lead",
                                               "new age pad",
                                               "warm pad",
                                               "polysynth pad",
                                               "choir pad",
                                               "bowed pad",
                                               "metallic pad",
                                               "halo pad",
                                               "sweep pad",
                                               "rain effect",
                                               "soundtrack effect",
                                               "crystal effect",
                                               "atmosphere effect",
                                               "brightness effect",
                                               "goblins effect",
                                               "echoes effect",
                                               "sci-fi effect",
                                               "sitar",
                                               "banjo",
                                               "shamisen",
                                               "koto",
                                               "kalimba",
                                               "bagpipe",
                                               "fiddle",
                                               "shanai",
                                               "tinkle bell",
                                               "agogo",
                                               "steel drums",
                                               "woodblock",
                                               "taiko",
                                               "melodic tom",
                                               "synth drum",
                                               "reverse cymbal",
                                               "fret noise",
                                               "breath noise",
                                               "seashore",
                                               "bird",
                                               "telephone",
                                               "helicopter",
                                               "applause",
                                               "gunshot"};

static const char *program_name(int32_t program)
{
    return program_names[program & 127];
}

/* Adds the name unless it is there already; false when it does not fit. */
static bool add_name(char *out, size_t size, const char *name)
{
    size_t used = strlen(out);
    if (strstr(out, name)) return false;
    if (used + strlen(name) + 3 > size) return false;
    snprintf(out + used, size - used, "%s%s", used ? ", " : "", name);
    return true;
}

void rg_roles_instruments(const rg_midi_parts *parts, int32_t role, int32_t most, char *out,
                          size_t size)
{
    int64_t below = INT64_MAX;
    out[0] = 0;
    for (int32_t added = 0; added < most;) {
        const rg_midi_part *best = NULL; /* the busiest part not looked at yet */
        for (int32_t k = 0; k < parts->n; k++) {
            const rg_midi_part *p = &parts->part[k];
            int64_t rank = p->notes * RG_MIDI_MAX_PARTS - k;
            if (p->role == role && rank < below &&
                (!best || rank > best->notes * RG_MIDI_MAX_PARTS - (best - parts->part)))
                best = p;
        }
        if (!best) return;
        below = best->notes * RG_MIDI_MAX_PARTS - (best - parts->part);
        bool drums = best->channel == RG_MIDI_DRUM_CHANNEL;
        added += add_name(out, size, drums ? "drum kit" : program_name(best->program));
    }
}

/* ---- tables of texts ---- */

/* "112-119" or "47" into a set; false when it is neither. */
static bool add_programs(bool set[128], const char *text)
{
    char first[16];
    const char *dash = strchr(text, '-');
    size_t n = dash ? (size_t)(dash - text) : strlen(text);
    int64_t low, high;
    if (n == 0 || n >= sizeof first) return false;
    memcpy(first, text, n);
    first[n] = 0;
    if (!rg_parse_int(first, &low)) return false;
    high = low;
    if (dash && !rg_parse_int(dash + 1, &high)) return false;
    if (low < 0 || high > 127 || high < low) return false;
    for (int64_t p = low; p <= high; p++) set[p] = true;
    return true;
}

static void add_list(bool set[128], const char *const *ranges)
{
    for (; *ranges; ranges++) add_programs(set, *ranges);
}

static void set_patterns(char out[][RG_ROLE_PATTERN], const char *const *patterns)
{
    for (int i = 0; patterns[i]; i++) rg_copy_text(out[i], RG_ROLE_PATTERN, patterns[i]);
}

/* ---- the built-in map ---- */

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static rg_role_map band;

static void make_band(void)
{
    rg_role_map *m = &band; /* static, so all zeros */
    m->n = 4;
    const char *const names[] = {"drums", "bass", "harmony", "melody"};
    for (int r = 0; r < 4; r++) rg_copy_text(m->roles[r].name, sizeof m->roles[r].name, names[r]);
    rg_role_rule *drums = &m->roles[0], *bass = &m->roles[1];
    drums->drum_channel = true;
    drums->names_below = m->roles[2].names_below = m->roles[3].names_below = 128;
    add_list(drums->programs, LIST("112-119", "47"));
    bass->names_below = 55;
    bass->lowest_below = 48;
    add_list(bass->programs, LIST("32-39", "43", "87"));
    set_patterns(bass->names, LIST("bass*", "!bassoon*", "!basset*", "bajo", "bs"));
    m->roles[2].rest = true;
    m->roles[3].lead = true;
    add_list(m->dropped, LIST("120-127"));
    add_list(m->solo,
             LIST("8-9", "11-13", "22", "40-42", "56-57", "59-60", "64-86", "105", "109-111"));
    add_list(m->pad, LIST("48-54", "88-95"));
    set_patterns(m->lead_names, LIST("*melod*", "*lead*", "*vocal*", "*voice*", "*solo*", "*vox*",
                                     "theme", "*chant"));
    set_patterns(m->rest_names, LIST("*chord*", "*pad*", "*rhythm*", "*comp", "*string*",
                                     "*accomp*", "*harmon*", "*arp*"));
}

const rg_role_map *rg_role_map_band(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_band);
    return &band;
}

/* ---- the built-in map of recorded stems ---- */

static const struct {
    const char *name;
    const char *const *programs, *const *names;
} stem_rules[] = {
    {"drums", LIST("47", "112-119"),
     LIST("drum*", "percussion", "percussions", "kick", "snare", "toms", "hihat", "cymbal*",
          "overheads", "claps", "shaker", "tambourine", "conga*", "bongo*", "timpani", "tabla",
          "cajon", "beatbox*", "gong", "guiro", "maracas", "cowbell", "darbuka", "castanet*")},
    {"bass", LIST("32-39", "43", "87"),
     LIST("bass", "basses", "contrabass", "doublebass", "!bassoon*", "!basset*")},
    {"harmony", LIST("0-7", "14-31", "44-46", "48-51", "55", "61-63", "88-103", "104-108"),
     LIST("other*", "harmon*", "!harmonica", "piano*", "key*", "organ*", "guitar*", "string*",
          "synth*", "pad", "pads", "chord*", "accordion", "banjo", "mandolin", "ukulele", "harp*",
          "brass", "horn*", "celesta", "cello*", "viola*", "comp", "rhythm")},
    {"melody", LIST("8-13", "40-42", "56-60", "64-86", "109-111"),
     LIST("melod*", "lead", "solo", "wind", "flute*", "violin", "trumpet*", "trombone*", "*sax*",
          "clarinet*", "oboe", "bassoon*", "tuba", "piccolo", "fiddle", "vibraphone", "marimba",
          "glockenspiel", "xylophone", "whistle", "harmonica", "recorder", "erhu")},
    {"vocals", LIST("52-54"),
     LIST("vocal*", "voice*", "singer*", "vox", "choir", "rapper", "speaker", "screamer")},
};
enum { N_STEM_RULES = sizeof stem_rules / sizeof stem_rules[0] };

static rg_role_map stems;

static void make_stems(void)
{
    stems.n = N_STEM_RULES;
    for (int32_t r = 0; r < stems.n; r++) {
        rg_role_rule *rule = &stems.roles[r];
        rg_copy_text(rule->name, sizeof rule->name, stem_rules[r].name);
        rule->names_below = 128;
        add_list(rule->programs, stem_rules[r].programs);
        set_patterns(rule->names, stem_rules[r].names);
    }
    stems.roles[0].drum_channel = true;
}

const rg_role_map *rg_role_map_stems(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_stems);
    return &stems;
}

/* ---- YAML ---- */

static const rg_config_key schema[] = {
    {"roles.*.drum_channel", RG_CONFIG_BOOL, "false", 0, 0, NULL, "takes MIDI channel 10"},
    {"roles.*.programs", RG_CONFIG_TEXTS, "[]", 0, 0, NULL,
     "General MIDI programs, 0-based: [\"32-39\", \"43\"]"},
    {"roles.*.names", RG_CONFIG_TEXTS, "[]", 0, 0, NULL,
     "words of track names, * allowed, a leading ! excludes"},
    {"roles.*.names_below", RG_CONFIG_INT, "128", 0, 128, NULL,
     "names count for parts with a median pitch below this"},
    {"roles.*.lowest_below", RG_CONFIG_INT, "0", 0, 127, NULL,
     "if nobody has the role: the lowest line with a median pitch up to this; 0: none"},
    {"roles.*.lead", RG_CONFIG_BOOL, "false", 0, 0, NULL, "takes the leading parts"},
    {"roles.*.rest", RG_CONFIG_BOOL, "false", 0, 0, NULL, "takes what is left"},
    {"drop", RG_CONFIG_TEXTS, "[]", 0, 0, NULL, "programs that no role gets"},
    {"score.solo", RG_CONFIG_TEXTS, "[]", 0, 0, NULL, "programs that speak for a lead"},
    {"score.pad", RG_CONFIG_TEXTS, "[]", 0, 0, NULL, "programs that speak against a lead"},
    {"score.lead_names", RG_CONFIG_TEXTS, "[]", 0, 0, NULL, "track names that speak for a lead"},
    {"score.rest_names", RG_CONFIG_TEXTS, "[]", 0, 0, NULL, "and those that speak against it"},
};

static rg_status read_programs(const rg_config *c, const char *key, bool set[128], rg_error *err)
{
    for (size_t i = 0; i < rg_config_count(c, key); i++)
        if (!add_programs(set, rg_config_text_at(c, key, i)))
            return rg_fail(err, RG_ERR_CONFIG,
                           "%s: '%s' in %s is not a program 0 to 127 or a range such as 32-39",
                           rg_config_place(c, key), rg_config_text_at(c, key, i), key);
    return RG_OK;
}

static rg_status read_patterns(const rg_config *c, const char *key, char out[][RG_ROLE_PATTERN],
                               rg_error *err)
{
    size_t n = rg_config_count(c, key);
    if (n > RG_ROLE_PATTERNS)
        return rg_fail(err, RG_ERR_CONFIG, "%s: %s has more than %d patterns",
                       rg_config_place(c, key), key, RG_ROLE_PATTERNS);
    for (size_t i = 0; i < n; i++)
        if (!rg_copy_text(out[i], RG_ROLE_PATTERN, rg_config_text_at(c, key, i)) || !out[i][0])
            return rg_fail(err, RG_ERR_CONFIG, "%s: a pattern of %s is empty or longer than %d",
                           rg_config_place(c, key), key, RG_ROLE_PATTERN - 1);
    return RG_OK;
}

static rg_status read_role(const rg_config *c, const char *name, rg_role_rule *rule, rg_error *err)
{
    char key[96];
    if (!rg_copy_text(rule->name, sizeof rule->name, name))
        return rg_fail(err, RG_ERR_CONFIG, "%s: role '%.40s': the name is too long",
                       rg_config_place(c, "drop"), name);
#define KEY(field) (snprintf(key, sizeof key, "roles.%s." field, name), key)
    rule->drum_channel = rg_config_bool(c, KEY("drum_channel"));
    rule->lead = rg_config_bool(c, KEY("lead"));
    rule->rest = rg_config_bool(c, KEY("rest"));
    rule->names_below = (int32_t)rg_config_int(c, KEY("names_below"));
    rule->lowest_below = (int32_t)rg_config_int(c, KEY("lowest_below"));
    RG_TRY(read_programs(c, KEY("programs"), rule->programs, err));
    return read_patterns(c, KEY("names"), rule->names, err);
#undef KEY
}

static rg_status read_map(const rg_config *c, const char *path, rg_role_map *out, rg_error *err)
{
    size_t n = rg_config_group_count(c, "roles");
    int leads = 0, rests = 0;
    if (n < 1 || n > RG_MAX_ROLES)
        return rg_fail(err, RG_ERR_CONFIG, "%s: 1 to %d roles were expected, not %zu", path,
                       RG_MAX_ROLES, n);
    memset(out, 0, sizeof *out); /* padding too: provenance hashes it */
    out->n = (int32_t)n;
    for (size_t r = 0; r < n; r++) {
        RG_TRY(read_role(c, rg_config_group(c, "roles", r), &out->roles[r], err));
        leads += out->roles[r].lead;
        rests += out->roles[r].rest;
    }
    if (leads > 1 || rests > 1)
        return rg_fail(err, RG_ERR_CONFIG, "%s: only one role may have '%s'", path,
                       leads > 1 ? "lead" : "rest");
    RG_TRY(read_programs(c, "drop", out->dropped, err));
    RG_TRY(read_programs(c, "score.solo", out->solo, err));
    RG_TRY(read_programs(c, "score.pad", out->pad, err));
    RG_TRY(read_patterns(c, "score.lead_names", out->lead_names, err));
    return read_patterns(c, "score.rest_names", out->rest_names, err);
}

rg_status rg_role_map_load(const char *path, rg_role_map *out, rg_error *err)
{
    rg_config *c = rg_config_load(path, schema, sizeof schema / sizeof schema[0], NULL, 0, err);
    if (!c) return err && err->code != RG_OK ? err->code : RG_ERR_CONFIG;
    rg_status status = read_map(c, path, out, err);
    rg_config_free(c);
    return status;
}

char *rg_role_map_to_json(const rg_role_map *map)
{
    char hash[RG_SHA256_HEX];
    json_t *roles = json_array();
    for (int32_t r = 0; r < map->n; r++)
        json_array_append_new(roles, json_string(map->roles[r].name));
    rg_sha256_of(map, sizeof *map, hash);
    hash[16] = 0;
    json_t *object = json_pack("{s:o, s:s}", "roles", roles, "rules", hash);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}
