/*
 * A board that rank 0 serves over TCP (meet.h).
 *
 * One idea: a connection carries one request, of at most three lines, and its answer; a thread of
 * rank 0 answers them one after another while the processes meet. Not here: secrets. Whoever
 * reaches the port and knows the job's name may take part, so it belongs on a network of one's own.
 *
 *   "resonant NAME\n" "put KEY LENGTH\n" bytes   ->  "ok\n"
 *   "resonant NAME\n" "get KEY\n"                ->  "text LENGTH\n" bytes, or "none\n"
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"
#include "dist/meet.h"
#include "dist/socket.h"

enum { LINE = 256, ENTRIES = RG_COMM_WORLD + 1, ASK_SECONDS = 5, MEET_SECONDS = 120 };

typedef struct entry {
    char key[32];
    char *text;
} entry;

typedef struct board {
    rg_board board;
    char host[64], name[128];
    int32_t port;
    bool serves;
    int listener;
    pthread_t thread;
    pthread_mutex_t lock;
    entry entries[ENTRIES];
    int32_t n;
} board;

/* ---- lines and bytes on a socket ---- */

static bool send_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int fd, char *data, size_t n)
{
    while (n) {
        ssize_t got = recv(fd, data, n, 0);
        if (got <= 0) return false;
        data += got;
        n -= (size_t)got;
    }
    return true;
}

static bool receive_line(int fd, char out[LINE])
{
    for (size_t n = 0; n + 1 < LINE; n++) {
        if (!receive_all(fd, out + n, 1)) return false;
        if (out[n] != '\n') continue;
        out[n] = 0;
        return true;
    }
    return false;
}

static void set_patience(int fd)
{
    struct timeval limit = {.tv_sec = ASK_SECONDS};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/* ---- the server ---- */

/* Keeps a copy of the text. */
static bool keep(board *b, const char *key, const char *text)
{
    bool kept = false;
    char *copy = strdup(text);
    pthread_mutex_lock(&b->lock);
    int32_t i = 0;
    while (i < b->n && strcmp(b->entries[i].key, key) != 0) i++;
    if (copy && i < ENTRIES && rg_copy_text(b->entries[i].key, sizeof b->entries[i].key, key)) {
        free(b->entries[i].text);
        b->entries[i].text = copy;
        if (i == b->n) b->n++;
        kept = true;
    }
    pthread_mutex_unlock(&b->lock);
    if (!kept) free(copy);
    return kept;
}

static char *copy_of(board *b, const char *key)
{
    char *text = NULL;
    pthread_mutex_lock(&b->lock);
    for (int32_t i = 0; i < b->n && !text; i++)
        if (!strcmp(b->entries[i].key, key)) text = strdup(b->entries[i].text);
    pthread_mutex_unlock(&b->lock);
    return text;
}

static void answer_put(board *b, int fd, const char *key, long long length)
{
    char *text = length >= 0 && length < RG_BOARD_TEXT ? malloc((size_t)length + 1) : NULL;
    bool kept = false;
    if (text && receive_all(fd, text, (size_t)length)) {
        text[length] = 0;
        kept = keep(b, key, text);
    }
    if (kept) (void)send_all(fd, "ok\n", 3);
    free(text);
}

static void answer_get(board *b, int fd, const char *key)
{
    char head[LINE], *text = copy_of(b, key);
    int n = text ? snprintf(head, sizeof head, "text %zu\n", strlen(text))
                 : snprintf(head, sizeof head, "none\n");
    if (send_all(fd, head, (size_t)n) && text) (void)send_all(fd, text, strlen(text));
    free(text);
}

static void answer(board *b, int fd)
{
    char line[LINE], expected[LINE], key[32];
    long long length;
    set_patience(fd);
    snprintf(expected, sizeof expected, "resonant %s", b->name);
    if (!receive_line(fd, line) || strcmp(line, expected) != 0 || !receive_line(fd, line)) return;
    if (sscanf(line, "put %31s %lld", key, &length) == 2)
        answer_put(b, fd, key, length);
    else if (sscanf(line, "get %31s", key) == 1)
        answer_get(b, fd, key);
}

static void *serve(void *arg)
{
    board *b = arg;
    for (int fd;
         (fd = accept(b->listener, NULL, NULL)) >= 0 || errno == EINTR || errno == ECONNABORTED;) {
        if (fd < 0) continue;
        answer(b, fd);
        close(fd);
    }
    return NULL; /* the listener was shut down */
}

static rg_status listen_at(board *b, rg_error *err)
{
    int fd = rg_listen(&b->port, err);
    if (fd < 0) return err->code;
    b->listener = fd;
    if (pthread_create(&b->thread, NULL, serve, b) == 0) return RG_OK;
    close(fd);
    return rg_fail(err, RG_ERR_NOMEM, "cannot start the thread that serves %s:%d", b->host,
                   (int)b->port);
}

/* ---- asking it ---- */

/* Sends a request; the socket, or -1 when nobody answers yet. */
static int ask(const board *b, const char *request, const char *data)
{
    char head[2 * LINE];
    int fd = rg_connect(b->host, b->port);
    if (fd < 0) return -1;
    set_patience(fd);
    int n = snprintf(head, sizeof head, "resonant %s\n%s\n", b->name, request);
    if (send_all(fd, head, (size_t)n) && (!data || send_all(fd, data, strlen(data)))) return fd;
    close(fd);
    return -1;
}

static rg_status put(rg_board *any, const char *key, const char *text, rg_error *err)
{
    board *b = (board *)any;
    char request[LINE], line[LINE] = "";
    if (b->serves) {
        return keep(b, key, text) ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "out of memory");
    }
    snprintf(request, sizeof request, "put %s %zu", key, strlen(text));
    rg_patience patience = {0};
    do { /* rank 0 may come later */
        int fd = ask(b, request, text);
        bool good = fd >= 0 && receive_line(fd, line) && !strcmp(line, "ok");
        if (fd >= 0) close(fd);
        if (good) return RG_OK;
        patience.turns += 24000;
    } while (rg_patience_wait(&patience) < MEET_SECONDS);
    return rg_fail(err, RG_ERR_IO,
                   "tcp://%s:%d: rank 0 does not answer there to job %s; is it started, and is the "
                   "port free and open?",
                   b->host, (int)b->port, b->name);
}

