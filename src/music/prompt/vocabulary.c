/*
 * The vocabulary (prompt.h): built-in words as data, and a user's own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "music/prompt/prompt.h"

/* word, broader word ("" for none) */
#define GENRES(X)                                                                                 \
    X("electronic", "")                                                                           \
    X("techno", "electronic") X("house", "electronic") X("deep house", "house")                   \
        X("trance", "electronic") X("ambient", "electronic") X("drum and bass", "electronic") X(  \
            "dnb", "drum and bass") X("jungle", "drum and bass") X("dubstep", "electronic")       \
            X("synthwave", "electronic") X("edm", "electronic") X("chiptune", "electronic") X(    \
                "hip hop", "") X("hip-hop", "hip hop") X("trap", "hip hop") X("lo-fi", "hip hop") \
                X("lofi", "lo-fi") X("rock", "") X("hard rock", "rock") X("metal", "rock")        \
                    X("heavy metal", "metal") X("punk", "rock") X("grunge", "rock")               \
                        X("rock and roll", "rock") X("blues", "") X("boogie", "blues") X(         \
                            "boogie-woogie", "boogie") X("jazz", "") X("swing", "jazz")           \
                            X("bebop", "jazz") X("big band", "jazz") X("ragtime", "jazz") X(      \
                                "dixieland", "jazz") X("funk", "") X("soul", "") X("r&b", "soul") \
                                X("disco", "") X("pop",                                           \
                                                 "") X("reggae", "")                              \
                                    X("ska", "reggae") X("dub", "reggae") X("latin", "")          \
                                        X("bossa nova", "latin") X("samba", "latin") X(           \
                                            "salsa", "latin") X("tango", "latin")                 \
                                            X("folk", "") X("country", "folk")                    \
                                                X("bluegrass", "country") X("celtic", "folk") X(  \
                                                    "classical", "") X("orchestral", "classical") \
                                                    X("baroque",                                  \
                                                      "classical") X("romantic era", "classical") \
                                                        X("waltz", "classical") X("march",        \
                                                                                  "classical")    \
                                                            X("cinematic", "orchestral")          \
                                                                X("soundtrack", "cinematic")      \
                                                                    X("game", "soundtrack")       \
                                                                        X("video game", "game")

#define MOODS(X)                                                                                 \
    X("dark", "")                                                                                \
    X("gloomy", "dark") X("ominous", "dark") X("sinister", "dark") X("sad", "")                  \
        X("melancholic", "sad") X("melancholy", "sad") X("happy", "") X("cheerful", "happy")     \
            X("joyful", "happy") X("uplifting", "happy") X("bright", "happy")                    \
                X("playful", "happy") X("aggressive", "") X("angry", "aggressive") X("calm", "") \
                    X("relaxed", "calm") X("peaceful", "calm") X("chill", "calm")                \
                        X("mellow", "calm") X("dreamy", "calm") X("tense", "")                   \
                            X("dramatic", "tense") X("epic", "") X("heroic", "epic")             \
                                X("romantic", "") X("mysterious", "dark") X("hypnotic", "")

#define ENERGIES(X)                                                                        \
    X("low", "")                                                                           \
    X("soft", "low") X("gentle", "low") X("quiet", "low") X("slow", "low") X("medium", "") \
        X("moderate", "medium") X("high", "") X("driving", "high") X("energetic", "high")  \
            X("powerful", "high") X("intense", "high") X("hard", "high") X("fast", "high")

/* word, broader word, role */
#define INSTRUMENTS(X)                                                                             \
    X("bass", "", "bass")                                                                          \
    X("bassline", "bass", "bass") X("synth bass", "bass", "bass") X(                               \
        "analog synth bass", "synth bass",                                                         \
        "bass") X("electric bass", "bass", "bass") X("slap bass", "electric bass", "bass")         \
        X("fretless bass", "electric bass", "bass") X("acoustic bass", "bass", "bass") X(          \
            "double bass", "acoustic bass", "bass") X("upright bass", "acoustic bass",             \
                                                      "bass") X("sub bass", "synth bass", "bass")  \
            X("drums", "", "drums") X("drum", "drums", "drums") X("drum kit", "drums", "drums") X( \
                "808 drums", "drums",                                                              \
                "drums") X("808", "808 drums",                                                     \
                           "drums") X("909", "drums", "drums")                                     \
                X("percussion", "drums", "drums") X("kick", "drums", "drums") X(                   \
                    "snare", "drums",                                                              \
                    "drums") X("hi-hat", "drums", "drums")                                         \
                    X("brushes", "drums", "drums") X("piano", "", "harmony") X(                    \
                        "grand piano",                                                             \
                        "piano", "harmony") X("electric piano", "piano", "harmony")                \
                        X("rhodes", "electric piano", "harmony") X("organ", "", "harmony") X(      \
                            "hammond", "organ",                                                    \
                            "harmony") X("guitar", "",                                             \
                                         "harmony") X("acoustic guitar", "guitar", "harmony")      \
                            X("electric guitar", "guitar", "harmony") X(                           \
                                "distorted guitar",                                                \
                                "electric guitar",                                                 \
                                "harmony") X("clean guitar", "electric guitar",                    \
                                             "harmony") X("strings", "", "harmony")                \
                                X("violin", "strings", "melody") X(                                \
                                    "cello", "strings",                                            \
                                    "melody") X("pad", "", "harmony")                              \
                                    X("pads", "pad",                                               \
                                      "harmony") X("synth pad", "pad", "harmony")                  \
                                        X("choir", "pad", "harmony") X("chords", "", "harmony") X( \
                                            "brass", "", "melody") X("trumpet", "brass", "melody") \
                                            X("trombone", "brass", "melody") X(                    \
                                                "horns", "brass",                                  \
                                                "melody") X("reed", "", "melody")                  \
                                                X("saxophone", "reed",                             \
                                                  "melody") X("sax", "saxophone", "melody")        \
                                                    X("clarinet", "reed",                          \
                                                      "melody") X("oboe", "reed", "melody")        \
                                                        X("flute", "", "melody") X("synth lead",   \
                                                                                   "", "melody")   \
                                                            X("lead", "synth lead", "melody") X(   \
                                                                "synth", "synth lead", "melody")   \
                                                                X("synthesizer",                   \
                                                                  "synth", "melody") X("melody",   \
                                                                                       "",         \
                                                                                       "melody")   \
                                                                    X("harp", "", "harmony") X(    \
                                                                        "bells", "", "melody")     \
                                                                        X("vibraphone", "bells",   \
                                                                          "melody")                \
                                                                            X("marimba", "bells",  \
                                                                              "melody")            \
                                                                                X("harmonica", "", \
                                                                                  "melody")        \
                                                                                    X("accordion", \
                                                                                      "",          \
                                                                                      "harmony")

