/*
 * The analyzer (prompt.h): words in order, at each place the longest phrase that means something.
 */
#include "music/prompt/prompt.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { MAX_TOKENS = 256, MAX_PHRASE = 4 };

typedef struct tokens {
    int32_t n;
    char text[MAX_TOKENS][RG_WORD_SIZE];
} tokens;

/* Words that carry no musical meaning of their own and need no remark. */
static const char *const fillers[] = {
    "a",    "an",    "the",  "with", "and",  "in",   "at",    "of",     "for",   "to",
    "on",   "some",  "very", "more", "is",   "key",  "time",  "tempo",  "track", "music",
    "song", "style", "bpm",  "by",   "like", "beat", "beats", "please", "make",  "me",
    "but",  "feel",  "line", "loop", "part", "from", "sound"};

static bool is_filler(const char *word)
{
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++)
        if (!strcmp(fillers[i], word)) return true;
    return false;
}

static bool is_utf8(const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        int more = *p < 0x80         ? 0
                   : (*p >> 5) == 6  ? 1
                   : (*p >> 4) == 14 ? 2
                   : (*p >> 3) == 30 ? 3
                                     : -1;
        if (more < 0) return false;
        for (; more > 0; more--)
            if ((*++p & 0xc0) != 0x80) return false;
    }
    return true;
}

/* Musical sharps and flats become # and b; everything is lower case; punctuation separates. */
static void tokenize(const char *text, tokens *out)
{
    char word[RG_WORD_SIZE];
    size_t n = 0;
    out->n = 0;
    for (const char *p = text;; p++) {
        char c = (char)tolower((unsigned char)*p);
        if (!strncmp(p, "\xe2\x99\xaf", 3)) c = '#', p += 2;
        if (!strncmp(p, "\xe2\x99\xad", 3)) c = 'b', p += 2;
        bool inside = c && (isalnum((unsigned char)c) || strchr("#&/-.", c) || (c & 0x80));
        if (inside) {
            if (n < sizeof word - 1) word[n++] = c;
            continue;
        }
        while (n && strchr(".-/", word[n - 1])) n--;
        word[n] = 0;
        if (n && out->n < MAX_TOKENS) memcpy(out->text[out->n++], word, n + 1);
        n = 0;
        if (!c) return;
    }
}

static void join(const tokens *t, int32_t at, int32_t count, char *out, size_t size)
{
    out[0] = 0;
    for (int32_t i = 0; i < count; i++) {
        size_t n = strlen(out);
        snprintf(out + n, size - n, "%s%s", i ? " " : "", t->text[at + i]);
    }
}

static void add_finding(rg_prompt *p, const char *field, const char *value, const char *role,
                        const char *source)
{
    if (p->n == RG_MAX_FINDINGS) return;
    rg_finding *f = p->findings + p->n++;
    rg_copy_text(f->field, sizeof f->field, field);
    rg_copy_text(f->value, sizeof f->value, value);
    rg_copy_text(f->role, sizeof f->role, role);
    rg_copy_text(f->source, sizeof f->source, source);
}

/* ---- keys and meters ---- */

const char *rg_key_name(int32_t tonic, int32_t mode, char out[16])
{
    static const char *const names[] = {"C",  "C#", "D",  "Eb", "E",  "F",
                                        "F#", "G",  "Ab", "A",  "Bb", "B"};
    snprintf(out, 16, "%s %s", names[tonic % 12], mode ? "minor" : "major");
    return out;
}

static bool parse_mode(const char *text, int32_t *mode)
{
    static const struct {
        const char *text;
        int32_t mode;
    } modes[] = {{"", 0}, {"major", 0}, {"maj", 0}, {"minor", 1}, {"min", 1}, {"m", 1}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(text, modes[i].text)) {
            *mode = modes[i].mode;
            return true;
        }
    return false;
}

static const char *skip_word(const char *s, const char *word)
{
    const char *p = s + strspn(s, " -");
    size_t n = strlen(word);
    return !strncmp(p, word, n) ? p + n : NULL;
}

