/*
 * Small pieces of HTML: escaped text, base64.
 */
#ifndef RG_EVAL_HTML_H
#define RG_EVAL_HTML_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

void rg_html_escape(rg_text *out, const char *s); /* & < > " ' */
void rg_html_base64(rg_text *out, const uint8_t *data, size_t n);

#endif
