/*
 * The printf-style names of parameters. Private to src/nn.
 */
#ifndef RG_NN_NAMES_H
#define RG_NN_NAMES_H

#include <stdarg.h>
#include <stdio.h>

#include "engine/params.h"

/* Declares text[]: the format `name`, the last named argument of this function, filled in. */
#define RG_NAME(text, name)                        \
    char text[RG_NAME_SIZE];                       \
    do {                                           \
        va_list args_;                             \
        va_start(args_, name);                     \
        vsnprintf(text, sizeof text, name, args_); \
        va_end(args_);                             \
    } while (0)

#endif
