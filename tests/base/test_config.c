/*
 * Configuration: bad files and the exact line each gets; defaults, overrides, extends, groups,
 * dump, hash, difference; the same in a German locale.
 *
 * One idea: what a person reads is the contract, so messages are compared whole.
 */
#include "base/config.h"

#include <locale.h>

#include "base/fs.h"
#include "german.h"
#include "test.h"

static const rg_config_key schema[] = {
    {"name", RG_CONFIG_TEXT, "demo", 0, 0, NULL, "name of the run"},
    {"seed", RG_CONFIG_INT, "1", 0, 1e9, NULL, "seed of all randomness"},
    {"data.store", RG_CONFIG_TEXT, NULL, 0, 0, NULL, "folder of the stem store"},
    {"data.splits", RG_CONFIG_TEXTS, "[train, valid]", 0, 0, NULL, "splits to read"},
    {"optimizer.lr", RG_CONFIG_REAL, "0.0003", 0, 1, NULL, "learning rate"},
    {"optimizer.betas", RG_CONFIG_REALS, "[0.9, 0.99]", 0, 1, NULL, "decay of the moments"},
    {"optimizer.schedule", RG_CONFIG_CHOICE, "cosine", 0, 0, "cosine|constant", "shape of lr"},
    {"optimizer.ema", RG_CONFIG_BOOL, "true", 0, 0, NULL, "average the weights"},
    {"roles.*.sample_rate", RG_CONFIG_INT, NULL, 8000, 96000, NULL, "Hz"},
    {"roles.*.ratios", RG_CONFIG_INTS, "[8, 5, 4, 2]", 1, 64, NULL, "strides of the encoder"},
    {"weights.*", RG_CONFIG_REAL, "1", 0, 0, NULL, "weight of a loss"},
};
enum { SCHEMA = sizeof schema / sizeof schema[0] };

#define GOOD "data:\n  store: /tmp/x\n"

static rg_config *parse(const char *text, const char *override, rg_error *err)
{
    return rg_config_parse(text, "a.yaml", schema, SCHEMA, &override, override ? 1 : 0, err);
}

static rg_config *must_parse(const char *text, const char *override)
{
    rg_error err = {0};
    rg_config *c = parse(text, override, &err);
    ck_assert_msg(c != NULL, "%s", err.text);
    return c;
}

