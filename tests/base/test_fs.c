/*
 * The door to the file system: whole files, logs, folders, links, locks, and what is left of them
 * when any call fails, comes short, is interrupted, or the power goes.
 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faulty_fs.h"
#include "test.h"

static const char *in_folder(const char *name)
{
    static char paths[4][2400];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", rg_test_folder(), name);
    return path;
}

static void put(const char *path, const char *text)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_write_atomic(path, text, strlen(text), &err), &err);
}

/* The content, or "(none)". */
static const char *content(const char *path)
{
    static char text[70000];
    char *data;
    size_t n;
    rg_error err = {0};
    if (rg_fs_read_all(path, sizeof text - 1, &data, &n, &err) != RG_OK) return "(none)";
    memcpy(text, data, n + 1);
    free(data);
    return text;
}

static void empty_folder(void)
{
    char **names;
    size_t n;
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_list(rg_test_folder(), &names, &n, &err), &err);
    for (size_t i = 0; i < n; i++) RG_ASSERT_OK(rg_fs_remove_tree(in_folder(names[i]), &err), &err);
    rg_fs_free_names(names, n);
}

static size_t count_temporaries(void)
{
    char **names;
    size_t n, found = 0;
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_list(rg_test_folder(), &names, &n, &err), &err);
    for (size_t i = 0; i < n; i++) found += strstr(names[i], ".tmp.") != NULL;
    rg_fs_free_names(names, n);
    return found;
}

/* ---- the atomic writer under faults ---- */

static char old_text[5000], new_text[9000];

static void make_texts(void)
{
    memset(old_text, 'o', sizeof old_text - 1);
    memset(new_text, 'n', sizeof new_text - 1);
}

static rg_status write_new(rg_error *err)
{
    rg_atomic_file file;
    RG_TRY(rg_fs_begin(&file, in_folder("file"), err));
    rg_status status = RG_OK;
    for (size_t at = 0; at < sizeof new_text - 1 && status == RG_OK; at += 3000) {
        size_t n = sizeof new_text - 1 - at < 3000 ? sizeof new_text - 1 - at : 3000;
        status = rg_fs_write_exact(file.fd, new_text + at, n, file.path, err);
    }
    if (status != RG_OK) {
        rg_fs_abandon(&file);
        return status;
    }
    return rg_fs_commit(&file, err);
}

static void check_old_or_new(bool must_be_new, const char *when, int64_t n)
{
    const char *text = content(in_folder("file"));
    bool is_new = strcmp(text, new_text) == 0, is_old = strcmp(text, old_text) == 0;
    ck_assert_msg(must_be_new ? is_new : is_new || is_old, "%s at call %lld: '%.20s' (%zu bytes)",
                  when, (long long)n, text, strlen(text));
}

/* Runs the writer with a fault at every call in turn; returns how many calls there are. */
static int64_t each_fault(rg_fault kind, bool must_succeed)
{
    for (int64_t n = 1;; n++) {
        empty_folder();
        put(in_folder("file"), old_text);
        rg_error err = {0};
        rg_faulty_begin(kind, n);
        rg_status status = write_new(&err);
        bool hit = rg_faulty_end();
        ck_assert_msg(status == RG_OK || err.text[0], "an error without text at call %lld",
                      (long long)n);
        ck_assert_msg(status == RG_OK || !must_succeed, "call %lld: %s", (long long)n, err.text);
        check_old_or_new(status == RG_OK, "fault", n);
        /* when the removal itself failed it stays, for the sweep; nothing else may leave one */
        if (status == RG_OK) ck_assert_uint_eq(count_temporaries(), 0);
        if (!hit) {
            ck_assert_int_eq(status, RG_OK);
            return n - 1;
        }
    }
}

START_TEST(every_failing_call_leaves_old_or_new)
{
    make_texts();
    ck_assert_int_ge(each_fault(RG_FS_FAIL, false), 8);
    each_fault(RG_FS_FULL, false);
}
END_TEST

START_TEST(short_and_interrupted_calls_do_no_harm)
{
    make_texts();
    each_fault(RG_FS_SHORT, true);
    each_fault(RG_FS_EINTR, true);
}
END_TEST

