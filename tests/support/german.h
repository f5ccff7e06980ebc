/*
 * A locale with a decimal comma, to find code that depends on it.
 */
#ifndef RG_TESTS_GERMAN_H
#define RG_TESTS_GERMAN_H

/*
 * Sets LC_ALL to de_DE.UTF-8, making the locale in the test's folder where it is not installed.
 * Prints a SKIP line and changes nothing where it cannot be made. Undo: setlocale(LC_ALL, "C").
 */
void rg_test_german(void);

#endif
