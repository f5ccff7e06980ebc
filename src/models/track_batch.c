/*
 * Windows of cells: the host arrays that track models read (track_transformer.h).
 *
 * One idea: one heap block per batch, made outside of training steps; every array of an item is one
 * contiguous run, so items are copied and forgotten whole.
 */
#include <stdlib.h>
#include <string.h>

#include "models/track_transformer.h"

/* One array of the batch, as rows of `width` elements per frame, or per item when not `framed`. */
typedef struct batch_array {
    void **at;
    size_t element, width;
    bool framed;
    int fill; /* byte written by clear: 0, or 0xff for -1 */
} batch_array;

enum { MAX_ARRAYS = 3 * RG_TRACK_ROLES + 4 };

static int32_t list_arrays(const rg_track_config *config, rg_track_batch *b,
                           batch_array out[MAX_ARRAYS])
{
    int32_t n = 0;
    for (int32_t r = 0; r < config->n_roles; r++) {
        const rg_track_role *role = &config->roles[r];
        out[n++] = (batch_array){(void **)&b->codes[r], 4, (size_t)role->books, true, 0xff};
        out[n++] = (batch_array){(void **)&b->latents[r], 4, (size_t)role->dim, true, 0};
        out[n++] = (batch_array){(void **)&b->state[r], 1, 1, true, 0};
    }
    out[n++] = (batch_array){(void **)&b->cells, 1, 1, true, 0};
    out[n++] = (batch_array){(void **)&b->beat, 4, RG_BEAT_FEATURES, true, 0};
    out[n++] = (batch_array){(void **)&b->activity, 4, 1, true, 0xff};
    out[n++] = (batch_array){(void **)&b->conditions, 4, (size_t)config->n_fields, false, 0xff};
    return n;
}

static size_t bytes_per_item(const batch_array *array, int32_t frames)
{
    return array->element * array->width * (array->framed ? (size_t)frames : 1);
}

int64_t rg_track_batch_bytes(const rg_track_config *config, int32_t items, int32_t frames)
{
    rg_track_batch any;
    batch_array arrays[MAX_ARRAYS];
    int64_t bytes = 0;
    int32_t n = list_arrays(config, &any, arrays);
    for (int32_t i = 0; i < n; i++) bytes += (int64_t)bytes_per_item(&arrays[i], frames) * items;
    return bytes;
}

rg_track_batch *rg_track_batch_create(const rg_track_config *config, int32_t items, int32_t frames,
                                      rg_error *err)
{
    rg_track_batch *b = calloc(1, sizeof *b);
    batch_array arrays[MAX_ARRAYS];
    int32_t n = b ? list_arrays(config, b, arrays) : 0;
    bool good = b != NULL;
    for (int32_t i = 0; i < n; i++) {
        *arrays[i].at = malloc(bytes_per_item(&arrays[i], frames) * (size_t)items + 1);
        good = good && *arrays[i].at;
    }
    if (!good) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a batch of %d windows of %d frames", items,
                frames);
        rg_track_batch_free(b);
        return NULL;
    }
    b->items = items;
    b->frames = frames;
    rg_track_batch_clear(config, b);
    return b;
}

void rg_track_batch_free(rg_track_batch *batch)
{
    if (!batch) return;
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) {
        free(batch->codes[r]);
        free(batch->latents[r]);
        free(batch->state[r]);
    }
    free(batch->cells);
    free(batch->beat);
    free(batch->activity);
    free(batch->conditions);
    free(batch);
}

void rg_track_batch_clear(const rg_track_config *config, rg_track_batch *batch)
{
    batch_array arrays[MAX_ARRAYS];
    int32_t n = list_arrays(config, batch, arrays);
    for (int32_t i = 0; i < n; i++)
        memset(*arrays[i].at, arrays[i].fill,
               bytes_per_item(&arrays[i], batch->frames) * (size_t)batch->items);
    batch->target = 0;
    batch->cut = 0;
}

void rg_track_batch_copy(const rg_track_config *config, rg_track_batch *to, int32_t item,
                         const rg_track_batch *from, int32_t from_item)
{
    batch_array dst[MAX_ARRAYS], src[MAX_ARRAYS];
    rg_track_batch source = *from;
    int32_t n = list_arrays(config, to, dst);
    list_arrays(config, &source, src);
    for (int32_t i = 0; i < n; i++) {
        size_t bytes = bytes_per_item(&dst[i], to->frames);
        memmove((char *)*dst[i].at + bytes * (size_t)item,
                (char *)*src[i].at + bytes * (size_t)from_item, bytes);
    }
}

void rg_track_drop_conditions(const rg_track_config *config, rg_track_batch *batch, int32_t item)
{
    int64_t t = batch->frames, f = config->n_fields;
    memset(batch->conditions + item * f, 0xff, (size_t)f * sizeof(int32_t));
    memset(batch->activity + item * t, 0xff, (size_t)t * sizeof(int32_t));
    memset(batch->beat + item * t * RG_BEAT_FEATURES, 0,
           (size_t)t * RG_BEAT_FEATURES * sizeof(float));
}

void rg_track_drop_context(const rg_track_config *config, rg_track_batch *batch, int32_t item)
{
    for (int32_t r = 0; r < config->n_roles; r++)
        if (r != batch->target)
            memset(batch->state[r] + (int64_t)item * batch->frames, RG_CELL_UNKNOWN,
                   (size_t)batch->frames);
}