bool rg_key_parse(const char *text, int32_t *tonic, int32_t *mode)
{
    static const int32_t naturals[] = {9, 11, 0, 2, 4, 5, 7}; /* a b c d e f g */
    char s[RG_WORD_SIZE];
    if (!rg_copy_text(s, sizeof s, text)) return false;
    for (char *p = s; *p; p++) *p = (char)tolower((unsigned char)*p);
    if (s[0] < 'a' || s[0] > 'g') return false;
    int32_t t = naturals[s[0] - 'a'];
    const char *rest = s + 1, *after;
    if (*rest == '#')
        t++, rest++;
    else if (*rest == 'b')
        t--, rest++;
    else if ((after = skip_word(rest, "sharp")))
        t++, rest = after;
    else if ((after = skip_word(rest, "flat")))
        t--, rest = after;
    rest += strspn(rest, " -");
    if (!parse_mode(rest, mode)) return false;
    *tonic = (t + 12) % 12;
    return true;
}

bool rg_meter_parse(const char *text, int32_t *beats, int32_t *unit)
{
    char *end;
    long b = strtol(text, &end, 10), u = 0;
    if (end == text || *end != '/') return false;
    const char *second = end + 1;
    u = strtol(second, &end, 10);
    if (end == second || *end || b < 1 || b > 32 || (u != 2 && u != 4 && u != 8 && u != 16))
        return false;
    *beats = (int32_t)b;
    *unit = (int32_t)u;
    return true;
}

/* ---- what stands at one place ---- */

/* Each returns how many tokens it took (0: not this), or -1 with an error. */

static rg_status say_once(bool again, const char *what, const char *source, rg_error *err)
{
    if (!again) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "the prompt asks for two different %s ('%s' is the second)",
                   what, source);
}

static int32_t take_tempo(rg_prompt *p, const tokens *t, int32_t at, rg_error *err)
{
    char *end;
    const char *word = t->text[at];
    double bpm = strtod(word, &end);
    bool joined = !strcmp(end, "bpm");
    bool next = !*end && at + 1 < t->n && !strcmp(t->text[at + 1], "bpm");
    bool before = !*end && at > 0 && !strcmp(t->text[at - 1], "tempo");
    if (end == word || !isdigit((unsigned char)word[0]) || !(joined || next || before)) return 0;
    if (!(bpm >= 20 && bpm <= 400)) {
        rg_fail(err, RG_ERR_USAGE,
                "the prompt asks for %s bpm; a tempo from 20 to 400 was expected", word);
        return -1;
    }
    char source[64], value[32];
    join(t, at, 1 + next, source, sizeof source);
    if (say_once(p->tempo > 0 && p->tempo != bpm, "tempi", source, err) != RG_OK) return -1;
    p->tempo = bpm;
    add_finding(p, "tempo", rg_format_double(bpm, value), "", source);
    return 1 + next;
}

static int32_t take_key(rg_prompt *p, const tokens *t, int32_t at, rg_error *err)
{
    for (int32_t count = 3; count >= 1; count--) {
        char phrase[96], name[16];
        int32_t tonic, mode;
        if (at + count > t->n) continue;
        join(t, at, count, phrase, sizeof phrase);
        bool named =
            count > 1 || strchr(phrase, '#') || (strlen(phrase) > 1 && phrase[1] == 'm') ||
            (strlen(phrase) == 2 && phrase[1] == 'b' && at > 0 && !strcmp(t->text[at - 1], "in")) ||
            (at > 1 && !strcmp(t->text[at - 1], "of") && !strcmp(t->text[at - 2], "key"));
        if (!named || !rg_key_parse(phrase, &tonic, &mode)) continue;
        bool again = p->key_tonic >= 0 && (p->key_tonic != tonic || p->key_mode != mode);
        if (say_once(again, "keys", phrase, err) != RG_OK) return -1;
        p->key_tonic = tonic;
        p->key_mode = mode;
        add_finding(p, "key", rg_key_name(tonic, mode, name), "", phrase);
        return count;
    }
    return 0;
}

