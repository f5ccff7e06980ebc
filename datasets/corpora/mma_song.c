/*
 * Composing (mma_song.h).
 *
 * One idea: a song is a form of sections of four bars, each section a progression drawn from a
 * table of its mode; what follows (tempo, melody) is drawn from small tables too.
 */
#include "datasets/corpora/mma_song.h"

#include <string.h>

#include "base/rng.h"

enum { SECTION = 4, SECTIONS = 3, MOST_QUARTERS = 6 };

/* ---- tables ---- */

static const char *const names[12] = {"C",  "Db", "D",  "Eb", "E",  "F",
                                      "F#", "G",  "Ab", "A",  "Bb", "B"};
static const int32_t sharps[12] = {0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5}; /* of major keys */

static const struct {
    const char *mma, *label;
} qualities[] = {{"", "maj"},    {"m", "min"},   {"7", "7"},        {"m7", "min7"},
                 {"M7", "maj7"}, {"dim", "dim"}, {"m7b5", "hdim7"}, {"sus4", "sus4"}};
enum { MAJ, MIN, DOM7, MIN7, MAJ7, DIM, HDIM7, SUS4 };

/* A chord of a progression, in semitones above the tonic. */
typedef struct step {
    int8_t root, quality;
} step;

static const step major[][SECTION] = {
    {{0, MAJ}, {7, MAJ}, {9, MIN}, {5, MAJ}},     {{0, MAJ}, {9, MIN}, {5, MAJ}, {7, MAJ}},
    {{2, MIN7}, {7, DOM7}, {0, MAJ}, {0, MAJ}},   {{0, MAJ}, {5, MAJ}, {0, MAJ}, {7, DOM7}},
    {{9, MIN}, {5, MAJ}, {0, MAJ}, {7, MAJ}},     {{0, MAJ}, {4, MIN}, {5, MAJ}, {7, MAJ}},
    {{0, MAJ}, {7, DOM7}, {5, MAJ}, {0, MAJ}},    {{0, MAJ7}, {9, MIN7}, {2, MIN7}, {7, DOM7}},
    {{5, MAJ}, {7, MAJ}, {4, MIN7}, {9, MIN}},    {{0, MAJ}, {2, MIN}, {5, MAJ}, {0, MAJ}},
    {{5, MAJ7}, {0, MAJ7}, {2, MIN7}, {7, SUS4}}, {{0, MAJ}, {11, DIM}, {9, MIN}, {7, DOM7}},
};
static const step minor[][SECTION] = {
    {{0, MIN}, {8, MAJ}, {3, MAJ}, {10, MAJ}},   {{0, MIN}, {5, MIN}, {7, MIN}, {0, MIN}},
    {{0, MIN}, {10, MAJ}, {8, MAJ}, {10, MAJ}},  {{0, MIN}, {5, MIN}, {10, MAJ}, {3, MAJ}},
    {{2, HDIM7}, {7, DOM7}, {0, MIN}, {0, MIN}}, {{0, MIN7}, {5, MIN7}, {8, MAJ7}, {7, DOM7}},
    {{0, MIN}, {3, MAJ}, {10, MAJ}, {5, MIN}},   {{8, MAJ}, {10, MAJ}, {0, MIN}, {7, DOM7}},
};
enum { MAJORS = sizeof major / sizeof major[0], MINORS = sizeof minor / sizeof minor[0] };

static const char *const forms[] = {"AABA", "ABAB", "AABB", "ABAC", "ABCA", "AABAC"};
enum { FORMS = sizeof forms / sizeof forms[0] };

/* Tempos of beats by words in a groove's name; the first that is found holds. */
static const struct {
    const char *word;
    int32_t low, high;
} tempos[] = {{"slow", 56, 84},    {"ballad", 58, 88}, {"fast", 140, 190},  {"lullaby", 60, 90},
              {"bebop", 150, 200}, {"march", 96, 124}, {"bolero", 70, 100}, {"", 84, 160}};

