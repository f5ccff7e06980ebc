/*
 * Parsing and help from the tables of options.h, on getopt_long.
 */
#include "cli/options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"

enum { MAX_OPTIONS = 32, MAX_GIVEN = 256, MAX_COMMANDS = 64 };

struct rg_args {
    const rg_command *command;
    int32_t n_positional, n_given;
    const char **positional;
    bool help;
    struct {
        const char *name, *value;
    } given[MAX_GIVEN];
};

static void make_long_options(const rg_command *command, struct option out[MAX_OPTIONS + 2])
{
    int n = 0;
    for (const rg_option *o = command->options; o && o->name; o++) {
        assert(n < MAX_OPTIONS);
        int kind = !o->value            ? no_argument
                   : o->value[0] == '[' ? optional_argument
                                        : required_argument;
        out[n++] = (struct option){o->name, kind, NULL, 'o'};
    }
    out[n++] = (struct option){"help", no_argument, NULL, 'h'};
    out[n] = (struct option){0};
}

static rg_status bad_option(const rg_command *command, char **argv, int code, rg_error *err)
{
    const char *names[MAX_OPTIONS + 1], *word = argv[optind - 1];
    size_t n = 0;
    for (const rg_option *o = command->options; o && o->name; o++) names[n++] = o->name;
    if (code == ':')
        return rg_fail(err, RG_ERR_USAGE, "%s: %s needs a value; see 'resonant %s --help'",
                       command->name, word, command->name);
    char bare[64];
    rg_copy_text(bare, sizeof bare, word + strspn(word, "-"));
    bare[strcspn(bare, "=")] = 0;
    const char *near = rg_nearest_name(bare, names, n);
    return rg_fail(err, RG_ERR_USAGE, "%s: unknown option '%s'%s%s%s; see 'resonant %s --help'",
                   command->name, word, near ? "; did you mean --" : "", near ? near : "",
                   near ? "?" : "", command->name);
}

static rg_status check_count(const rg_args *args, rg_error *err)
{
    const rg_command *c = args->command;
    if (args->help || (args->n_positional >= c->min_arguments &&
                       (c->max_arguments < 0 || args->n_positional <= c->max_arguments)))
        return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "usage: resonant %s %s  (got %d arguments; try --help)",
                   c->name, c->arguments, args->n_positional);
}

rg_args *rg_args_parse(const rg_command *command, int argc, char **argv, rg_error *err)
{
    struct option table[MAX_OPTIONS + 2];
    rg_args *args = calloc(1, sizeof *args);
    if (args) args->positional = calloc((size_t)argc + 1, sizeof *args->positional);
    if (!args || !args->positional) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for the command line");
        rg_args_free(args);
        return NULL;
    }
    args->command = command;
    make_long_options(command, table);
    rg_status status = RG_OK;
    opterr = 0;
    optind = 1;
    for (int code, index = 0;
         status == RG_OK && (code = getopt_long(argc, argv, ":h", table, &index)) != -1;) {
        if (code == 'h')
            args->help = true;
        else if (code != 'o')
            status = bad_option(command, argv, code, err);
        else if (args->n_given == MAX_GIVEN)
            status = rg_fail(err, RG_ERR_USAGE, "%s: too many options", command->name);
        else {
            args->given[args->n_given].name = table[index].name;
            args->given[args->n_given++].value = optarg;
        }
    }
    for (int i = optind; i < argc; i++) args->positional[args->n_positional++] = argv[i];
    if (status == RG_OK) status = check_count(args, err);
    if (status == RG_OK) return args;
    rg_args_free(args);
    return NULL;
}

void rg_args_free(rg_args *args)
{
    if (!args) return;
    free(args->positional);
    free(args);
}

bool rg_args_wants_help(const rg_args *args)
{
    return args->help;
}

const char *rg_arg(const rg_args *args, int32_t i)
{
    return i < args->n_positional ? args->positional[i] : NULL;
}

int32_t rg_arg_count(const rg_args *args)
{
    return args->n_positional;
}

const char *const *rg_arg_list(const rg_args *args, int32_t from)
{
    return args->positional + (from < args->n_positional ? from : args->n_positional);
}

static void assert_known(const rg_args *args, const char *name)
{
    const rg_option *o = args->command->options;
    while (o && o->name && strcmp(o->name, name) != 0) o++;
    assert(o && o->name && "option is not in the command's table");
    (void)o;
}

bool rg_option_given(const rg_args *args, const char *name)
{
    assert_known(args, name);
    for (int32_t i = 0; i < args->n_given; i++)
        if (!strcmp(args->given[i].name, name)) return true;
    return false;
}

const char *rg_option_at(const rg_args *args, const char *name, int32_t i)
{
    assert_known(args, name);
    for (int32_t k = 0; k < args->n_given; k++)
        if (!strcmp(args->given[k].name, name) && i-- == 0)
            return args->given[k].value ? args->given[k].value : "";
    return NULL;
}

const char *rg_option_text(const rg_args *args, const char *name, const char *fallback)
{
    const char *value = fallback;
    for (int32_t i = 0; rg_option_at(args, name, i); i++) value = rg_option_at(args, name, i);
    return value;
}