static const struct {
    const char *text, *override, *message;
} faults[] = {
    {"", NULL, "a.yaml:1:1: 'data.store' is missing, expected a text (folder of the stem store)"},
    {"seed: 3\ndata:\n  splits: [train]\n", NULL,
     "a.yaml:2:1: 'data.store' is missing, expected a text (folder of the stem store)"},
    {GOOD "sead: 3\n", NULL, "a.yaml:3:1: unknown key 'sead'; did you mean 'seed'?"},
    {GOOD "optimizer:\n  lrr: 3\n", NULL,
     "a.yaml:4:3: unknown key 'lrr' in 'optimizer'; did you mean 'lr'?"},
    {GOOD "optimizer:\n  momentum: 3\n", NULL,
     "a.yaml:4:3: unknown key 'momentum' in 'optimizer'; known here: lr, betas, schedule, ema"},
    {GOOD "roles:\n  bass:\n    sampel_rate: 3\n", NULL,
     "a.yaml:5:5: unknown key 'sampel_rate' in 'roles.bass'; did you mean 'sample_rate'?"},
    {GOOD "roles:\n  bass:\n    ratios: [2]\n", NULL,
     "a.yaml:4:3: 'roles.bass.sample_rate' is missing, expected a whole number from 8000 to 96000 "
     "(Hz)"},
    {GOOD "roles:\n  bass bass:\n    ratios: [2]\n", NULL,
     "a.yaml:4:3: unknown key 'bass bass' in 'roles'; known here: any name of letters, digits, _ "
     "and -"},
    {GOOD "roles: [bass]\n", NULL, "a.yaml:3:1: 'roles' is a section; keys under it were expected"},
    {GOOD "optimizer:\n  lr: fast\n", NULL,
     "a.yaml:4:3: 'optimizer.lr' is 'fast', expected a number from 0 to 1"},
    {GOOD "optimizer:\n  lr: 1,5\n", NULL,
     "a.yaml:4:3: 'optimizer.lr' is '1,5', expected a number from 0 to 1"},
    {GOOD "optimizer:\n  lr: .nan\n", NULL,
     "a.yaml:4:3: 'optimizer.lr' is '.nan', expected a number from 0 to 1"},
    {GOOD "optimizer:\n  lr: 1.5\n", NULL,
     "a.yaml:4:3: 'optimizer.lr' is '1.5', expected a number from 0 to 1"},
    {GOOD "optimizer:\n  lr: [0.1]\n", NULL,
     "a.yaml:4:3: 'optimizer.lr' is a list, expected a number from 0 to 1"},
    {GOOD "optimizer:\n  lr: {a: 1}\n", NULL,
     "a.yaml:4:3: 'optimizer.lr' is a section, expected a number from 0 to 1"},
    {GOOD "optimizer:\n  lr:\n", NULL,
     "a.yaml:4:3: 'optimizer.lr' is nothing, expected a number from 0 to 1"},
    {GOOD "optimizer:\n  betas: [0.9, 2]\n", NULL,
     "a.yaml:4:3: 'optimizer.betas' has '2' as element 2, expected a list of numbers from 0 to 1"},
    {GOOD "optimizer:\n  betas: 0.9\n", NULL,
     "a.yaml:4:3: 'optimizer.betas' is '0.9', expected a list of numbers from 0 to 1"},
    {GOOD "optimizer:\n  schedule: cosin\n", NULL,
     "a.yaml:4:3: 'optimizer.schedule' is 'cosin', expected one of cosine constant; did you mean "
     "'cosine'?"},
    {GOOD "optimizer:\n  ema: yes\n", NULL,
     "a.yaml:4:3: 'optimizer.ema' is 'yes', expected true or false"},
    {GOOD "seed: \"3\"\n", NULL,
     "a.yaml:3:1: 'seed' is the text '3', expected a whole number from 0 to 1000000000"},
    {GOOD "seed: 1.5\n", NULL,
     "a.yaml:3:1: 'seed' is '1.5', expected a whole number from 0 to 1000000000"},
    {GOOD "seed: 99999999999999999999\n", NULL,
     "a.yaml:3:1: 'seed' is '99999999999999999999', expected a whole number from 0 to 1000000000"},
    {GOOD "name: ~\n", NULL, "a.yaml:3:1: 'name' is nothing, expected a text"},
    {GOOD "seed: 1\nseed: 2\n", NULL, "a.yaml:4:1: 'seed' is given twice, first in line 3"},
    {GOOD "optimizer.lr: 0.1\noptimizer:\n  lr: 0.2\n", NULL,
     "a.yaml:5:3: 'optimizer.lr' is given twice, first at a.yaml:3:1"},
    {GOOD "name: &x a\n", NULL, "a.yaml:3:7: anchors are not supported"},
    {GOOD "name: *x\n", NULL, "a.yaml:3:7: aliases are not supported"},
    {GOOD "name: !!str a\n", NULL, "a.yaml:3:7: tags are not supported"},
    {GOOD "[a]: 1\n", NULL, "a.yaml:3:1: a key must be a plain text"},
    {GOOD "---\nname: a\n", NULL, "a.yaml:3:1: a second document in the file"},
    {"- a\n", NULL, "a.yaml:1:1: 'key: value' lines were expected"},
    {GOOD "name: \"a\\0b\"\n", NULL, "a.yaml:3:7: a text with a zero byte"},
    {GOOD "name: [a\n", NULL,
     "a.yaml:4:1: while parsing a flow sequence: did not find expected ',' or ']'"},
    {GOOD "\tname: a\n", NULL,
     "a.yaml:3:1: while scanning a plain scalar: found a tab character that violates indentation"},
    {GOOD "name: \xff\n", NULL, "a.yaml:3:7: invalid leading UTF-8 octet"},
    {GOOD "name: [[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]\n", NULL,
     "a.yaml:3:22: values are nested more than 16 deep"},
    {GOOD "extends: [b.yaml]\n", NULL, "a.yaml:3:1: 'extends' must name a file"},
    {GOOD "extends: none.yaml\n", NULL,
     "a.yaml:3:1: 'extends': none.yaml: cannot open: No such file or directory"},
    {GOOD "extends: /dev/zero\n", NULL,
     "a.yaml:3:1: 'extends' must name a file, but /dev/zero is a folder, device or pipe"},
    {GOOD, "optimizer.lr", "command line: 'optimizer.lr' is not KEY=VALUE"},
    {GOOD, "=3", "command line: '=3' is not KEY=VALUE"},
    {GOOD, "optimizer.rl=3", "command line: unknown key 'rl' in 'optimizer'; did you mean 'lr'?"},
    {GOOD, "optimzer.lr=3", "command line: unknown key 'optimzer'; did you mean 'optimizer'?"},
    {GOOD, "optimizer.lr=3", "command line: 'optimizer.lr' is '3', expected a number from 0 to 1"},
    {GOOD,
     "optimizer.lr=", "command line: 'optimizer.lr' is nothing, expected a number from 0 to 1"},
    {GOOD, "optimizer=3", "command line: 'optimizer' is a section; keys under it were expected"},
    {GOOD, "optimizer..lr=3",
     "command line: unknown key '' in 'optimizer'; known here: lr, betas, schedule, ema"},
    {GOOD, "optimizer.betas=[1",
     "command line: optimizer.betas:2:1: while parsing a flow sequence: did not find expected ',' "
     "or ']'"},
    {GOOD, "extends=b.yaml",
     "command line: unknown key 'extends'; known here: name, seed, data, optimizer, roles, "
     "weights"},
};

