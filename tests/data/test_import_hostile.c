/*
 * Imports that fail: disks that are full, folders that may not be written or read, names and
 * metadata made to harm. What is left is no store, or a whole one.
 */
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datasets/roles.h"
#include "import_tree.h"

enum { NOBODY = 65534 };

static char root[1400], out[1400], index_file[1500];

static void name_paths(void)
{
    snprintf(root, sizeof root, "%s", at("in"));
    snprintf(out, sizeof out, "%s", at("store"));
    snprintf(index_file, sizeof index_file, "%s/index.jsonl", out);
}

static bool is_whole(void)
{
    rg_error err = {0};
    int64_t faults = -1;
    rg_store *store = rg_store_open(out, &err);
    rg_store_close(store);
    return store && rg_store_verify(out, NULL, NULL, &faults, &err) == RG_OK && faults == 0;
}

/* In a child that begins with `prepare`; its exit status: 0 when the import worked, 1 when it
 * failed with a line that has `line`, 2 with another. */
static int import_as(void (*prepare)(long), long value, const char *line)
{
    pid_t child = fork();
    if (child == 0) {
        rg_error err = {0};
        prepare(value);
        rg_status status = import_from("folder", root, out, (rg_import_options){0}, &err);
        bool told = strstr(err.text, line) || strstr(log_text, line);
        if (status != RG_OK && !told) fprintf(stderr, "%s\n%s", err.text, log_text);
        _exit(status == RG_OK ? 0 : told ? 1 : 2);
    }
    int status = 0;
    ck_assert(waitpid(child, &status, 0) == child);
    ck_assert_msg(WIFEXITED(status), "died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void limit_files(long bytes)
{
    signal(SIGXFSZ, SIG_IGN); /* writes beyond the limit fail */
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)bytes, (rlim_t)bytes});
}

static void nothing(long value)
{
    (void)value;
}

START_TEST(full_disk)
{
    int failures = 0;
    MAKE("in/A/drums.wav", 200, 0.3);
    MAKE("in/B/drums.wav", 300, 0.3);
    MAKE("in/B/bass.wav", 80, 0.3);
    name_paths();
    for (long limit = 100; limit < 300000; limit = limit * 5 / 2) {
        int result = import_as(limit_files, limit, "too large");
        ck_assert_msg(result < 2, "limit %ld", limit);
        ck_assert_int_eq(result == 0, rg_fs_exists(index_file));
        failures += result == 1;
        if (result == 1) ck_assert_int_eq(import_as(nothing, 0, ""), 0); /* and goes on */
        ck_assert_msg(is_whole(), "limit %ld", limit);
        rg_error err = {0};
        RG_ASSERT_OK(rg_fs_remove_tree(out, &err), &err);
    }
    ck_assert_int_ge(failures, 4);
}
END_TEST

/* Root may do anything, so nobody does it. */
static void as_nobody(long value)
{
    (void)value;
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(3);
}

START_TEST(folder_that_may_not_be_written)
{
    MAKE("in/A/drums.wav", 200, 0.3);
    name_paths();
    chmod(rg_test_folder(), 0755);
    ck_assert_int_eq(mkdir(out, 0555), 0);
    ck_assert_int_eq(import_as(as_nobody, 0, "Permission denied"), 1);
    ck_assert(!rg_fs_exists(index_file));
    chmod(out, 0777);
    ck_assert_int_eq(import_as(as_nobody, 0, ""), 0);
    ck_assert(is_whole());
}
END_TEST

START_TEST(files_that_may_not_be_read)
{
    MAKE("in/A/drums.wav", 200, 0.3);
    MAKE("in/B/drums.wav", 300, 0.3);
    name_paths();
    chmod(rg_test_folder(), 0755);
    ck_assert_int_eq(mkdir(out, 0777), 0);
    chmod(out, 0777);
    chmod(at("in/A/drums.wav"), 0);
    ck_assert_int_eq(import_as(as_nobody, 0, "left out: A: "), 1);
    ck_assert(!rg_fs_exists(index_file));
    chmod(at("in/A/drums.wav"), 0644);
    chmod(at("in/B"), 0); /* a folder that cannot be listed ends the search */
    ck_assert_int_eq(import_as(as_nobody, 0, "Permission denied"), 1);
    ck_assert(!rg_fs_exists(index_file));
    chmod(at("in/B"), 0755);
    ck_assert_int_eq(import_as(as_nobody, 0, ""), 0);
    ck_assert(is_whole());
}
END_TEST

/* ---- metadata made to harm ---- */

