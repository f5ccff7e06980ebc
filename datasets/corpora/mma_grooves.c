/*
 * Reading MMA's library (mma_grooves.h).
 *
 * One idea: of its language only three statements matter here, Time, TimeSig and DefGroove; the
 * first two hold until they are given again.
 */
#include "datasets/corpora/mma_grooves.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/text.h"

enum { LARGEST_FILE = 1 << 20, MOST_GROOVES = 16384 };

typedef struct reading {
    rg_groove *grooves;
    int64_t n, capacity;
    char style[32];
    int32_t quarters;
    bool eighths; /* TimeSig n 8 */
    rg_split split;
} reading;

/* ---- one groove ---- */

static const char *const no_songs[] = {"Intro", "Fill", "End", "Metronome", "None"};

static bool carries_a_song(const char *name)
{
    for (size_t i = 0; i < sizeof no_songs / sizeof no_songs[0]; i++)
        if (strcasestr(name, no_songs[i])) return false;
    return true;
}

/* "BossaNova" -> "bossa nova", "68March" -> "68 march": a blank where a word begins. */
static void spell_out(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; name[i] && n + 2 < size; i++) {
        bool starts = i > 0 && isupper((unsigned char)name[i]) &&
                      (islower((unsigned char)name[i - 1]) || isdigit((unsigned char)name[i - 1]));
        if (starts) out[n++] = ' ';
        out[n++] = name[i] == '-' ? ' ' : (char)tolower((unsigned char)name[i]);
    }
    out[n] = 0;
}

/* Letters and digits of the groove's name against those of the file's. */
static bool same_letters(const char *a, const char *b)
{
    for (; *a || *b; a++, b++) {
        while (*a == '-' || *a == '_') a++;
        while (*b == '-' || *b == '_') b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) return false;
        if (!*a) break;
    }
    return true;
}

static void set_meter(const reading *r, rg_groove *g)
{
    bool twelve = strstr(r->style, "128") != NULL; /* MMA counts their dotted quarters */
    g->quarters = r->quarters;
    g->beats = r->quarters;
    if (r->quarters == 6) g->beats = 2; /* it counts the eighths of 6/8 */
    if (twelve)
        rg_copy_text(g->signature, sizeof g->signature, "12/8");
    else if (r->quarters == 6 || (r->quarters == 2 && r->eighths))
        rg_copy_text(g->signature, sizeof g->signature, "6/8");
    else
        rg_format(g->signature, sizeof g->signature, "%d/4", r->quarters);
}

static rg_status add_groove(reading *r, const char *name, rg_error *err)
{
    if (!carries_a_song(name) || r->quarters < 2 || r->quarters > 6) return RG_OK;
    if (r->n == r->capacity) {
        int64_t capacity = r->capacity ? 2 * r->capacity : 256;
        rg_groove *more = realloc(r->grooves, (size_t)capacity * sizeof *more);
        if (!more || capacity > MOST_GROOVES) {
            if (more) r->grooves = more;
            return rg_fail(err, RG_ERR_NOMEM, "no memory for MMA's grooves");
        }
        r->grooves = more;
        r->capacity = capacity;
    }
    rg_groove *g = &r->grooves[r->n];
    *g = (rg_groove){.split = r->split};
    rg_copy_text(g->style, sizeof g->style, r->style);
    set_meter(r, g);
    r->n += rg_copy_text(g->name, sizeof g->name, name);
    return RG_OK;
}

/* ---- files ---- */

static rg_status read_line(reading *r, char *line, rg_error *err)
{
    char *rest = NULL, *word = strtok_r(line, " \t\r", &rest);
    if (!word) return RG_OK;
    char *value = strtok_r(NULL, " \t\r", &rest);
    int64_t number;
    if (!value) return RG_OK;
    if (strcasecmp(word, "Time") == 0 && rg_parse_int(value, &number))
        r->quarters = (int32_t)number;
    if (strcasecmp(word, "TimeSig") == 0) {
        const char *slash = strchr(value, '/'), *below = strtok_r(NULL, " \t\r", &rest);
        const char *unit = slash ? slash + 1 : below;
        r->eighths = unit && strcmp(unit, "8") == 0;
    }
    return strcasecmp(word, "DefGroove") == 0 ? add_groove(r, value, err) : RG_OK;
}

/* The genre of a file: the name of its groove that is called like it, else the file's own. */
static void name_genre(reading *r, int64_t first)
{
    char genre[32];
    spell_out(r->style, genre, sizeof genre);
    for (int64_t i = first; i < r->n; i++)
        if (same_letters(r->grooves[i].name, r->style)) {
            spell_out(r->grooves[i].name, genre, sizeof genre);
            break;
        }
    for (int64_t i = first; i < r->n; i++)
        rg_copy_text(r->grooves[i].genre, sizeof r->grooves[i].genre, genre);
}

/* 10 % test, 10 % valid: the hash of the style's name, modulo 10. */
static rg_split split_of(const char *style)
{
    uint64_t side = rg_xxh3(style, strlen(style)) % 10;
    return side == 0 ? RG_SPLIT_TEST : side == 1 ? RG_SPLIT_VALID : RG_SPLIT_TRAIN;
}

static rg_status read_file(reading *r, const char *folder, const char *name, rg_error *err)
{
    char path[1400], *data = NULL, *rest = NULL;
    size_t n = 0, length = strlen(name);
    if (length < 5 || strcmp(name + length - 4, ".mma") != 0) return RG_OK;
    RG_TRY(rg_fs_join(path, sizeof path, folder, name, err));
    RG_TRY(rg_fs_read_all(path, LARGEST_FILE, &data, &n, err));
    rg_copy_text(r->style, sizeof r->style, name);
    if (length - 4 < sizeof r->style) r->style[length - 4] = 0;
    r->split = split_of(r->style);
    r->quarters = 4;
    r->eighths = false;
    int64_t first = r->n;
    rg_status status = RG_OK;
    for (char *line = strtok_r(data, "\n", &rest); status == RG_OK && line;
         line = strtok_r(NULL, "\n", &rest))
        status = read_line(r, line, err);
    name_genre(r, first);
    free(data);
    return status;
}

static rg_status every_split(const reading *r, const char *folder, rg_error *err)
{
    int64_t count[RG_SPLIT_COUNT] = {0};
    for (int64_t i = 0; i < r->n; i++) count[r->grooves[i].split]++;
    for (rg_split s = 0; s < RG_SPLIT_COUNT; s++)
        if (count[s] == 0)
            return rg_fail(err, RG_ERR_FORMAT, "%s: no groove for the split '%s' in it", folder,
                           rg_split_name(s));
    return RG_OK;
}

rg_status rg_grooves_read(const char *folder, rg_groove **out, int64_t *n, rg_error *err)
{
    reading r = {0};
    char **names = NULL;
    size_t files = 0;
    *out = NULL;
    *n = 0;
    RG_TRY(rg_fs_list(folder, &names, &files, err));
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < files; i++)
        status = read_file(&r, folder, names[i], err);
    rg_fs_free_names(names, files);
    if (status == RG_OK) status = every_split(&r, folder, err);
    if (status != RG_OK) {
        free(r.grooves);
        return status;
    }
    *out = r.grooves;
    *n = r.n;
    return RG_OK;
}