START_TEST(faults_are_named_by_place)
{
    rg_error err = {0};
    rg_config *c = parse(faults[_i].text, faults[_i].override, &err);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(err.text, faults[_i].message);
    ck_assert(err.code == RG_ERR_CONFIG || err.code == RG_ERR_IO);
    ck_assert_ptr_null(parse(faults[_i].text, faults[_i].override, NULL));
}
END_TEST

START_TEST(defaults_are_filled_in)
{
    rg_config *c = must_parse(GOOD, NULL);
    ck_assert_str_eq(rg_config_text(c, "name"), "demo");
    ck_assert_int_eq(rg_config_int(c, "seed"), 1);
    ck_assert(rg_config_real(c, "optimizer.lr") == 0.0003);
    ck_assert(rg_config_bool(c, "optimizer.ema"));
    ck_assert_str_eq(rg_config_text(c, "optimizer.schedule"), "cosine");
    double betas[1];
    ck_assert_uint_eq(rg_config_reals(c, "optimizer.betas", betas, 1), 2);
    ck_assert(betas[0] == 0.9);
    ck_assert_uint_eq(rg_config_count(c, "data.splits"), 2);
    ck_assert_str_eq(rg_config_text_at(c, "data.splits", 1), "valid");
    ck_assert_ptr_null(rg_config_text_at(c, "data.splits", 2));
    ck_assert_str_eq(rg_config_place(c, "data.store"), "a.yaml:2:3");
    ck_assert_uint_eq(rg_config_group_count(c, "roles"), 0);
    rg_config_free(c);
    rg_config_free(NULL);
}
END_TEST