START_TEST(aliases_and_nesting)
{
    enum { DEEP = 5000 };
    static char deep[2 * DEEP + 64];
    const char *bomb = "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n"
                       "c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nstems: *c\n";
    int n = snprintf(deep, sizeof deep, "stems: ");
    memset(deep + n, '[', DEEP);
    memset(deep + n + DEEP, ']', DEEP);
    write_text("in/Track00001/metadata.yaml", bomb);
    write_text("in/Track00002/metadata.yaml", deep);
    write_text("in/Track00003/metadata.yaml", "stems: {../../x: {program_num: 1}}\n");
    write_text("in/Track00004/metadata.yaml", "stems: {S00: {is_drum: [}}\n");
    write_text("in/Track00005/metadata.yaml", "stems: {}\n");
    write_text("in/Track00006/metadata.yaml", "stems: {S00: 5, S01: []}\n");
    write_text("in/Track00007/metadata.yaml", "stems: {S00: {program_num: 33}}\n");
    MAKE("in/Track00007/stems/S00.wav", 80, 0.3);
    rg_store *store = imported_with("slakh", "in", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    ASSERT_TOLD("left out: Track00001: metadata.yaml:1:4: anchors are not supported");
    ASSERT_TOLD("left out: Track00002: metadata.yaml:1:");
    ASSERT_TOLD("left out: Track00003: metadata.yaml:1: a stem is named S00");
    ASSERT_TOLD("left out: Track00004: metadata.yaml:1:");
    ASSERT_TOLD("left out: Track00005: has no stems");
    ASSERT_TOLD("left out: Track00006: has no stems");
    rg_store_close(store);
}
END_TEST

START_TEST(paths_in_metadata)
{
    MAKE("secret.wav", 200, 0.3);
    MAKE("in/u1/bass/ok.wav", 80, 0.3);
    write_text("in/u1/data.json",
               "{\"song\": \"<script>alert(1)</script>\\u001b[2J\", \"stems\": [{\"stemName\": "
               "\"bass\", \"tracks\": [{\"id\": \"ok\", \"extension\": \"wav\", \"trackType\": "
               "\"\\u001b]0;x\\u0007bass\"}]}]}");
    write_text("in/u2/data.json", "{\"song\": \"Up\", \"stems\": [{\"stemName\": \"../..\", "
                                  "\"tracks\": [{\"id\": \"secret\", \"extension\": \"wav\"}]}]}");
    write_text("in/u3/data.json", "{\"song\": \"Root\", \"stems\": [{\"stemName\": \"/etc\", "
                                  "\"tracks\": [{\"id\": \"passwd\", \"extension\": \"\"}]}]}");
    rg_store *store = imported_with("moisesdb", "in", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    const rg_song *song = rg_store_song(store, 0);
    ck_assert_str_eq(song->title, "<script>alert(1)</script>?[2J");
    ck_assert_str_eq(song->instruments[rg_store_find_role(store, "bass")], "?]0;x?bass");
    ASSERT_TOLD("left out: Up: '../../secret.wav' is not a file inside the data set");
    ASSERT_TOLD("left out: Root: ");
    ck_assert(!strchr(log_text, 0x1b) && !strchr(log_text, 7));
    rg_store_close(store);
}
END_TEST

/* Folders that lead to themselves or out of the data set. */
START_TEST(links_to_folders)
{
    rg_error err = {0};
    MAKE("outside/X/bass.wav", 80, 0.3);
    MAKE("in/A/bass.wav", 90, 0.3);
    ck_assert_int_eq(symlink(at("in"), at("in/loop")), 0);
    ck_assert_int_eq(symlink(at("outside/X"), at("in/B")), 0);
    ck_assert_int_eq(symlink(at("nowhere"), at("in/C")), 0);
    rg_store *store = imported_with("folder", "in", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    ASSERT_TOLD("left out: B: 'bass.wav' is not a file inside the data set");
    rg_store_close(store);
    RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
    ck_assert_int_eq(import("moisesdb", "in", (rg_import_options){0}, &err), RG_ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "no songs found"), "%s", err.text);
}
END_TEST

START_TEST(names_that_differ_in_signs)
{
    char path[400], longer[200];
    memset(longer, 'x', sizeof longer);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "in/%s/bass.wav",
                 (const char *[]){"A b", "A-b", "a_B", "\xff\xfe"}[i]);
        MAKE(path, 80 + 5 * i, 0.3);
    }
    for (int i = 0; i < 4; i++) { /* two pairs that are equal where ids are cut */
        snprintf(path, sizeof path, "in/%.60s%c%.40s%d/bass.wav", longer, 'a' + i / 2, longer, i);
        MAKE(path, 120 + 5 * i, 0.3);
    }
    rg_store *store = imported("folder", "in");
    ck_assert_int_eq(rg_store_songs(store), 8);
    rg_store_close(store);
}
END_TEST

RG_TEST_MAIN("hostile imports", 120, full_disk, folder_that_may_not_be_written,
             files_that_may_not_be_read, aliases_and_nesting, paths_in_metadata, links_to_folders,
             names_that_differ_in_signs)