static const rg_word builtin[] = {
#define X(word, parent) {"genre", word, parent, ""},
    GENRES(X)
#undef X
#define X(word, parent) {"mood", word, parent, ""},
        MOODS(X)
#undef X
#define X(word, parent) {"energy", word, parent, ""},
            ENERGIES(X)
#undef X
#define X(word, parent, role) {"instruments", word, parent, role},
                INSTRUMENTS(X)
#undef X
};

bool rg_vocabulary_make(rg_vocabulary *out)
{
    out->n = sizeof builtin / sizeof *builtin;
    out->words = malloc(sizeof builtin);
    if (!out->words) return false;
    memcpy(out->words, builtin, sizeof builtin);
    return true;
}

void rg_vocabulary_free(rg_vocabulary *vocabulary)
{
    free(vocabulary->words);
    *vocabulary = (rg_vocabulary){0};
}

const rg_word *rg_vocabulary_find(const rg_vocabulary *vocabulary, const char *field,
                                  const char *word)
{
    for (size_t i = 0; i < vocabulary->n; i++)
        if (!strcmp(vocabulary->words[i].word, word) &&
            (!field || !strcmp(vocabulary->words[i].field, field)))
            return vocabulary->words + i;
    return NULL;
}

static rg_status read_word(const rg_vocabulary *vocabulary, const json_t *entry, const char *where,
                           rg_word *out, rg_error *err)
{
    const char *field, *word, *parent, *role = json_string_value(json_object_get(entry, "role"));
    RG_TRY(rg_json_get_text(entry, "field", where, &field, err));
    RG_TRY(rg_json_get_text(entry, "word", where, &word, err));
    RG_TRY(rg_json_get_text(entry, "parent", where, &parent, err));
    *out = (rg_word){0};
    if (!word[0] || !rg_copy_text(out->word, sizeof out->word, word) ||
        !rg_copy_text(out->field, sizeof out->field, field) ||
        !rg_copy_text(out->parent, sizeof out->parent, parent) ||
        !rg_copy_text(out->role, sizeof out->role, role ? role : ""))
        return rg_fail(err, RG_ERR_FORMAT, "%s: the word '%s' is empty or longer than %d letters",
                       where, word, RG_WORD_SIZE - 1);
    if (!rg_vocabulary_find(vocabulary, field, parent))
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: the word '%s' names the parent '%s', which is no word of %s", where,
                       word, parent, field);
    return RG_OK;
}

rg_status rg_vocabulary_extend(rg_vocabulary *vocabulary, const json_t *words, const char *where,
                               rg_error *err)
{
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)words, i, entry)
    {
        const char *field = json_string_value(json_object_get(entry, "field"));
        const char *word = json_string_value(json_object_get(entry, "word"));
        rg_word made;
        if (field && word && rg_vocabulary_find(vocabulary, field, word)) continue;
        RG_TRY(read_word(vocabulary, entry, where, &made, err));
        rg_word *grown = realloc(vocabulary->words, (vocabulary->n + 1) * sizeof *grown);
        if (!grown) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for words", where);
        vocabulary->words = grown;
        vocabulary->words[vocabulary->n++] = made;
    }
    return RG_OK;
}

json_t *rg_vocabulary_to_json(const rg_vocabulary *vocabulary)
{
    json_t *list = json_array();
    for (size_t i = 0; i < vocabulary->n; i++) {
        const rg_word *w = vocabulary->words + i;
        json_t *entry =
            json_pack("{s:s, s:s, s:s}", "field", w->field, "word", w->word, "parent", w->parent);
        if (w->role[0]) json_object_set_new(entry, "role", json_string(w->role));
        json_array_append_new(list, entry);
    }
    return list;
}