START_TEST(groups_keep_file_order)
{
    rg_config *c = must_parse(GOOD "roles:\n  melody: {sample_rate: 16000}\n"
                                   "  bass: {sample_rate: 8000, ratios: [2, 2]}\n"
                                   "weights: {l1: 0.5}\n",
                              "roles.drums.sample_rate=32e3");
    ck_assert_uint_eq(rg_config_group_count(c, "roles"), 3);
    ck_assert_str_eq(rg_config_group(c, "roles", 0), "melody");
    ck_assert_str_eq(rg_config_group(c, "roles", 1), "bass");
    ck_assert_str_eq(rg_config_group(c, "roles", 2), "drums");
    ck_assert_ptr_null(rg_config_group(c, "roles", 3));
    ck_assert_int_eq(rg_config_int(c, "roles.drums.sample_rate"), 32000);
    ck_assert_str_eq(rg_config_place(c, "roles.drums.sample_rate"), "command line");
    int64_t ratios[8];
    ck_assert_uint_eq(rg_config_ints(c, "roles.bass.ratios", ratios, 8), 2);
    ck_assert_uint_eq(rg_config_ints(c, "roles.melody.ratios", ratios, 8), 4);
    ck_assert_int_eq(ratios[1], 5);
    ck_assert_str_eq(rg_config_group(c, "weights", 0), "l1");
    ck_assert(rg_config_real(c, "weights.l1") == 0.5);
    rg_config_free(c);
}
END_TEST

START_TEST(overrides_win)
{
    static const char *const overrides[] = {"seed=7", "seed=8", "name=a: b #c", "data.splits=[x]",
                                            "optimizer={lr: 0.5, ema: false}"};
    rg_error err = {0};
    rg_config *c = rg_config_parse(GOOD "seed: 3\n", "a.yaml", schema, SCHEMA, overrides, 5, &err);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_int_eq(rg_config_int(c, "seed"), 8);
    ck_assert_str_eq(rg_config_text(c, "name"), "a: b #c");
    ck_assert_str_eq(rg_config_text_at(c, "data.splits", 0), "x");
    ck_assert(rg_config_real(c, "optimizer.lr") == 0.5 && !rg_config_bool(c, "optimizer.ema"));
    rg_config_free(c);
    c = must_parse(GOOD, "name=\"a\\tb\"");
    ck_assert_str_eq(rg_config_text(c, "name"), "a\tb");
    rg_config_free(c);
}
END_TEST

static char *write_file(const char *name, const char *text)
{
    static char path[700];
    rg_error err = {0};
    snprintf(path, sizeof path, "%s/%s", rg_test_folder(), name);
    RG_ASSERT_OK(rg_fs_write_atomic(path, text, strlen(text), &err), &err);
    return path;
}

START_TEST(extends_is_overridden)
{
    rg_error err = {0};
    write_file("base.yaml", GOOD "seed: 2\noptimizer: {lr: 0.1, ema: false}\n"
                                 "roles: {bass: {sample_rate: 8000}}\n");
    const char *path =
        write_file("odd \xc3\xa9 'name.yaml", "extends: base.yaml\nseed: 5\noptimizer:\n  lr: 0.2\n"
                                              "roles:\n  lead: {sample_rate: 16000}\n");
    rg_config *c = rg_config_load(path, schema, SCHEMA, NULL, 0, &err);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_int_eq(rg_config_int(c, "seed"), 5);
    ck_assert(rg_config_real(c, "optimizer.lr") == 0.2 && !rg_config_bool(c, "optimizer.ema"));
    ck_assert_str_eq(rg_config_group(c, "roles", 0), "bass");
    ck_assert_str_eq(rg_config_group(c, "roles", 1), "lead");
    ck_assert_ptr_nonnull(strstr(rg_config_place(c, "seed"), "name.yaml:2:1"));
    ck_assert_ptr_nonnull(strstr(rg_config_place(c, "data.store"), "base.yaml:2:3"));
    rg_config_free(c);
    path = write_file("circle.yaml", "extends: circle.yaml\n" GOOD);
    ck_assert_ptr_null(rg_config_load(path, schema, SCHEMA, NULL, 0, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "nested more than 4 deep; is it a circle?"));
}
END_TEST