static rg_status get(rg_board *any, const char *key, char **text, rg_error *err)
{
    board *b = (board *)any;
    char request[LINE], line[LINE];
    long long length;
    (void)err;
    *text = NULL;
    if (b->serves) {
        *text = copy_of(b, key);
        return RG_OK;
    }
    snprintf(request, sizeof request, "get %s", key);
    int fd = ask(b, request, NULL);
    if (fd < 0) return RG_OK;
    if (receive_line(fd, line) && sscanf(line, "text %lld", &length) == 1 && length >= 0 &&
        length < RG_BOARD_TEXT) {
        char *data = malloc((size_t)length + 1);
        if (data && receive_all(fd, data, (size_t)length)) {
            data[length] = 0;
            *text = data;
        } else {
            free(data);
        }
    }
    close(fd);
    return RG_OK;
}

static void leave(rg_board *any, bool finished)
{
    board *b = (board *)any;
    (void)finished;
    if (b->serves) {
        shutdown(b->listener, SHUT_RDWR);
        pthread_join(b->thread, NULL);
        close(b->listener);
    }
    for (int32_t i = 0; i < b->n; i++) free(b->entries[i].text);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

rg_board *rg_board_tcp(const char *host, int32_t port, bool serves, const char *name, rg_error *err)
{
    board *b = calloc(1, sizeof *b);
    if (!b) {
        rg_fail(err, RG_ERR_NOMEM, "out of memory");
        return NULL;
    }
    b->board = (rg_board){put, get, leave};
    b->port = port;
    b->serves = serves;
    rg_copy_text(b->host, sizeof b->host, host);
    rg_copy_text(b->name, sizeof b->name, name);
    pthread_mutex_init(&b->lock, NULL);
    if (!serves || listen_at(b, err) == RG_OK) return &b->board;
    pthread_mutex_destroy(&b->lock);
    free(b);
    return NULL;
}
