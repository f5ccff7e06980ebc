/*
 * Text to tokens (prompt_private.h): lower case, letters and digits apart, one space between.
 *
 * One idea: a character is a letter, a digit, a word of its own (& is "and", ~ is "about") or a
 * separator; of the separators between two tokens the strongest is kept.
 */
#include <stdlib.h>
#include <string.h>

#include "music/prompt/prompt_private.h"

enum { GROWTH = 6 }; /* "~" becomes "about " */

typedef struct piece {
    enum { LETTER, DIGIT, WORD, SEPARATOR } kind;
    size_t n;         /* bytes of the text */
    const char *word; /* of a WORD */
    char c;           /* of a letter or digit of ASCII, of a separator */
} piece;

static size_t utf8_length(const unsigned char *s, size_t left)
{
    size_t n = *s < 0x80                 ? 1
               : *s >= 0xc2 && *s < 0xe0 ? 2
               : *s >= 0xe0 && *s < 0xf0 ? 3
               : *s >= 0xf0 && *s < 0xf5 ? 4
                                         : 0;
    if (n == 0 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (*s == 0xe0 && s[1] < 0xa0) || (*s == 0xf0 && s[1] < 0x90);
    bool beyond = (*s == 0xed && s[1] >= 0xa0) || (*s == 0xf4 && s[1] >= 0x90);
    return overlong || beyond ? 0 : n;
}

static piece special(const char *s, size_t n)
{
    static const struct {
        const char *bytes;
        piece is;
    } rows[] = {
        {"\xe2\x99\xaf", {LETTER, 3, NULL, '#'}},    {"\xe2\x99\xad", {LETTER, 3, NULL, 'b'}},
        {"\xe2\x80\x93", {SEPARATOR, 3, NULL, '-'}}, {"\xe2\x80\x94", {SEPARATOR, 3, NULL, ','}},
        {"\xe2\x80\x98", {SEPARATOR, 3, NULL, ' '}}, {"\xe2\x80\x99", {SEPARATOR, 3, NULL, ' '}},
        {"\xe2\x80\xa6", {SEPARATOR, 3, NULL, ','}}, {"\xe2\x89\x88", {WORD, 3, "about", 0}},
        {"\xe3\x80\x81", {SEPARATOR, 3, NULL, ','}}, {"\xe3\x80\x82", {SEPARATOR, 3, NULL, ','}},
        {"\xef\xbc\x8c", {SEPARATOR, 3, NULL, ','}}, {"\xc2\xa0", {SEPARATOR, 2, NULL, ' '}},
    };
    const bool listed = strchr("\xc2\xe2\xe3\xef", *s) != NULL;
    for (size_t i = 0; listed && i < sizeof rows / sizeof *rows; i++)
        if (rows[i].is.n == n && memcmp(rows[i].bytes, s, n) == 0) return rows[i].is;
    if (n == 3 && memcmp(s, "\xe2\x80", 2) == 0) return (piece){SEPARATOR, 3, NULL, ' '};
    return (piece){LETTER, n, NULL, 0};
}

/* n 0: not UTF-8. */
static piece piece_at(const char *s, size_t left)
{
    size_t n = utf8_length((const unsigned char *)s, left);
    char c = *s;
    if (n != 1) return n ? special(s, n) : (piece){SEPARATOR, 0, NULL, ' '};
    if (c >= 'A' && c <= 'Z') return (piece){LETTER, 1, NULL, (char)(c - 'A' + 'a')};
    if (c >= 'a' && c <= 'z') return (piece){LETTER, 1, NULL, c};
    if (c >= '0' && c <= '9') return (piece){DIGIT, 1, NULL, c};
    if (c == '&' || c == '+') return (piece){WORD, 1, "and", 0};
    if (c == '~') return (piece){WORD, 1, "about", 0};
    if (c == '#') return (piece){LETTER, 1, NULL, '#'};
    if (c == '-' || c == '/' || c == ':') return (piece){SEPARATOR, 1, NULL, c};
    if (strchr(",;.!?()[]{}|\n", c)) return (piece){SEPARATOR, 1, NULL, ','};
    return (piece){SEPARATOR, 1, NULL, ' '};
}

typedef struct writer {
    rg__tokens *out;
    size_t length;
    rg__token *open; /* the token that is being written */
    char between;
} writer;

static void start(writer *w, size_t from, bool number)
{
    w->open = w->out->list + w->out->n++;
    if (w->length) w->out->plain[w->length++] = ' ';
    *w->open = (rg__token){.at = (uint32_t)w->length,
                           .from = (uint32_t)from,
                           .before = w->out->n == 1 ? ',' : w->between,
                           .number = number};
    w->between = ' ';
}

static void put(writer *w, const char *s, size_t n, size_t to)
{
    memcpy(w->out->plain + w->length, s, n);
    w->length += n;
    w->open->n += (uint32_t)n;
    w->open->to = (uint32_t)to;
}

/* A sharp belongs to the one letter before it; anywhere else it is nothing. */
static bool is_stray_sharp(const writer *w, piece p)
{
    return p.c == '#' &&
           !(w->open && !w->open->number && w->open->n == 1 && w->out->plain[w->open->at] <= 'g');
}

static void separate(writer *w, char c)
{
    w->open = NULL;
    if (w->between != ',' && c != ' ') w->between = c;
}

static void write_piece(writer *w, const char *text, size_t at, size_t left, piece p)
{
    bool number = p.kind == DIGIT;
    bool point = text[at] == '.' && w->open && w->open->number && left > 1 && text[at + 1] >= '0' &&
                 text[at + 1] <= '9' && !memchr(w->out->plain + w->open->at, '.', w->open->n);
    if (point) {
        put(w, ".", 1, at + 1);
    } else if (p.kind == SEPARATOR || is_stray_sharp(w, p)) {
        separate(w, p.kind == SEPARATOR ? p.c : ' ');
    } else if (p.kind == WORD) {
        start(w, at, false);
        put(w, p.word, strlen(p.word), at + p.n);
        w->open = NULL;
    } else {
        if (!w->open || w->open->number != number) start(w, at, number);
        put(w, p.c ? &p.c : text + at, p.c ? 1 : p.n, at + p.n);
    }
}

rg_status rg__tokens_make(rg__tokens *out, const char *text, size_t n, rg_error *err)
{
    *out = (rg__tokens){0};
    out->memory = malloc((n + 1) * (sizeof(rg__token) + GROWTH));
    if (!out->memory) return rg_fail(err, RG_ERR_NOMEM, "no memory for a prompt");
    out->list = out->memory;
    out->plain = (char *)(out->list + n + 1);
    writer w = {.out = out, .between = ' '};
    for (size_t at = 0; at < n;) {
        piece p = piece_at(text + at, n - at);
        if (!p.n) return rg_fail(err, RG_ERR_USAGE, "the prompt is not UTF-8 text (byte %zu)", at);
        write_piece(&w, text, at, n - at, p);
        at += p.n;
    }
    out->plain[w.length] = 0;
    return RG_OK;
}

void rg__tokens_free(rg__tokens *tokens)
{
    free(tokens->memory);
    *tokens = (rg__tokens){0};
}

bool rg__plain(const char *text, char out[RG_WORD_SIZE])
{
    rg__token list[RG_WORD_SIZE];
    char plain[RG_WORD_SIZE * GROWTH];
    rg__tokens t = {.plain = plain, .list = list};
    writer w = {.out = &t, .between = ' '};
    size_t n = strlen(text);
    out[0] = 0;
    if (n >= RG_WORD_SIZE) return false;
    for (size_t at = 0; at < n;) {
        piece p = piece_at(text + at, n - at);
        if (!p.n) return false;
        write_piece(&w, text, at, n - at, p);
        at += p.n;
    }
    if (w.length >= RG_WORD_SIZE) return false;
    memcpy(out, plain, w.length);
    out[w.length] = 0;
    return w.length > 0;
}
