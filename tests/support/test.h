/*
 * The frame of every test program: Check with a table of tests and values printed on failure.
 *
 * One idea: comparisons of numbers are `!(err <= tol)`, so that NaN fails, and say what was seen.
 */
#ifndef RG_TESTS_TEST_H
#define RG_TESTS_TEST_H

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

/* Runs the tests; the exit status of the program. `timeout` in seconds for each. */
int rg_test_run(const char *suite, const TTest *const *tests, size_t n, double timeout);

#define RG_TEST_MAIN(suite, timeout, ...)                                          \
    int main(void)                                                                 \
    {                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                \
        return rg_test_run(suite, tests, sizeof tests / sizeof tests[0], timeout); \
    }

#define RG_ASSERT_OK(expr, err) ck_assert_msg((expr) == RG_OK, "%s: %s", #expr, (err)->text)
#define RG_ASSERT_NEAR(a, b, tol)                                                                \
    do {                                                                                         \
        double a_ = (a), b_ = (b), tol_ = (tol);                                                 \
        ck_assert_msg(fabs(a_ - b_) <= tol_, "%s = %.9g, %s = %.9g, difference %.3g > %.3g", #a, \
                      a_, #b, b_, fabs(a_ - b_), tol_);                                          \
    } while (0)

/* A fresh empty folder for one test, removed at exit of the process that made it. */
const char *rg_test_folder(void);

#endif
