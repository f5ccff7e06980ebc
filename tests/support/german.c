/*
 * The German locale of the tests (german.h).
 */
#include "german.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

void rg_test_german(void)
{
    static const char wanted[] = "de_DE.UTF-8";
    char command[900], half[16];
    if (!setlocale(LC_ALL, wanted)) {
        snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s/%s' >/dev/null 2>&1",
                 rg_test_folder(), wanted);
        if (system(command) == 0) {
            setenv("LOCPATH", rg_test_folder(), 1);
            setlocale(LC_ALL, wanted);
        }
    }
    snprintf(half, sizeof half, "%.1f", 0.5);
    if (strcmp(half, "0,5") != 0) printf("SKIP german locale: no %s and no localedef\n", wanted);
}
