/*
 * TCP sockets: listening, connecting, noticing that the other end is gone.
 */
#ifndef RG_DIST_SOCKET_H
#define RG_DIST_SOCKET_H

#include <stdint.h>

#include "base/status.h"

/* Listens on all addresses of this host; *port 0: any, and becomes the one. -1 and err. */
int rg_listen(int32_t *port, rg_error *err);
/* -1 when nobody listens there. */
int rg_connect(const char *host, int32_t port);
/* The address of this host on the way to another one; stays as it is when it cannot be told. */
void rg_own_address(const char *host, int32_t port, char out[64]);
/* No delay; a host that is switched off or cut off becomes an error within 10 s. */
void rg_socket_watch(int fd);

#endif
