/*
 * What a process says of itself to the others, and whether another still lives (comm_private.h).
 *
 * One idea: a process is its number and when it started, both from /proc, since numbers are used
 * again; processes that share a boot and a namespace of numbers can ask after each other.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/text.h"
#include "dist/meet.h"

/* The state letter and the start of a process, from the fields after its name; false: none. */
static bool read_stat(int32_t pid, char *state, uint64_t *start)
{
    char path[64], *text = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (rg_fs_read_all(path, 4096, &text, &n, NULL) != RG_OK) return false;
    const char *rest = strrchr(text, ')'); /* the name may hold anything */
    bool good = rest && sscanf(rest, ") %c", state) == 1;
    for (int field = 2; good && field < 22; field++) {
        rest = strchr(rest + 1, ' ');
        good = rest != NULL;
    }
    if (good) *start = strtoull(rest, NULL, 10);
    free(text);
    return good;
}

uint64_t rg_process_start(int32_t pid)
{
    char state;
    uint64_t start;
    return read_stat(pid, &state, &start) ? start : 0;
}

bool rg_peer_lives(const rg_peer *peer)
{
    char state;
    uint64_t start;
    return read_stat(peer->pid, &state, &start) && start == peer->start && state != 'Z' &&
           state != 'X';
}

static uint64_t hash_of_cpus(const char *host)
{
    struct {
        cpu_set_t cpus;
        char host[64];
    } key;
    memset(&key, 0, sizeof key);
    (void)!sched_getaffinity(0, sizeof key.cpus, &key.cpus);
    rg_copy_text(key.host, sizeof key.host, host);
    return rg_xxh3(&key, sizeof key);
}

/* One word: spaces would end a field. */
static void plain_word(char *word)
{
    for (char *c = word; *c; c++)
        if (*c <= ' ' || *c > '~') *c = '_';
    if (!word[0]) memcpy(word, "?", 2);
}

void rg_peer_of_this_process(rg_peer *peer)
{
    char *boot = NULL, space[32] = "";
    size_t n = 0;
    *peer = (rg_peer){.pid = (int32_t)getpid(), .port = -1, .memory = -1};
    peer->start = rg_process_start(peer->pid);
    if (gethostname(peer->host, sizeof peer->host - 1) != 0) peer->host[0] = 0;
    plain_word(peer->host);
    memcpy(peer->address, peer->host, sizeof peer->address);
    (void)!rg_fs_read_all("/proc/sys/kernel/random/boot_id", 256, &boot, &n, NULL);
    ssize_t length = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    if (length < 0) length = 0;
    space[length] = 0;
    snprintf(peer->boot, sizeof peer->boot, "%.36s%.24s", boot ? boot : "", space);
    free(boot);
    plain_word(peer->boot);
    peer->cpus = hash_of_cpus(peer->boot);
}

void rg_peer_to_text(const rg_peer *p, char out[RG_PEER_TEXT])
{
    snprintf(out, RG_PEER_TEXT, "%d %" PRIu64 " %" PRIu64 " %d %d %s %s %s", (int)p->pid, p->start,
             p->cpus, (int)p->port, (int)p->memory, p->boot, p->host, p->address);
}

bool rg_peer_from_text(const char *text, int32_t rank, rg_peer *p)
{
    int pid, port, memory;
    *p = (rg_peer){0};
    if (sscanf(text, "%d %" SCNu64 " %" SCNu64 " %d %d %63s %63s %63s", &pid, &p->start, &p->cpus,
               &port, &memory, p->boot, p->host, p->address) != 8)
        return false;
    p->pid = pid;
    p->port = port;
    p->memory = memory;
    snprintf(p->text, sizeof p->text, "rank %d (%.48s, pid %d)", (int)rank, p->host, pid);
    return true;
}