static const char full[] = "name: \"two words: \\u00e9 \\\" \\\\ \\x01 \\N \\L \\P #\"\n"
                           "seed: 12\n"
                           "data:\n"
                           "  store: /tmp/x\n"
                           "  splits: [train, \"true\", \"\", \"a, b\", \"1\"]\n"
                           "optimizer:\n"
                           "  lr: 0.1\n"
                           "  betas: [0.9, 1, 1e-05]\n"
                           "  schedule: constant\n"
                           "  ema: false\n"
                           "roles:\n"
                           "  z-1:\n"
                           "    sample_rate: 8000\n"
                           "    ratios: []\n"
                           "  a:\n"
                           "    sample_rate: 16000\n"
                           "    ratios: [8, 5, 4, 2]\n"
                           "weights:\n"
                           "  l1: 0.30000000000000004\n";

static void check_dump(void)
{
    rg_config *c = must_parse(full, NULL);
    rg_text once, twice;
    rg_text_init(&once, 10000);
    rg_text_init(&twice, 10000);
    rg_config_dump(c, &once);
    rg_config *again = must_parse(once.data, NULL);
    rg_config_dump(again, &twice);
    ck_assert_str_eq(once.data, twice.data);
    ck_assert_str_eq(rg_config_text(c, "name"), rg_config_text(again, "name"));
    ck_assert_str_eq(strchr(once.data, '\n'), strchr(full, '\n'));
    char hex[65], same[65];
    rg_config_hash(c, hex);
    rg_config_hash(again, same);
    ck_assert_str_eq(hex, same);
    ck_assert_uint_eq(strlen(hex), 64);
    rg_config *other = must_parse(full, "seed=13");
    rg_config_hash(other, same);
    ck_assert_str_ne(hex, same);
    rg_text_free(&once);
    rg_text_free(&twice);
    rg_config_free(c);
    rg_config_free(again);
    rg_config_free(other);
}

START_TEST(a_dump_loads_to_the_same)
{
    check_dump();
}
END_TEST

START_TEST(a_german_locale_changes_nothing)
{
    rg_test_german();
    check_dump();
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(differences_are_listed)
{
    rg_config *a = must_parse(GOOD "roles: {bass: {sample_rate: 8000}}\n", NULL);
    rg_config *b = must_parse(GOOD "seed: 2\nweights: {l1: 3}\n", "optimizer.lr=0.001");
    rg_text text;
    rg_text_init(&text, 10000);
    rg_config_diff(a, b, &text);
    ck_assert_str_eq(text.data, "seed: 1 -> 2\noptimizer.lr: 0.0003 -> 0.001\n"
                                "roles.bass.sample_rate: 8000 -> (none)\n"
                                "roles.bass.ratios: [8, 5, 4, 2] -> (none)\n"
                                "weights.l1: (none) -> 3\n");
    rg_text_free(&text);
    rg_config_diff(a, a, &text);
    ck_assert_uint_eq(text.n, 0);
    rg_text_free(&text);
    rg_config_free(a);
    rg_config_free(b);
}
END_TEST

START_TEST(limits_hold)
{
    rg_error err = {0};
    rg_text text;
    rg_text_init(&text, 2 << 20);
    rg_text_add(&text, GOOD "weights:\n");
    for (int i = 0; i < 4100; i++) rg_text_printf(&text, "  w%d: 1\n", i);
    ck_assert_ptr_null(parse(text.data, NULL, &err));
    ck_assert_str_eq(err.text, "a.yaml:4096:10: more than 4096 values");
    rg_error_clear(&err);
    for (int i = 0; i < 20000; i++) rg_text_printf(&text, "# %050d\n", i);
    ck_assert_ptr_null(parse(text.data, NULL, &err));
    ck_assert_str_eq(err.text, "a.yaml: larger than 1 MiB");
    rg_text_free(&text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, faults_are_named_by_place, 0, sizeof faults / sizeof faults[0]);
    tcase_add_test(tc, defaults_are_filled_in);
    tcase_add_test(tc, groups_keep_file_order);
    tcase_add_test(tc, overrides_win);
    tcase_add_test(tc, extends_is_overridden);
    tcase_add_test(tc, a_dump_loads_to_the_same);
    tcase_add_test(tc, a_german_locale_changes_nothing);
    tcase_add_test(tc, differences_are_listed);
    tcase_add_test(tc, limits_hold);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