/* Lead instruments that MMA's melody track gets. */
static const char *const voices[] = {
    "Flute",  "AltoSax",  "TenorSax", "SynthBrass1", "OverdriveGuitar", "Trumpet",
    "Violin", "Clarinet", "Oboe",     "Vibraphone",  "PanFlute",        "Harmonica"};
enum { VOICES = sizeof voices / sizeof voices[0] };

/* What the melody does in one quarter. */
enum { REST, QUARTER, EIGHTHS, OFFBEAT, HALF, RHYTHMS };

/* ---- composing ---- */

rg_split rg_mma_split(int64_t number)
{
    return number % 10 == 1 ? RG_SPLIT_VALID : number % 10 == 2 ? RG_SPLIT_TEST : RG_SPLIT_TRAIN;
}

static const rg_groove *draw_groove(const rg_groove *grooves, int64_t n, rg_split split,
                                    rg_rng *rng)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += grooves[i].split == split;
    int64_t chosen = (int64_t)rg_rng_below(rng, (uint64_t)count);
    for (int64_t i = 0; i < n; i++)
        if (grooves[i].split == split && chosen-- == 0) return &grooves[i];
    return grooves; /* not reached: rg_grooves_read has some for every side */
}

static int32_t draw_tempo(const rg_groove *g, rg_rng *rng)
{
    size_t i = 0;
    while (tempos[i].word[0] && !strstr(g->style, tempos[i].word)) i++;
    int32_t range = tempos[i].high - tempos[i].low + 1;
    int32_t beats = tempos[i].low + (int32_t)rg_rng_below(rng, (uint64_t)range);
    return beats * g->quarters / g->beats;
}

static void add_chord(rg_mma_song *s, int32_t quarter, int32_t root, int32_t quality)
{
    s->chords[s->n_chords++] = (rg_mma_chord){quarter, (s->key_tonic + root) % 12, quality};
}

/* Four bars; in one of seven, where a bar can be halved, the next bar's chord comes early. */
static void add_section(rg_mma_song *s, const step *steps, rg_rng *rng)
{
    int32_t bar = s->groove->quarters;
    for (int32_t i = 0; i < SECTION; i++, s->bars++) {
        int32_t start = s->bars * bar;
        add_chord(s, start, steps[i].root, steps[i].quality);
        bool early = rg_rng_below(rng, 7) == 0;
        const step *next = &steps[(i + 1) % SECTION];
        if (early && bar % 2 == 0 && next->root != steps[i].root)
            add_chord(s, start + bar / 2, next->root, next->quality);
    }
}

void rg_mma_compose(const rg_groove *grooves, int64_t n, uint64_t seed, int64_t number,
                    rg_mma_song *out)
{
    rg_rng rng = rg_rng_make(seed, rg_rng_stream((uint64_t)number, 0, 0));
    *out = (rg_mma_song){.seed = seed, .number = number};
    out->groove = draw_groove(grooves, n, rg_mma_split(number), &rng);
    out->tempo = draw_tempo(out->groove, &rng);
    out->key_tonic = (int32_t)rg_rng_below(&rng, 12);
    out->key_mode = rg_rng_below(&rng, 5) < 2;
    const step *sections[SECTIONS];
    for (int32_t i = 0; i < SECTIONS; i++)
        sections[i] =
            out->key_mode ? minor[rg_rng_below(&rng, MINORS)] : major[rg_rng_below(&rng, MAJORS)];
    for (const char *f = forms[rg_rng_below(&rng, FORMS)]; *f; f++)
        add_section(out, sections[*f - 'A'], &rng);
    add_chord(out, out->bars++ * out->groove->quarters, 0, out->key_mode ? MIN : MAJ);
}

/* ---- writing ---- */