START_TEST(a_power_loss_leaves_old_or_new)
{
    make_texts();
    for (int names_survive = 0; names_survive < 2; names_survive++) {
        bool hit = true;
        for (int64_t n = 1; hit; n++) {
            empty_folder();
            put(in_folder("file"), old_text);
            rg_error err = {0};
            rg_faulty_begin(RG_FS_POWER, n);
            rg_status status = write_new(&err);
            hit = rg_faulty_end();
            rg_faulty_power_loss(names_survive);
            /* what was reported as written must be there */
            check_old_or_new(status == RG_OK, names_survive ? "power, names kept" : "power", n);
        }
    }
}
END_TEST

/* The model must be able to find a writer that forgets a sync. */
static rg_status write_carelessly(bool sync_file, bool sync_folder)
{
    rg_error err = {0};
    const rg_fs_calls *calls = rg_fs_current();
    int fd = calls->open(in_folder("file.tmp.1"), O_WRONLY | O_CREAT, 0666);
    RG_TRY(rg_fs_write_exact(fd, new_text, sizeof new_text - 1, "x", &err));
    if (sync_file) calls->fsync(fd);
    calls->close(fd);
    calls->rename(in_folder("file.tmp.1"), in_folder("file"));
    if (sync_folder) {
        fd = calls->open(rg_test_folder(), O_RDONLY, 0);
        calls->fsync(fd);
        calls->close(fd);
    }
    return RG_OK;
}

static const char *after_loss(bool sync_file, bool sync_folder, bool names_survive)
{
    empty_folder();
    put(in_folder("file"), old_text);
    rg_faulty_begin(RG_FS_NONE, 0);
    ck_assert_int_eq(write_carelessly(sync_file, sync_folder), RG_OK);
    rg_faulty_end();
    rg_faulty_power_loss(names_survive);
    return content(in_folder("file"));
}

START_TEST(the_model_finds_a_forgotten_sync)
{
    make_texts();
    ck_assert_str_eq(after_loss(true, true, false), new_text);
    ck_assert_str_eq(after_loss(true, true, true), new_text);
    ck_assert_str_eq(after_loss(false, true, false), ""); /* renamed, but never written */
    ck_assert_str_eq(after_loss(false, false, true), "");
    ck_assert_str_eq(after_loss(true, false, false), old_text); /* reported new, is old */
}
END_TEST

START_TEST(new_folders_and_links_survive_a_power_loss)
{
    rg_error err = {0};
    rg_faulty_begin(RG_FS_NONE, 0);
    RG_ASSERT_OK(rg_fs_make_folders(in_folder("a/b//c/"), &err), &err);
    RG_ASSERT_OK(rg_fs_write_atomic(in_folder("a/b/c/file"), "x", 1, &err), &err);
    RG_ASSERT_OK(rg_fs_link("a", in_folder("latest"), &err), &err);
    RG_ASSERT_OK(rg_fs_link("a/b", in_folder("latest"), &err), &err);
    rg_faulty_end();
    rg_faulty_power_loss(false);
    ck_assert_str_eq(content(in_folder("latest/c/file")), "x");
}
END_TEST

/* ---- the atomic writer otherwise ---- */

START_TEST(abandoned_files_leave_nothing)
{
    rg_error err = {0};
    rg_atomic_file file;
    put(in_folder("file"), "old");
    RG_ASSERT_OK(rg_fs_begin(&file, in_folder("file"), &err), &err);
    RG_ASSERT_OK(rg_fs_write_exact(file.fd, "new", 3, file.path, &err), &err);
    rg_fs_abandon(&file);
    ck_assert_str_eq(content(in_folder("file")), "old");
    ck_assert_uint_eq(count_temporaries(), 0);
}
END_TEST

