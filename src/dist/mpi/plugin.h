/*
 * What the program and its MPI plug-in agree on.
 *
 * One idea: MPI libraries differ in their binary interface (handles are numbers in one and pointers
 * in another), so the program never sees <mpi.h>: a small library is built against the MPI that is
 * there, hides its types behind this table, and is loaded only when MPI is wanted. Without it the
 * program is whole and needs no MPI.
 */
#ifndef RG_DIST_MPI_PLUGIN_H
#define RG_DIST_MPI_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RG_MPI_PLUGIN_SYMBOL "rg_mpi_plugin_1"
enum { RG_MPI_TEXT = 256 };

/* Functions return false and leave a text in `why`. Requests are numbered 0 .. `requests`-1. */
typedef struct rg_mpi_plugin {
    const char *library; /* what it was built against */
    bool (*begin)(int32_t requests, int32_t *rank, int32_t *world, char why[RG_MPI_TEXT]);
    bool (*send)(int32_t request, int32_t to, int32_t tag, const void *data, size_t bytes,
                 char why[RG_MPI_TEXT]);
    bool (*receive)(int32_t request, int32_t from, int32_t tag, void *data, size_t bytes,
                    char why[RG_MPI_TEXT]);
    bool (*test)(int32_t request, bool *over,
                 char why[RG_MPI_TEXT]); /* over: once it is not used */
    void (*end)(bool failed);            /* failed: takes all processes of the job with it */
} rg_mpi_plugin;

#endif
