/*
 * Allocation failure at every point of what reads and writes files.
 *
 * One idea (curl's torture tests): run the work with the 1st, 2nd, 3rd ... allocation failing. Each
 * run ends in success or in a clean error with a text, and leaves as many live blocks as it found.
 */
#include <sys/resource.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/threads.h"
#include "test.h"

#include "failing_alloc.inc"

static char path[800], extending[900];

static const rg_config_key schema[] = {
    {"seed", RG_CONFIG_INT, "1", 0, 100, NULL, "seed"},
    {"lr", RG_CONFIG_REALS, "[0.1, 0.2]", 0, 1, NULL, "rates"},
    {"roles.*.rate", RG_CONFIG_INT, "8000", 0, 0, NULL, "Hz"},
};

static rg_status read_file(rg_error *err)
{
    char *data;
    size_t n;
    RG_TRY(rg_fs_read_all(path, 1 << 20, &data, &n, err));
    free(data);
    return RG_OK;
}

static rg_status list_folder(rg_error *err)
{
    char **names;
    size_t n;
    RG_TRY(rg_fs_list(rg_test_folder(), &names, &n, err));
    rg_fs_free_names(names, n);
    return RG_OK;
}

static rg_status append_lines(rg_error *err)
{
    char name[900], line[4000];
    snprintf(name, sizeof name, "%s.log", path);
    memset(line, 'x', sizeof line);
    rg_appender *log = rg_appender_open(name, err);
    if (!log) return err->code;
    rg_status status = rg_appender_line(log, line, sizeof line, err);
    rg_status closed = rg_appender_close(log, err);
    return status != RG_OK ? status : closed;
}

static rg_status read_json(rg_error *err)
{
    json_t *value = rg_json_read(path, 1 << 20, err);
    if (!value) return err->code;
    json_decref(value);
    return RG_OK;
}

static rg_status parse_and_write_json(rg_error *err)
{
    static const char text[] = "{\"a\": [1, 2.5, \"\\u00e9\", {\"b\": null}], \"c\": \"d\"}";
    json_t *value = rg_json_parse(text, sizeof text - 1, "text", err);
    if (!value) return err->code;
    rg_status status = rg_json_write(value, path, err);
    json_decref(value);
    return status;
}

static rg_status load_config(rg_error *err)
{
    static const char *const overrides[] = {"roles.bass.rate=3", "lr=[0.5]", "seed=9"};
    rg_config *c = rg_config_load(extending, schema, 3, overrides, 3, err);
    if (!c) return err->code;
    rg_text text;
    rg_text_init(&text, 10000);
    rg_config_dump(c, &text);
    rg_status status = rg_text_status(&text, err);
    rg_text_free(&text);
    rg_config_free(c);
    return status;
}

static rg_status load_bad_config(rg_error *err)
{
    rg_config *c = rg_config_parse("seed: 1\nsede: 3\n", "bad", schema, 3, NULL, 0, err);
    rg_config_free(c);
    return c ? RG_ERR_CONFIG : RG_OK; /* refused, for whatever reason */
}

static rg_status hash_file(rg_error *err)
{
    char hex[RG_SHA256_HEX];
    return rg_sha256_file(path, hex, err);
}

static rg_status make_pool(rg_error *err)
{
    rg_pool *pool = rg_pool_create(3, 0, false, err);
    rg_pool_destroy(pool);
    return pool ? RG_OK : err->code;
}

static rg_status make_arena(rg_error *err)
{
    rg_arena *arena = rg_arena_create(1 << 20, "torture", err);
    rg_arena_destroy(arena);
    return arena ? RG_OK : err->code;
}

static const struct {
    const char *name;
    rg_status (*work)(rg_error *err);
    int least;   /* allocations that there must be at least, so that the test tests something */
    bool caches; /* a library below keeps blocks for the next time */
} works[] = {
    {"read a file", read_file, 1, false},
    {"list a folder", list_folder, 3, false},
    {"append a line", append_lines, 2, false},
    {"read JSON", read_json, 10, false},
    {"write JSON", parse_and_write_json, 10, false},
    {"load a configuration", load_config, 10, false},
    {"refuse a configuration", load_bad_config, 3, false},
    {"hash a file", hash_file, 3, true},
    {"make a pool", make_pool, 2, true},
    {"make an arena", make_arena, 1, false},
};

static void write_files(void)
{
    rg_error err = {0};
    snprintf(path, sizeof path, "%s/file", rg_test_folder());
    snprintf(extending, sizeof extending, "%s/extending.yaml", rg_test_folder());
    RG_ASSERT_OK(rg_fs_write_atomic(path, "{\"seed\": 5, \"x\": [1, 2]}", 24, &err), &err);
    static const char yaml[] = "extends: base.yaml\nseed: 5\nroles:\n  lead: {rate: 1}\n";
    RG_ASSERT_OK(rg_fs_write_atomic(extending, yaml, sizeof yaml - 1, &err), &err);
    char base[900];
    snprintf(base, sizeof base, "%s/base.yaml", rg_test_folder());
    RG_ASSERT_OK(rg_fs_write_atomic(base, "seed: 2\nlr: [0.3]\n", 18, &err), &err);
}

START_TEST(every_allocation_may_fail)
{
    if (!rg_alloc_can_fail()) return; /* a sanitizer's heap; the plain build runs it */
    write_files();
    rg_error err = {0};
    RG_ASSERT_OK(works[_i].work(&err), &err); /* what is made once is made now */
    int64_t n = 1;
    for (bool hit = true; hit; n++) {
        rg_error failure = {0};
        int64_t before = rg_alloc_live();
        rg_alloc_begin(n);
        rg_status status = works[_i].work(&failure);
        hit = rg_alloc_end();
        int64_t after = rg_alloc_live();
        ck_assert_msg(hit || status == RG_OK, "%s: %s", works[_i].name, failure.text);
        ck_assert_msg(status == RG_OK || failure.text[0], "%s, allocation %lld: no text",
                      works[_i].name, (long long)n);
        ck_assert_msg(works[_i].caches || before == after, "%s, allocation %lld: %lld leaked",
                      works[_i].name, (long long)n, (long long)(after - before));
    }
    ck_assert_msg(n > works[_i].least, "%s: only %lld allocations", works[_i].name,
                  (long long)n - 1);
    rg_error last = {0};
    RG_ASSERT_OK(works[_i].work(&last), &last); /* and it still works */
}
END_TEST

START_TEST(addresses_may_run_out)
{
    struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
    if (!rg_alloc_can_fail() || setrlimit(RLIMIT_AS, &limit) < 0) return;
    rg_error err = {0};
    ck_assert_ptr_null(rg_arena_create((size_t)4 << 30, "large", &err));
    ck_assert_int_eq(err.code, RG_ERR_NOMEM);
    ck_assert_str_eq(err.text, "cannot reserve 4096.0 MiB of addresses for the arena 'large'; is "
                               "`ulimit -v` set?");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("torture");
    TCase *tc = tcase_create("torture");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_allocation_may_fail, 0, sizeof works / sizeof works[0]);
    tcase_add_test(tc, addresses_may_run_out);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