START_TEST(devices_and_links_stay_what_they_are)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_write_atomic("/dev/null", "x", 1, &err), &err);
    ck_assert(!rg_fs_exists("/dev/full") || rg_fs_size("/dev/full") == 0);
    ck_assert_int_eq(rg_fs_write_atomic("/dev/full", "x", 1, &err), RG_ERR_IO);
    ck_assert_str_eq(err.text, "/dev/full: cannot write: No space left on device");
    put(in_folder("target"), "old");
    rg_error_clear(&err);
    RG_ASSERT_OK(rg_fs_link("target", in_folder("link"), &err), &err);
    put(in_folder("link"), "new");
    ck_assert_str_eq(content(in_folder("target")), "new");
    char target[20];
    ck_assert_int_eq(readlink(in_folder("link"), target, sizeof target), 6);
    ck_assert_int_eq(rg_fs_write_atomic(rg_test_folder(), "x", 1, &err), RG_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "is a folder, a file was expected"));
}
END_TEST

START_TEST(odd_paths_work)
{
    static const char *const odd[] = {"with space", "-dash", "quote's \"x\"",
                                      "new\nline",  "*?[a]", "\xc3\xa9\xff",
                                      "$HOME",      "%s%n",  "..."};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        put(in_folder(odd[i]), odd[i]);
        ck_assert_str_eq(content(in_folder(odd[i])), odd[i]);
    }
    char longest[1200];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    rg_error err = {0};
    ck_assert_int_eq(rg_fs_write_atomic(in_folder(longest), "x", 1, &err), RG_ERR_USAGE);
    longest[250] = 0; /* a name that fits, but not with .tmp.PID behind it */
    rg_error_clear(&err);
    ck_assert_int_eq(rg_fs_write_atomic(in_folder(longest), "x", 1, &err), RG_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "File name too long"));
    rg_error_clear(&err);
    ck_assert_int_eq(rg_fs_write_atomic(in_folder("none/file"), "x", 1, &err), RG_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "none/file: cannot create: No such file or directory"));
}
END_TEST

START_TEST(commit_path_and_sweep)
{
    rg_error err = {0};
    char dead[40];
    pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, NULL, 0);
    snprintf(dead, sizeof dead, "file.tmp.%ld", (long)child);
    put(in_folder(dead), "left over");
    char alive[40];
    snprintf(alive, sizeof alive, "other.tmp.%ld", (long)getppid());
    put(in_folder(alive), "in work");
    put(in_folder("file.tmp.x"), "a user's");
    put(in_folder("made"), "by a library");
    rg_fs_sweep_temporaries(rg_test_folder());
    ck_assert(!rg_fs_exists(in_folder(dead)));
    ck_assert(rg_fs_exists(in_folder(alive)));
    ck_assert(rg_fs_exists(in_folder("file.tmp.x")));
    RG_ASSERT_OK(rg_fs_commit_path(in_folder("made"), in_folder("final"), &err), &err);
    ck_assert_str_eq(content(in_folder("final")), "by a library");
    ck_assert_int_eq(rg_fs_commit_path(in_folder("made"), in_folder("final"), &err), RG_ERR_IO);
    rg_fs_sweep_temporaries("/no/such/folder");
}
END_TEST

/* ---- exact reads ---- */

START_TEST(reads_are_exact_under_faults)
{
    rg_error err = {0};
    put(in_folder("file"), "0123456789");
    int fd = rg_fs_posix()->open(in_folder("file"), O_RDONLY, 0);
    char buf[11] = "";
    for (int kind = RG_FS_SHORT; kind <= RG_FS_EINTR; kind++) {
        rg_faulty_begin((rg_fault)kind, 1);
        memset(buf, 0, sizeof buf);
        RG_ASSERT_OK(rg_fs_pread_exact(fd, buf, 8, 2, "file", &err), &err);
        ck_assert(rg_faulty_end());
        ck_assert_str_eq(buf, "23456789");
    }
    ck_assert_int_eq(rg_fs_pread_exact(fd, buf, 8, 5, "file", &err), RG_ERR_FORMAT);
    ck_assert_str_eq(err.text, "file: the file ends at byte 10, 3 bytes more were expected");
    close(fd);
}
END_TEST

