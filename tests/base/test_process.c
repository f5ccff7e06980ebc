/*
 * Other programs: what they print, how they fail, that they end.
 */
#include "base/log.h"
#include "base/process.h"
#include "test.h"

static rg_status shell(const char *script, double seconds, char output[RG_PROCESS_OUTPUT],
                       rg_error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    return rg_process_run(rg_test_folder(), argv, seconds, output, err);
}

START_TEST(output_and_folder_are_the_programs)
{
    rg_error err = {0};
    char output[RG_PROCESS_OUTPUT];
    RG_ASSERT_OK(shell("echo one; echo two >&2; pwd -P", 30, output, &err), &err);
    ck_assert_msg(strncmp(output, "one\ntwo\n/", 9) == 0, "%s", output);
    const char *base = strrchr(rg_test_folder(), '/');
    ck_assert_msg(strcmp(output + strlen(output) - strlen(base), base) == 0, "%s", output);
    RG_ASSERT_OK(shell("cat", 0, output, &err), &err); /* nothing on standard input */
    ck_assert_str_eq(output, "");
    const char *const argv[] = {"echo", "a b", "$HOME;ls", NULL}; /* no shell in between */
    RG_ASSERT_OK(rg_process_run("/", argv, 0, output, &err), &err);
    ck_assert_str_eq(output, "a b $HOME;ls");
}
END_TEST

START_TEST(of_long_output_the_end_is_kept)
{
    rg_error err = {0};
    char output[RG_PROCESS_OUTPUT];
    RG_ASSERT_OK(
        shell("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", 60, output, &err),
        &err);
    ck_assert_uint_gt(strlen(output), 500);
    ck_assert_str_eq(output + strlen(output) - 9, "line 2999");
}
END_TEST

START_TEST(failures_say_what_and_why)
{
    rg_error err = {0};
    char output[RG_PROCESS_OUTPUT];
    ck_assert_int_eq(shell("echo fine; echo no room >&2; exit 3", 30, output, &err), RG_ERR_IO);
    ck_assert_str_eq(err.text, "sh -c failed: no room");
    rg_error_clear(&err);
    ck_assert_int_eq(shell("kill -9 $$", 30, output, &err), RG_ERR_IO);
    rg_error_clear(&err);
    const char *const argv[] = {"rg-no-such-program", NULL};
    ck_assert_int_eq(rg_process_run("/", argv, 1, output, &err), RG_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "rg-no-such-program") != NULL, "%s", err.text);
    rg_error_clear(&err);
    const char *const echo[] = {"echo", NULL};
    ck_assert_int_eq(rg_process_run("/no-such-folder", echo, 1, output, &err), RG_ERR_UNSUPPORTED);
}
END_TEST

/* Also one that has closed its output, and one whose child keeps the pipe open. */
START_TEST(what_takes_too_long_is_stopped)
{
    static const char *const scripts[] = {"exec sleep 600", "exec >&- 2>&-; exec sleep 600",
                                          "sleep 5 & exec sleep 600"};
    for (int i = 0; i < 3; i++) {
        rg_error err = {0};
        char output[RG_PROCESS_OUTPUT];
        double began = rg_clock_seconds();
        ck_assert_int_eq(shell(scripts[i], 0.05, output, &err), RG_ERR_IO);
        ck_assert_msg(strstr(err.text, "took longer than 0.05 s") != NULL, "%s", err.text);
        ck_assert(rg_clock_seconds() - began < 300);
    }
}
END_TEST

RG_TEST_MAIN("base/process", 600, output_and_folder_are_the_programs,
             of_long_output_the_end_is_kept, failures_say_what_and_why,
             what_takes_too_long_is_stopped)
