/*
 * resonant: one program with sub-commands.
 *
 * One idea: this file knows signals, the terminal and exit codes; what a command does stands in its
 * cmd_*.c, and what it accepts in a table.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fft.h"
#include "base/text.h"
#include "cli/options.h"
#include "kernels/kernels.h"

static volatile sig_atomic_t stop_signal;

/* The first signal asks for a checkpoint; the second ends the process at once, as by default. */
static void on_signal(int signal_number)
{
    stop_signal = signal_number;
    signal(signal_number, SIG_DFL);
}

static void install_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe becomes a write error with a message */
}

/* Messages go to standard error; progress lines replace each other on a terminal. */
typedef struct console {
    bool terminal, progress_shown;
    double last_progress;
} console;

static void console_line(void *ctx, rg_log_level level, const char *text)
{
    console *c = ctx;
    double now = rg_clock_seconds();
    if (level == RG_LOG_PROGRESS && !c->terminal) {
        if (now - c->last_progress < 10) return;
        c->last_progress = now;
    }
    if (c->progress_shown) fputs("\r\033[K", stderr);
    c->progress_shown = level == RG_LOG_PROGRESS && c->terminal;
    fprintf(stderr, "%s%s%s", level == RG_LOG_WARNING ? "warning: " : "", text,
            c->progress_shown ? "" : "\n");
}

static int exit_code(rg_status status)
{
    if (stop_signal && (status == RG_OK || status == RG_ERR_CANCELLED)) return 128 + stop_signal;
    if (status == RG_OK) return 0;
    return status == RG_ERR_USAGE || status == RG_ERR_CONFIG ? 2 : 1;
}

static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "resonant: cannot write to standard output: %s\n", strerror(errno));
    return code ? code : 1;
}

static void print_version(void)
{
    printf("resonant %s (%s)\nisa:", RG_VERSION, RG_GIT[0] ? RG_GIT : "no git");
    for (const char *const *level = rg_kernels_cpu_levels(); *level; level++) printf(" %s", *level);
    printf("\nfft: %s\nformats: stems 1.0, checkpoint 1.0, bundle 1.0, scene 1.0\n",
           rg_fft_library());
}

static void join_command_line(int argc, char **argv, rg_text *out)
{
    for (int i = 0; i < argc; i++) {
        bool plain =
            strspn(argv[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "_-./=:,@+%") == strlen(argv[i]);
        rg_text_printf(out, plain && argv[i][0] ? "%s%s" : "%s'%s'", i ? " " : "", argv[i]);
    }
    rg_text_add(out, "\n");
}

static int run_command(const rg_command *command, int argc, char **all, int words, rg_text *line)
{
    char **argv = all;
    console terminal = {.terminal = isatty(STDERR_FILENO)};
    rg_log log = {console_line, &terminal};
    rg_error err = {0};
    rg_cli cli = {&log, &stop_signal, line->data, RG_VERSION " (" RG_GIT ")", all};
    rg_status status = RG_ERR_USAGE;
    rg_args *args = rg_args_parse(command, argc - words, argv + words, &err);
    if (args && rg_args_wants_help(args)) {
        rg_help_command(command);
        status = RG_OK;
    } else if (args)
        status = command->run(args, &cli, &err);
    if (terminal.progress_shown) fputs("\n", stderr);
    if (status != RG_OK)
        fprintf(stderr, "resonant: %s\n", err.text[0] ? err.text : rg_status_text(status));
    rg_args_free(args);
    return finish(exit_code(status));
}

int main(int argc, char **argv)
{
    rg_error err = {0};
    int words = 0;
    install_signals();
    if (argc < 2) {
        fprintf(stderr, "usage: resonant COMMAND ...; see 'resonant --help'\n");
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        rg_help_all();
        return finish(0);
    }
    if (!strcmp(argv[1], "--version")) {
        print_version();
        return finish(0);
    }
    const rg_command *command = rg_command_find(argc, argv, &words, &err);
    if (!command) {
        fprintf(stderr, "resonant: %s\n", err.text);
        return 2;
    }
    rg_text line;
    rg_text_init(&line, 1 << 20);
    join_command_line(argc, argv, &line);
    int code = run_command(command, argc, argv, words, &line);
    rg_text_free(&line);
    return code;
}