START_TEST(small_files_have_a_limit)
{
    rg_error err = {0};
    char *data;
    size_t n;
    put(in_folder("file"), "0123456789");
    RG_ASSERT_OK(rg_fs_read_all(in_folder("file"), 10, &data, &n, &err), &err);
    ck_assert(n == 10 && strcmp(data, "0123456789") == 0);
    free(data);
    ck_assert_int_eq(rg_fs_read_all(in_folder("file"), 9, &data, &n, &err), RG_ERR_FORMAT);
    ck_assert_ptr_null(data);
    rg_error_clear(&err);
    ck_assert_int_eq(rg_fs_read_all("/dev/zero", 100000, &data, &n, &err), RG_ERR_FORMAT);
    rg_error_clear(&err);
    ck_assert_int_eq(rg_fs_read_all(rg_test_folder(), 100, &data, &n, &err), RG_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "Is a directory"));
    for (int64_t nth = 1, hit = 1; hit; nth++) { /* a file longer than the first block */
        static char big[9000];
        memset(big, 'b', sizeof big - 1);
        put(in_folder("big"), big);
        rg_faulty_begin(RG_FS_SHORT, nth);
        rg_error_clear(&err);
        RG_ASSERT_OK(rg_fs_read_all(in_folder("big"), 10000, &data, &n, &err), &err);
        hit = rg_faulty_end();
        ck_assert_str_eq(data, big);
        free(data);
    }
}
END_TEST

/* ---- logs ---- */

static rg_appender *open_log(const char *path)
{
    rg_error err = {0};
    rg_appender *log = rg_appender_open(path, &err);
    ck_assert_msg(log != NULL, "%s", err.text);
    return log;
}

START_TEST(logs_hold_whole_lines)
{
    rg_error err = {0};
    rg_appender *log = open_log(in_folder("log"));
    RG_ASSERT_OK(rg_appender_line(log, "one", 3, &err), &err);
    RG_ASSERT_OK(rg_appender_close(log, &err), &err);
    int fd = open(in_folder("log"), O_WRONLY | O_APPEND);
    ck_assert_int_eq(write(fd, "torn by a cra", 13), 13);
    close(fd);
    log = open_log(in_folder("log"));
    char big[3000];
    memset(big, 'b', sizeof big);
    RG_ASSERT_OK(rg_appender_line(log, big, sizeof big, &err), &err);
    RG_ASSERT_OK(rg_appender_line(log, "", 0, &err), &err);
    RG_ASSERT_OK(rg_appender_close(log, &err), &err);
    const char *text = content(in_folder("log"));
    ck_assert_uint_eq(strlen(text), 4 + 3001 + 1);
    ck_assert(strncmp(text, "one\nbbb", 7) == 0);
    RG_ASSERT_OK(rg_appender_close(NULL, &err), &err);
}
END_TEST

START_TEST(a_line_that_does_not_fit_is_taken_back)
{
    rg_error err = {0};
    rg_appender *log = open_log(in_folder("full log"));
    RG_ASSERT_OK(rg_appender_line(log, "one", 3, &err), &err);
    rg_faulty_begin(RG_FS_SHORT, 1);
    RG_ASSERT_OK(rg_appender_line(log, "short writes go on", 18, &err), &err);
    rg_faulty_begin(RG_FS_FULL, 1);
    ck_assert_int_eq(rg_appender_line(log, "three", 5, &err), RG_ERR_IO);
    rg_faulty_end();
    ck_assert_ptr_nonnull(strstr(err.text, "No space left on device"));
    rg_error_clear(&err);
    RG_ASSERT_OK(rg_appender_line(log, "four", 4, &err), &err);
    RG_ASSERT_OK(rg_appender_close(log, &err), &err);
    ck_assert_str_eq(content(in_folder("full log")), "one\nshort writes go on\nfour\n");
    log = open_log("/dev/full");
    ck_assert_int_eq(rg_appender_line(log, "x", 1, &err), RG_ERR_IO);
    RG_ASSERT_OK(rg_appender_close(log, NULL), &err);
}
END_TEST

/* ---- folders, names, locks ---- */

