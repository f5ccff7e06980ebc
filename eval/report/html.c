/*
 * Escaping and base64 (html.h).
 */
#include "eval/report/html.h"

void rg_html_escape(rg_text *out, const char *s)
{
    for (; *s; s++) switch (*s) {
        case '&':
            rg_text_add(out, "&amp;");
            break;
        case '<':
            rg_text_add(out, "&lt;");
            break;
        case '>':
            rg_text_add(out, "&gt;");
            break;
        case '"':
            rg_text_add(out, "&quot;");
            break;
        case '\'':
            rg_text_add(out, "&#39;");
            break;
        default:
            rg_text_add_n(out, s, 1);
        }
}

void rg_html_base64(rg_text *out, const uint8_t *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char line[4 * 1024];
    size_t used = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t left = (uint32_t)(n - i), v = (uint32_t)data[i] << 16;
        if (left > 1) v |= (uint32_t)data[i + 1] << 8;
        if (left > 2) v |= data[i + 2];
        line[used++] = digits[v >> 18];
        line[used++] = digits[v >> 12 & 63];
        line[used++] = left > 1 ? digits[v >> 6 & 63] : '=';
        line[used++] = left > 2 ? digits[v & 63] : '=';
        if (used == sizeof line || i + 3 >= n) {
            rg_text_add_n(out, line, used);
            used = 0;
        }
    }
}
