/*
 * Running another program: by its argument list, never through a shell.
 *
 * One idea: a program gets a folder, a list of arguments, nothing on standard input, and a time;
 * what it prints is kept for the error line. Not here: pipes to and from it; files do for that.
 */
#ifndef RG_BASE_PROCESS_H
#define RG_BASE_PROCESS_H

#include "base/status.h"

enum { RG_PROCESS_OUTPUT = 4096 };

/*
 * Runs argv (argv[0] is looked up in PATH, the last entry is NULL) in `folder` and waits for it.
 * `output` gets what it printed on both streams, the end of it where it is long, without trailing
 * white space. `seconds` > 0: a program that runs longer is killed; 0: no limit.
 * RG_ERR_UNSUPPORTED when the program cannot be started (it is not installed), RG_ERR_IO with its
 * last line when it fails or takes too long.
 */
rg_status rg_process_run(const char *folder, const char *const *argv, double seconds,
                         char output[RG_PROCESS_OUTPUT], rg_error *err) RG_MUST_USE;

#endif
