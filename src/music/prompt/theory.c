/*
 * Names of keys and meters (prompt.h), as settings and configurations give them.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "music/prompt/prompt.h"

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
