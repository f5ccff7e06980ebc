/*
 * The frame of every test program (test.h): Check's runner and a scratch folder.
 */
#include "test.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/fs.h"

static char folder[512];
static char base[400]; /* where folders are made: a test may change TMPDIR for what it tests */
static pid_t folder_owner;

static void remember_base(void)
{
    const char *set = getenv("TMPDIR");
    if (!base[0]) snprintf(base, sizeof base, "%s", set && set[0] ? set : "/tmp");
}

static void remove_folder(void)
{
    rg_error err = {0};
    if (folder[0] && folder_owner == getpid() && rg_fs_remove_tree(folder, &err) != RG_OK)
        fprintf(stderr, "cannot remove %s: %s\n", folder, err.text);
    folder[0] = 0;
}

int rg_test_run(const char *suite, const TTest *const *tests, size_t n, double timeout)
{
    Suite *s = suite_create(suite);
    remember_base();
    for (size_t i = 0; i < n; i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_set_timeout(tc, timeout);
        tcase_add_checked_fixture(tc, remove_folder, NULL); /* each test finds none */
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(s, tc);
    }
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

const char *rg_test_folder(void)
{
    if (folder[0] && folder_owner == getpid()) return folder;
    remember_base();
    snprintf(folder, sizeof folder, "%s/rg-test-XXXXXX", base);
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        exit(2);
    }
    static bool registered;
    folder_owner = getpid();
    if (!registered) registered = atexit(remove_folder) == 0;
    return folder;
}