START_TEST(folders_are_made_and_removed)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_make_folders(in_folder("a/b/c"), &err), &err);
    RG_ASSERT_OK(rg_fs_make_folders(in_folder("a/b/c"), &err), &err);
    ck_assert(rg_fs_is_folder(in_folder("a/b/c")));
    put(in_folder("a/z"), "1");
    put(in_folder("a/B"), "1");
    put(in_folder("outside"), "kept");
    RG_ASSERT_OK(rg_fs_link("../outside", in_folder("a/link"), &err), &err);
    char **names;
    size_t n;
    RG_ASSERT_OK(rg_fs_list(in_folder("a"), &names, &n, &err), &err);
    ck_assert_uint_eq(n, 4);
    ck_assert_str_eq(names[0], "B");
    ck_assert_str_eq(names[1], "b");
    ck_assert_str_eq(names[3], "z");
    rg_fs_free_names(names, n);
    RG_ASSERT_OK(rg_fs_remove_tree(in_folder("a"), &err), &err);
    ck_assert(!rg_fs_exists(in_folder("a")));
    ck_assert_str_eq(content(in_folder("outside")), "kept");
    RG_ASSERT_OK(rg_fs_remove_tree(in_folder("a"), &err), &err);
    ck_assert_int_eq(rg_fs_make_folders(in_folder("outside/x"), &err), RG_ERR_IO);
    rg_error_clear(&err);
    ck_assert_int_eq(rg_fs_make_folders(in_folder("outside"), &err), RG_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "Not a directory"));
    ck_assert_int_eq(rg_fs_make_folders("", &err), RG_ERR_USAGE);
    ck_assert_int_eq(rg_fs_list(in_folder("none"), &names, &n, &err), RG_ERR_IO);
}
END_TEST

START_TEST(names_and_sizes)
{
    char out[20];
    rg_error err = {0};
    static const struct {
        const char *folder, *name, *joined;
    } joins[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a//", "b", "a/b"},
                 {"/", "b", "/b"},  {"", "b", "b"},     {".", "b", "./b"}};
    for (size_t i = 0; i < sizeof joins / sizeof joins[0]; i++) {
        RG_ASSERT_OK(rg_fs_join(out, sizeof out, joins[i].folder, joins[i].name, &err), &err);
        ck_assert_str_eq(out, joins[i].joined);
    }
    ck_assert_int_eq(rg_fs_join(out, 4, "ab", "cd", &err), RG_ERR_USAGE);
    ck_assert_str_eq(rg_fs_base_name("a/b/c.x"), "c.x");
    ck_assert_str_eq(rg_fs_base_name("c"), "c");
    put(in_folder("file"), "12345");
    ck_assert_int_eq(rg_fs_size(in_folder("file")), 5);
    ck_assert_int_eq(rg_fs_size(in_folder("none")), -1);
    ck_assert_int_gt(rg_fs_free_bytes(in_folder("none/yet/there")), 0);
    ck_assert_int_gt(rg_fs_free_bytes("not/made/yet"), 0);
    ck_assert_int_gt(rg_fs_free_bytes("/none"), 0);
}
END_TEST

START_TEST(locks_name_their_holder)
{
    rg_error err = {0};
    int lock = rg_fs_lock(in_folder("lock"), &err);
    ck_assert_msg(lock >= 0, "%s", err.text);
    ck_assert_int_eq(rg_fs_lock(in_folder("lock"), &err), -1);
    char expected[60];
    snprintf(expected, sizeof expected, "in use by process %ld;", (long)getpid());
    ck_assert_msg(strstr(err.text, expected) != NULL, "%s", err.text);
    rg_fs_unlock(lock);
    rg_error_clear(&err);
    lock = rg_fs_lock(in_folder("lock"), &err);
    ck_assert_msg(lock >= 0, "%s", err.text);
    rg_fs_unlock(lock);
    rg_fs_unlock(-1);
    ck_assert_int_eq(rg_fs_lock(in_folder("none/lock"), &err), -1);
}
END_TEST

RG_TEST_MAIN("fs", 120, every_failing_call_leaves_old_or_new,
             short_and_interrupted_calls_do_no_harm, a_power_loss_leaves_old_or_new,
             the_model_finds_a_forgotten_sync, new_folders_and_links_survive_a_power_loss,
             abandoned_files_leave_nothing, devices_and_links_stay_what_they_are, odd_paths_work,
             commit_path_and_sweep, reads_are_exact_under_faults, small_files_have_a_limit,
             logs_hold_whole_lines, a_line_that_does_not_fit_is_taken_back,
             folders_are_made_and_removed, names_and_sizes, locks_name_their_holder)
