/*
 * Sockets of the board and of the wire (socket.h).
 */
#include "dist/socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int rg_listen(int32_t *port, rg_error *err)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0, on = 1;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)*port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    struct sockaddr *at = (struct sockaddr *)&six;
    socklen_t size = sizeof six;
    if (fd < 0) { /* a host without IPv6 */
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        at = (struct sockaddr *)&four;
        size = sizeof four;
    } else {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && bind(fd, at, size) == 0 && listen(fd, 256) == 0 &&
        getsockname(fd, at, &size) == 0) {
        *port = ntohs(at == (struct sockaddr *)&six ? six.sin6_port : four.sin_port);
        return fd;
    }
    rg_fail(err, RG_ERR_IO, "TCP port %d: %s; is another run using it?", (int)*port,
            strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

static int connect_as(const char *host, int32_t port, int type)
{
    char service[16];
    struct addrinfo hints = {.ai_socktype = type}, *list = NULL;
    int fd = -1;
    snprintf(service, sizeof service, "%d", (int)port);
    if (getaddrinfo(host, service, &hints, &list) != 0) return -1;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) == 0) continue;
        close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd;
}

int rg_connect(const char *host, int32_t port)
{
    return connect_as(host, port, SOCK_STREAM);
}

void rg_own_address(const char *host, int32_t port, char out[64])
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    int fd = connect_as(host, port, SOCK_DGRAM); /* which sends nothing, but finds the way */
    if (fd < 0) return;
    if (getsockname(fd, (struct sockaddr *)&own, &size) == 0)
        (void)getnameinfo((struct sockaddr *)&own, size, out, 64, NULL, 0, NI_NUMERICHOST);
    close(fd);
}

void rg_socket_watch(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},    {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 3},   {IPPROTO_TCP, TCP_KEEPINTVL, 2},
                   {IPPROTO_TCP, TCP_KEEPCNT, 2},    {IPPROTO_TCP, TCP_USER_TIMEOUT, 8000},
                   {SOL_SOCKET, SO_SNDBUF, 4 << 20}, {SOL_SOCKET, SO_RCVBUF, 4 << 20}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}
