/*
 * Threads that make batches ahead of the caller (sampler_internal.h).
 *
 * One idea: batches are numbered; the ring holds those from the wanted one on, each in the slot of
 * its number, and every thread makes the next one that nobody makes yet. A thread writes into
 * memory of its own and swaps it in, so that a slot which the caller has jumped away from meanwhile
 * is never half written.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "datasets/sampler_internal.h"

typedef struct slot {
    int64_t batch; /* number of the batch in it; -1 none */
    bool ready;
    float *samples; /* (B,T,C) */
    rg_error error;
} slot;

typedef struct worker {
    rg__ring *ring;
    rg__maker own;
    float *samples; /* (B,T,C), swapped with a slot's */
    pthread_t thread;
} worker;

struct rg__ring {
    const rg_sampler *sampler;
    int32_t n_slots, n_workers;
    worker workers[RG__MOST_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slot slots[RG__MOST_SLOTS];
    int64_t stride; /* from a batch to the next that this process takes */
    int64_t
        wanted;   /* the batch the caller wants next; slots hold it and the n_slots - 1 after it */
    int64_t next; /* the next batch to make */
    bool stop;
};

static size_t batch_bytes(const rg_sampler *s)
{
    return (size_t)(s->o.batch * s->o.frames * s->o.channels) * sizeof(float);
}

/* The batch that should be made next; waits; false when the ring stops. */
static bool next_work(rg__ring *ring, int64_t *batch)
{
    pthread_mutex_lock(&ring->lock);
    while (!ring->stop && ring->next >= ring->wanted + ring->n_slots * ring->stride)
        pthread_cond_wait(&ring->changed, &ring->lock);
    bool go = !ring->stop;
    if (go) *batch = ring->next;
    if (go) ring->next += ring->stride;
    pthread_mutex_unlock(&ring->lock);
    return go;
}

/* Batches that are a stride apart lie in neighbouring slots. */
static slot *slot_of(rg__ring *ring, int64_t batch)
{
    return &ring->slots[batch / ring->stride % ring->n_slots];
}

static void put(rg__ring *ring, worker *w, int64_t batch, const rg_error *failure)
{
    pthread_mutex_lock(&ring->lock);
    int64_t ahead = batch - ring->wanted;
    if (ahead >= 0 && ahead < ring->n_slots * ring->stride && ahead % ring->stride == 0) {
        slot *to = slot_of(ring, batch);
        float *theirs = to->samples;
        to->samples = w->samples;
        w->samples = theirs;
        to->error = *failure;
        to->batch = batch;
        to->ready = true;
    }
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

static void *work(void *arg)
{
    worker *w = arg;
    int64_t batch;
    rg_thread_unpin(); /* made by a training loop that is pinned to one CPU */
    while (next_work(w->ring, &batch)) {
        rg_error err = {0};
        (void)!rg__sampler_make(w->ring->sampler, &w->own, batch, w->samples, &err);
        put(w->ring, w, batch, &err);
    }
    return NULL;
}

static rg_status start_worker(rg__ring *ring, rg_error *err)
{
    const rg_sampler *s = ring->sampler;
    worker *w = &ring->workers[ring->n_workers];
    w->ring = ring;
    w->samples = malloc(batch_bytes(s));
    rg_status status = rg__maker_open(&w->own, s, err);
    if (status == RG_OK && w->samples && pthread_create(&w->thread, NULL, work, w) == 0) {
        ring->n_workers++;
        return RG_OK;
    }
    rg__maker_close(&w->own);
    free(w->samples);
    if (status != RG_OK) return status;
    return rg_fail(err, RG_ERR_NOMEM, "cannot start a thread that prepares crops");
}

rg__ring *rg__ring_start(const rg_sampler *s, rg_error *err)
{
    rg__ring *ring = calloc(1, sizeof *ring);
    if (!ring) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for crops");
        return NULL;
    }
    rg_status status = RG_OK;
    ring->sampler = s;
    ring->stride = s->o.stride > 1 ? s->o.stride : 1;
    ring->next = ring->wanted = s->o.first;
    ring->n_slots = s->o.ring > 0 ? s->o.ring : RG__USUAL_SLOTS;
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->changed, NULL);
    for (int32_t i = 0; i < ring->n_slots; i++) {
        ring->slots[i] = (slot){.batch = -1, .samples = malloc(batch_bytes(s))};
        if (!ring->slots[i].samples) status = rg_fail(err, RG_ERR_NOMEM, "no memory for crops");
    }
    for (int32_t t = 0; t < s->o.threads && status == RG_OK; t++) status = start_worker(ring, err);
    if (status == RG_OK) return ring;
    rg__ring_stop(ring);
    return NULL;
}

void rg__ring_stop(rg__ring *ring)
{
    if (!ring) return;
    pthread_mutex_lock(&ring->lock);
    ring->stop = true;
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
    for (int32_t t = 0; t < ring->n_workers; t++) {
        pthread_join(ring->workers[t].thread, NULL);
        rg__maker_close(&ring->workers[t].own);
        free(ring->workers[t].samples);
    }
    for (int32_t i = 0; i < ring->n_slots; i++) free(ring->slots[i].samples);
    pthread_cond_destroy(&ring->changed);
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}

/* A batch out of order empties the ring first. */
rg_status rg__ring_take(rg__ring *ring, int64_t batch, float *out, rg_error *err)
{
    pthread_mutex_lock(&ring->lock);
    if (batch != ring->wanted) {
        for (int32_t i = 0; i < ring->n_slots; i++) ring->slots[i].ready = false;
        ring->next = ring->wanted = batch;
        pthread_cond_broadcast(&ring->changed);
    }
    slot *from = slot_of(ring, batch);
    while (!(from->ready && from->batch == batch)) pthread_cond_wait(&ring->changed, &ring->lock);
    rg_error failure = from->error;
    memcpy(out, from->samples, batch_bytes(ring->sampler));
    from->ready = false;
    ring->wanted = batch + ring->stride;
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
    return failure.code == RG_OK ? RG_OK : rg_fail(err, failure.code, "%s", failure.text);
}
