/*
 * Numbers in a prompt (prompt_private.h): tempi, meters and durations, in digits or in words.
 *
 * One idea: a number, or a range of two, is read first; what stands after it (a unit) or before it
 * ("tempo", "around") then says what it is. A number that nothing explains is a tempo if it can be
 * one, and otherwise nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "music/prompt/prompt_private.h"

static const double SLOWEST = 20, FASTEST = 400;

/* ---- one number ---- */

static int32_t word_number(const rg__reader *r, int32_t at)
{
    static const char *const words[] = {"zero",    "one",     "two",       "three",    "four",
                                        "five",    "six",     "seven",     "eight",    "nine",
                                        "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                        "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
    static const char *const tens[] = {"twenty", "thirty",  "forty",  "fifty",
                                       "sixty",  "seventy", "eighty", "ninety"};
    for (int32_t i = 0; i < 20; i++)
        if (rg__token_is(r, at, words[i])) return i;
    for (int32_t i = 0; i < 8; i++)
        if (rg__token_is(r, at, tens[i])) return 20 + 10 * i;
    return rg__token_is(r, at, "fourty") ? 40 : -1;
}

/* Below a hundred: "forty", "forty five". */
static int32_t small_number(const rg__reader *r, int32_t at, int32_t *value)
{
    int32_t first = word_number(r, at), second = word_number(r, at + 1);
    if (first < 0) return 0;
    *value = first;
    if (first < 20 || second < 1 || second > 9 || rg__breaks(r, at + 1)) return 1;
    *value += second;
    return 2;
}

static int32_t spelled_number(const rg__reader *r, int32_t at, double *value)
{
    int32_t hundreds = 0, rest = 0;
    int32_t took = small_number(r, at, &hundreds);
    if (rg__token_is(r, at, "a") && rg__token_is(r, at + 1, "hundred")) took = hundreds = 1;
    *value = hundreds;
    if (!took || !rg__token_is(r, at + took, "hundred")) return took;
    *value = 100 * hundreds;
    took++;
    int32_t with_and = rg__token_is(r, at + took, "and");
    int32_t more = small_number(r, at + took + with_and, &rest);
    if (!more) return took;
    *value += rest;
    return took + with_and + more;
}

/* How many tokens the number at `at` takes; 0: none there. */
static int32_t read_number(const rg__reader *r, int32_t at, double *value)
{
    char digits[32] = "";
    if (at >= r->t.n) return 0;
    const rg__token *t = r->t.list + at;
    if (!t->number) return spelled_number(r, at, value);
    if (t->n >= sizeof digits) {
        *value = 1e9;
        return 1;
    }
    memcpy(digits, r->t.plain + t->at, t->n);
    return rg_parse_double(digits, value) ? 1 : 0;
}

/* ---- what may be a tempo ---- */

static void refuse_tempo(rg__reader *r, int32_t at, int32_t count)
{
    rg__conflict(r, "tempo_bpm", "tempi are from 20 to 400", at, count);
}

void rg__set_tempo(rg__reader *r, double low, double high, int32_t at, int32_t count)
{
    rg_prompt *p = r->out;
    double middle = (low + high) / 2;
    char text[32];
    if (!(low >= SLOWEST && high <= FASTEST && low <= high)) {
        refuse_tempo(r, at, count);
    } else if (r->negated) {
        rg__add(r, "tempo", rg_format_double(middle, text), "", at, count);
        r->negated = false;
    } else if (p->tempo > 0) {
        if (middle < p->tempo_low || middle > p->tempo_high)
            rg__conflict(r, "tempo_bpm", rg__said(p, "tempo"), at, count);
    } else {
        p->tempo = middle;
        p->tempo_low = low;
        p->tempo_high = high;
        rg__add(r, "tempo", rg_format_double(middle, text), "", at, count);
    }
}

void rg__set_meter(rg__reader *r, int32_t beats, int32_t unit, int32_t at, int32_t count)
{
    rg_prompt *p = r->out;
    char name[32];
    rg_format(name, sizeof name, "%d/%d", beats, unit);
    if (r->negated) {
        rg__add(r, "meter", name, "", at, count);
        r->negated = false;
    } else if (!p->meter_beats) {
        p->meter_beats = beats;
        p->meter_unit = unit;
        rg__add(r, "meter", name, "", at, count);
    } else if (p->meter_beats != beats || p->meter_unit != unit) {
        rg__conflict(r, "meter", rg__said(p, "meter"), at, count);
    }
}

/* ---- durations ---- */

enum unit { NO_UNIT, BPM, SECONDS, BARS };

/* The unit at `at`; `scale`: seconds in one. Returns its tokens. */
static int32_t read_unit(const rg__reader *r, int32_t at, enum unit *unit, double *scale)
{
    static const struct {
        const char *word;
        enum unit unit;
        double scale;
    } rows[] = {{"bpm", BPM, 1},          {"s", SECONDS, 1},        {"sec", SECONDS, 1},
                {"secs", SECONDS, 1},     {"second", SECONDS, 1},   {"seconds", SECONDS, 1},
                {"m", SECONDS, 60},       {"min", SECONDS, 60},     {"mins", SECONDS, 60},
                {"minute", SECONDS, 60},  {"minutes", SECONDS, 60}, {"hour", SECONDS, 3600},
                {"hours", SECONDS, 3600}, {"bar", BARS, 1},         {"bars", BARS, 1},
                {"measure", BARS, 1},     {"measures", BARS, 1}};
    *unit = NO_UNIT;
    if (rg__breaks(r, at)) return 0;
    if (rg__token_is(r, at, "beats") && rg__token_is(r, at + 1, "per")) {
        *unit = BPM;
        return rg__token_is(r, at + 2, "minute") ? 3 : 2;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rg__token_is(r, at, rows[i].word)) {
            *unit = rows[i].unit;
            *scale = rows[i].scale;
            return 1;
        }
    return 0;
}

static void set_duration(rg__reader *r, double seconds, double bars, int32_t at, int32_t count)
{
    rg_prompt *p = r->out;
    char text[32];
    bool again = p->duration > 0 || p->bars > 0;
    if (seconds <= 0 && bars <= 0) return;
    if (r->negated || seconds > 1e6 || bars > 1e6) return;
    if (again && (p->duration != seconds || p->bars != bars)) {
        rg__conflict(r, "duration_s", rg__said(p, "duration"), at, count);
    } else if (!again) {
        p->duration = seconds;
        p->bars = bars;
        rg__add(r, "duration", rg_format_double(bars > 0 ? bars : seconds, text), "", at, count);
    }
}

/* "1 min 30 sec": the seconds belong to the minutes before. */
static bool add_seconds(rg__reader *r, double seconds, int32_t at)
{
    if (r->minutes_end < 0 || seconds >= 60) return false;
    if (r->minutes_end != at && !(rg__token_is(r, at - 1, "and") && r->minutes_end == at - 1))
        return false;
    r->out->duration += seconds;
    return true;
}

static void take_seconds(rg__reader *r, double value, double scale, int32_t at, int32_t count)
{
    bool first = r->out->duration <= 0;
    if (scale == 1 && add_seconds(r, value, at)) return;
    set_duration(r, value * scale, 0, at, count);
    if (scale == 60 && first && r->out->duration > 0) r->minutes_end = at + count;
}

/* ---- forms ---- */

/* "4/4", "1:30". */
static int32_t take_pair(rg__reader *r, int32_t at, double first)
{
    double second;
    if (at + 1 >= r->t.n || !r->t.list[at].number || !r->t.list[at + 1].number) return 0;
    char between = r->t.list[at + 1].before;
    if ((between != '/' && between != ':') || !read_number(r, at + 1, &second)) return 0;
    if (between == ':') {
        if (first < 60 && second < 60 && r->t.list[at + 1].n == 2)
            set_duration(r, 60 * first + second, 0, at, 2);
        return 2;
    }
    char text[64];
    int32_t beats, unit;
    rg_format(text, sizeof text, "%g/%g", first, second);
    if (rg_meter_parse(text, &beats, &unit)) rg__set_meter(r, beats, unit, at, 2);
    return 2;
}

/* The second number of "120-128", "120 to 128", "between 120 and 128". */
static int32_t read_range(const rg__reader *r, int32_t at, int32_t from, double *value)
{
    int32_t took;
    if (rg__breaks(r, at)) return 0;
    if (r->t.list[at].before == '-' && (took = read_number(r, at, value))) return took;
    bool joins = rg__token_is(r, at, "to") ||
                 (rg__token_is(r, at, "and") && rg__token_is(r, from - 1, "between"));
    if (!joins) return 0;
    took = read_number(r, at + 1, value);
    return took ? 1 + took : 0;
}

static bool stands_for_tempo(const rg__reader *r, int32_t at)
{
    while (rg__token_is(r, at - 1, "of") || rg__token_is(r, at - 1, "is") ||
           rg__token_is(r, at - 1, "at") || rg__token_means(r, at - 1, "grammar", "about"))
        at--;
    return rg__token_is(r, at - 1, "tempo") || rg__token_is(r, at - 1, "bpm");
}

static void take_tempo_number(rg__reader *r, double low, double high, bool sure, int32_t at,
                              int32_t count)
{
    bool about = rg__token_means(r, at - 1, "grammar", "about");
    bool named = stands_for_tempo(r, at);
    double before = r->confidence;
    if (!sure && !named && (low < 40 || high > 240)) return;
    if (!sure) r->confidence *= named || about ? 0.9 : 0.6;
    if (about) low == high ? (low *= 0.95, high *= 1.05) : 0;
    rg__set_tempo(r, low, high, at, count);
    r->confidence = before;
}

int32_t rg__take_number(rg__reader *r, int32_t at)
{
    double low, high, scale = 1;
    enum unit unit;
    int32_t count = read_number(r, at, &low);
    if (!count) return 0;
    int32_t pair = take_pair(r, at, low);
    if (pair) return pair;
    high = low;
    /* "120 bpm to 128 bpm": the first unit may be said */
    int32_t first = read_unit(r, at + count, &unit, &scale);
    int32_t more = read_range(r, at + count + first, at, &high);
    if (more && high > low)
        count += first + more;
    else
        high = low;
    count += read_unit(r, at + count, &unit, &scale);
    r->n_adjectives = 0;
    if (unit == SECONDS)
        take_seconds(r, (low + high) / 2, scale, at, count);
    else if (unit == BARS)
        set_duration(r, 0, (low + high) / 2, at, count);
    else
        take_tempo_number(r, low, high, unit == BPM, at, count);
    return count;
}