void rg_mma_chord_label(const rg_mma_chord *chord, char out[16])
{
    rg_format(out, 16, "%s:%s", names[chord->root], qualities[chord->quality].label);
}

double rg_mma_tempo_bpm(const rg_mma_song *s)
{
    return (double)s->tempo * s->groove->beats / s->groove->quarters;
}

/* One bar of the melody: every quarter is a rest, a note, two eighths, one off the beat, or a note
 * of two quarters; the first is never a rest. */
static void write_rhythm(const rg_mma_song *s, rg_rng *rng, rg_text *out)
{
    rg_text_add(out, "{");
    const char *gap = "";
    for (int32_t q = 1; q <= s->groove->quarters; q++) {
        int32_t what =
            q == 1 ? QUARTER + (int32_t)rg_rng_below(rng, 2) : (int32_t)rg_rng_below(rng, RHYTHMS);
        int32_t loud = 75 + (int32_t)rg_rng_below(rng, 20);
        if (what == HALF && q == s->groove->quarters) what = QUARTER;
        if (what == REST) continue;
        if (what == QUARTER) rg_text_printf(out, "%s%d 4 %d", gap, q, loud);
        if (what == HALF) rg_text_printf(out, "%s%d 2 %d", gap, q++, loud);
        if (what == EIGHTHS) rg_text_printf(out, "%s%d 8 %d; %d.5 8 %d", gap, q, loud, q, loud - 5);
        if (what == OFFBEAT) rg_text_printf(out, "%s%d.5 8 %d", gap, q, loud);
        gap = "; ";
    }
    rg_text_add(out, "}");
}

static void write_melody(const rg_mma_song *s, rg_rng *rng, rg_text *out)
{
    static const char *const ranges[] = {"1", "1.5", "2"};
    rg_text_printf(out, "Begin Aria\n Voice %s\n Sequence", voices[rg_rng_below(rng, VOICES)]);
    for (int32_t bar = 0; bar < 2; bar++) {
        rg_text_add(out, " ");
        write_rhythm(s, rng, out);
    }
    rg_text_printf(out,
                   "\n ScaleType %s\n Range %s\n Octave %d\n Volume f\n Direction r\n"
                   " Articulate 85\nEnd\n",
                   rg_rng_below(rng, 3) ? "Scale" : "Chord", ranges[rg_rng_below(rng, 3)],
                   5 + (int32_t)rg_rng_below(rng, 2));
}

/* A line a bar: "3 Am / F /", a stroke for a quarter without a new chord. */
static void write_bars(const rg_mma_song *s, rg_text *out)
{
    int32_t next = 0;
    for (int32_t bar = 0; bar < s->bars; bar++) {
        rg_text_printf(out, "%d", bar + 1);
        for (int32_t q = 0; q < s->groove->quarters; q++) {
            bool starts =
                next < s->n_chords && s->chords[next].quarter == bar * s->groove->quarters + q;
            const rg_mma_chord *c = &s->chords[next];
            rg_text_printf(out, " %s%s", starts ? names[c->root] : "/",
                           starts ? qualities[c->quality].mma : "");
            next += starts;
        }
        rg_text_add(out, "\n");
    }
}

void rg_mma_write(const rg_mma_song *s, rg_text *out)
{
    rg_rng rng = rg_rng_make(s->seed, rg_rng_stream((uint64_t)s->number, 1, 0));
    int32_t accidentals = sharps[(s->key_tonic + (s->key_mode ? 3 : 0)) % 12];
    rg_text_printf(out, "Tempo %d\nKeySig %d%s %s\nRndSeed %lld\nGroove stdlib/%s:%s\n", s->tempo,
                   accidentals < 0 ? -accidentals : accidentals, accidentals < 0 ? "b" : "#",
                   s->key_mode ? "Minor" : "Major", (long long)s->number, s->groove->style,
                   s->groove->name);
    write_melody(s, &rng, out);
    write_bars(s, out);
}
