/*
 * The MPI plug-in (plugin.h): messages between ranks of MPI_COMM_WORLD.
 */
#include "dist/mpi/plugin.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static MPI_Request *requests;
static int32_t n_requests;
static bool begun; /* by this library; otherwise whoever began MPI ends it */

static bool good(int code, const char *what, char why[RG_MPI_TEXT])
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n = 0;
    if (code == MPI_SUCCESS) return true;
    MPI_Error_string(code, text, &n);
    snprintf(why, RG_MPI_TEXT, "%s: %s", what, text);
    return false;
}

static bool begin(int32_t n, int32_t *rank, int32_t *world, char why[RG_MPI_TEXT])
{
    int ready = 0, level, r, w;
    if (!good(MPI_Initialized(&ready), "MPI_Initialized", why)) return false;
    if (!ready && !good(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level), "MPI_Init", why))
        return false;
    begun = !ready;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &r);
    MPI_Comm_size(MPI_COMM_WORLD, &w);
    *rank = r;
    *world = w;
    n_requests = n * w;
    requests = malloc((size_t)n_requests * sizeof *requests);
    if (!requests) snprintf(why, RG_MPI_TEXT, "out of memory");
    for (int32_t i = 0; requests && i < n_requests; i++) requests[i] = MPI_REQUEST_NULL;
    return requests != NULL;
}

static bool send(int32_t request, int32_t to, int32_t tag, const void *data, size_t bytes,
                 char why[RG_MPI_TEXT])
{
    return good(MPI_Isend(data, (int)bytes, MPI_BYTE, to, tag, MPI_COMM_WORLD, &requests[request]),
                "MPI_Isend", why);
}

static bool receive(int32_t request, int32_t from, int32_t tag, void *data, size_t bytes,
                    char why[RG_MPI_TEXT])
{
    return good(
        MPI_Irecv(data, (int)bytes, MPI_BYTE, from, tag, MPI_COMM_WORLD, &requests[request]),
        "MPI_Irecv", why);
}

static bool test(int32_t request, bool *over, char why[RG_MPI_TEXT])
{
    int flag = 0;
    bool fine = good(MPI_Test(&requests[request], &flag, MPI_STATUS_IGNORE), "MPI_Test", why);
    *over = flag != 0;
    return fine;
}

static void end(bool failed)
{
    if (failed) MPI_Abort(MPI_COMM_WORLD, 1);
    if (begun) MPI_Finalize();
    free(requests);
    requests = NULL;
}

extern const rg_mpi_plugin rg_mpi_plugin_1;
const rg_mpi_plugin rg_mpi_plugin_1 = {RG_MPI_LIBRARY, begin, send, receive, test, end};