static int32_t take_meter(rg_prompt *p, const tokens *t, int32_t at, rg_error *err)
{
    int32_t beats, unit;
    if (!rg_meter_parse(t->text[at], &beats, &unit)) return 0;
    bool again = p->meter_beats && (p->meter_beats != beats || p->meter_unit != unit);
    if (say_once(again, "meters", t->text[at], err) != RG_OK) return -1;
    p->meter_beats = beats;
    p->meter_unit = unit;
    add_finding(p, "meter", t->text[at], "", t->text[at]);
    return 1;
}

static int32_t take_word(rg_prompt *p, const tokens *t, int32_t at, const rg_vocabulary *v)
{
    for (int32_t count = MAX_PHRASE; count >= 1; count--) {
        char phrase[MAX_PHRASE * RG_WORD_SIZE];
        if (at + count > t->n) continue;
        join(t, at, count, phrase, sizeof phrase);
        size_t found = 0;
        for (size_t i = 0; i < v->n; i++) {
            if (strcmp(v->words[i].word, phrase) != 0) continue;
            add_finding(p, v->words[i].field, phrase, v->words[i].role, phrase);
            found++;
        }
        if (found) return count;
    }
    return 0;
}

static void note_unknown(rg_prompt *p, const char *word)
{
    size_t n = strlen(p->unknown);
    if (is_filler(word) || n + strlen(word) + 3 > sizeof p->unknown) return;
    snprintf(p->unknown + n, sizeof p->unknown - n, "%s%s", n ? ", " : "", word);
}

rg_status rg_prompt_analyze(const char *text, const rg_vocabulary *vocabulary, rg_prompt *out,
                            rg_error *err)
{
    *out = (rg_prompt){.key_tonic = -1};
    if (!rg_copy_text(out->text, sizeof out->text, text))
        return rg_fail(err, RG_ERR_USAGE, "the prompt is longer than %d bytes", RG_PROMPT_SIZE - 1);
    if (!is_utf8(text)) return rg_fail(err, RG_ERR_USAGE, "the prompt is not UTF-8 text");
    tokens *t = malloc(sizeof *t);
    if (!t) return rg_fail(err, RG_ERR_NOMEM, "no memory for a prompt");
    tokenize(text, t);
    rg_status status = RG_OK;
    for (int32_t at = 0; at < t->n && status == RG_OK;) {
        int32_t took = take_tempo(out, t, at, err);
        if (!took) took = take_meter(out, t, at, err);
        if (!took) took = take_word(out, t, at, vocabulary);
        if (!took) took = take_key(out, t, at, err);
        if (!took) {
            note_unknown(out, t->text[at]);
            took = 1;
        }
        if (took < 0) status = RG_ERR_USAGE;
        at += took;
    }
    free(t);
    return status;
}

const rg_finding *rg_prompt_next(const rg_prompt *prompt, const char *field, size_t *i)
{
    for (; *i < prompt->n; ++*i)
        if (!strcmp(prompt->findings[*i].field, field)) return prompt->findings + (*i)++;
    return NULL;
}

json_t *rg_prompt_to_json(const rg_prompt *prompt)
{
    char key[16], meter[32] = "";
    json_t *findings = json_array();
    for (size_t i = 0; i < prompt->n; i++) {
        const rg_finding *f = prompt->findings + i;
        json_t *entry =
            json_pack("{s:s, s:s, s:s}", "field", f->field, "value", f->value, "from", f->source);
        if (f->role[0]) json_object_set_new(entry, "role", json_string(f->role));
        json_array_append_new(findings, entry);
    }
    if (prompt->meter_beats)
        snprintf(meter, sizeof meter, "%d/%d", prompt->meter_beats, prompt->meter_unit);
    json_t *object = json_object();
    json_object_set_new(object, "text", json_string(prompt->text));
    json_object_set_new(object, "tempo",
                        prompt->tempo > 0 ? json_real(prompt->tempo) : json_null());
    json_object_set_new(object, "key",
                        prompt->key_tonic < 0
                            ? json_null()
                            : json_string(rg_key_name(prompt->key_tonic, prompt->key_mode, key)));
    json_object_set_new(object, "meter", meter[0] ? json_string(meter) : json_null());
    json_object_set_new(object, "findings", findings);
    json_object_set_new(object, "unknown", json_string(prompt->unknown));
    return object;
}