rg_status rg_option_int(const rg_args *args, const char *name, int64_t low, int64_t high,
                        int64_t *out, rg_error *err)
{
    const char *text = rg_option_text(args, name, NULL);
    if (!text) return RG_OK;
    if (rg_parse_int(text, out) && *out >= low && *out <= high) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "--%s: '%s' is not a whole number from %lld to %lld", name,
                   text, (long long)low, (long long)high);
}

rg_status rg_option_real(const rg_args *args, const char *name, double low, double high,
                         double *out, rg_error *err)
{
    const char *text = rg_option_text(args, name, NULL);
    if (!text) return RG_OK;
    if (rg_parse_double(text, out) && *out >= low && *out <= high) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "--%s: '%s' is not a number from %g to %g", name, text, low,
                   high);
}

rg_status rg_option_bytes(const rg_args *args, const char *name, int64_t *out, rg_error *err)
{
    static const char units[] = "KMG";
    const char *text = rg_option_text(args, name, NULL);
    char number[32];
    double value = 0;
    if (!text) return RG_OK;
    const size_t n = strlen(text);
    const char *unit = n ? strchr(units, text[n - 1]) : NULL;
    const size_t digits = unit && n ? n - 1 : n;
    bool good = digits > 0 && digits < sizeof number;
    if (good) {
        memcpy(number, text, digits);
        number[digits] = 0;
        good = rg_parse_double(number, &value);
    }
    for (const char *u = units; good && unit && u <= unit; u++) value *= 1024;
    if (!good || !(value >= 1 && value <= 0x1p50))
        return rg_fail(err, RG_ERR_USAGE, "--%s: '%s' is not a size like 800M or 4G", name, text);
    *out = (int64_t)value;
    return RG_OK;
}

rg_status rg_split_step(const char *text, char *path, size_t size, int64_t *step, rg_error *err)
{
    const char *at = strrchr(text, '@');
    *step = -1;
    if (!rg_copy_text(path, size, text))
        return rg_fail(err, RG_ERR_USAGE, "%.200s...: the path is too long", text);
    if (!at || strchr(at, '/') || rg_fs_exists(text)) return RG_OK;
    path[at - text] = 0;
    if (rg_parse_int(at + 1, step) && *step >= 0) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "%s: '%s' after @ is not a step", text, at + 1);
}

/* ---- help ---- */

void rg_help_all(void)
{
    printf("resonant: multi-track music models, trained and played in C\n\nusage: resonant COMMAND "
           "...  |  resonant --help | --version\n\n");
    for (const rg_command *c = rg_commands; c->name; c++) {
        char head[128];
        snprintf(head, sizeof head, "%s %s", c->name, c->arguments);
        printf("  %-44s %s\n", head, c->summary);
    }
    printf(
        "\n'resonant COMMAND --help' lists a command's options. Exit status: 0 done, 1 failed, 2 "
        "wrong usage\nor configuration, 130 or 143 stopped by a signal after a checkpoint.\n");
}

void rg_help_command(const rg_command *command)
{
    printf("usage: resonant %s %s\n\n%s\n", command->name, command->arguments, command->summary);
    if (!command->options || !command->options->name) return;
    printf("\noptions:\n");
    for (const rg_option *o = command->options; o->name; o++) {
        char head[96];
        const char *open = o->value ? o->value[0] == '[' ? "[=" : "=" : "";
        const char *value = o->value ? o->value + (o->value[0] == '[') : "";
        snprintf(head, sizeof head, "--%s%s%s", o->name, open, value);
        printf("  %-32s %s\n", head, o->help);
    }
}

static bool matches(const char *name, int argc, char **argv, int *words)
{
    char joined[128] = "";
    size_t n = 0;
    for (int i = 1; i < argc && i <= 2; i++) {
        n += (size_t)snprintf(joined + n, sizeof joined - n, "%s%s", i > 1 ? " " : "", argv[i]);
        if (n >= sizeof joined) return false;
        *words = i;
        if (!strcmp(joined, name)) return true;
    }
    return false;
}

const rg_command *rg_command_find(int argc, char **argv, int *words, rg_error *err)
{
    const char *names[MAX_COMMANDS], *near = NULL;
    size_t n = 0;
    bool prefix = false;
    char text[256] = "";
    for (const rg_command *c = rg_commands; c->name; c++) {
        size_t length = strlen(argv[1]);
        if (matches(c->name, argc, argv, words)) return c;
        if (!strncmp(c->name, argv[1], length) && c->name[length] == ' ') {
            prefix = true;
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? ", " : "",
                     c->name);
        }
        names[n++] = c->name;
    }
    if (prefix)
        rg_fail(err, RG_ERR_USAGE, "'%s' needs a sub-command: %s", argv[1], text);
    else {
        near = rg_nearest_name(argv[1], names, n);
        rg_fail(err, RG_ERR_USAGE, "unknown command '%s'%s%s%s; see 'resonant --help'", argv[1],
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return NULL;
}
