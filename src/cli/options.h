/*
 * Command lines as data: tables of commands and options, from which parsing and --help are made.
 *
 * One idea: a command is a row; what it accepts is a table; the text of --help, and later a man
 * page and completions, come from the same table.
 */
#ifndef RG_CLI_OPTIONS_H
#define RG_CLI_OPTIONS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"

typedef struct rg_option {
    const char *name;  /* "out" for --out */
    const char *value; /* "DIR"; NULL: a flag; "[PATH]": the value is optional */
    const char *help;
} rg_option;

typedef struct rg_args rg_args;

/* What every command gets besides its arguments. */
typedef struct rg_cli {
    const rg_log *log;
    const volatile sig_atomic_t *stop; /* the signal that asks to stop, or 0 */
    const char *command_line, *version;
    char *const *argv; /* of the program, ended by NULL */
} rg_cli;

typedef struct rg_command {
    const char *name;      /* "dataset build" */
    const char *arguments; /* "CORPUS", "CONFIG [key=value...]" */
    const char *summary;
    int32_t min_arguments, max_arguments; /* max < 0: any number */
    const rg_option *options;             /* ended by a row without a name */
    rg_status (*run)(const rg_args *args, const rg_cli *cli, rg_error *err);
} rg_command;

/* All commands, ended by a row without a name (commands.c). */
extern const rg_command rg_commands[];

/* Parses what follows the command's name. NULL and RG_ERR_USAGE in err on a fault. */
rg_args *rg_args_parse(const rg_command *command, int argc, char **argv, rg_error *err);
void rg_args_free(rg_args *args);
bool rg_args_wants_help(const rg_args *args);

const char *rg_arg(const rg_args *args, int32_t i); /* positional; NULL past the end */
int32_t rg_arg_count(const rg_args *args);
const char *const *rg_arg_list(const rg_args *args, int32_t from); /* positionals from there on */
bool rg_option_given(const rg_args *args, const char *name);
const char *rg_option_text(const rg_args *args, const char *name, const char *fallback);
/* The i-th value of an option given several times; NULL past the end. */
const char *rg_option_at(const rg_args *args, const char *name, int32_t i);
/* Numbers with a range; RG_ERR_USAGE names the option and what was expected. */
rg_status rg_option_int(const rg_args *args, const char *name, int64_t low, int64_t high,
                        int64_t *out, rg_error *err) RG_MUST_USE;
rg_status rg_option_real(const rg_args *args, const char *name, double low, double high,
                         double *out, rg_error *err) RG_MUST_USE;
/* A size in bytes: "800M", "1.5G", "4096"; K, M and G are powers of 1024. */
rg_status rg_option_bytes(const rg_args *args, const char *name, int64_t *out,
                          rg_error *err) RG_MUST_USE;

/* "RUN@1200" -> "RUN" and 1200. The whole text and -1 without an @, or where such a path exists. */
rg_status rg_split_step(const char *text, char *path, size_t size, int64_t *step,
                        rg_error *err) RG_MUST_USE;

/* The texts of `resonant --help` and `resonant COMMAND --help`, on standard output. */
void rg_help_all(void);
void rg_help_command(const rg_command *command);
/* The command that argv[1..] names, and how many words its name takes; NULL with advice in err. */
const rg_command *rg_command_find(int argc, char **argv, int *words, rg_error *err);

#endif
