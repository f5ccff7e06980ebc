/*
 * One role of a store at a lower rate (resampled.h).
 *
 * One idea: block b of a song covers the store's frames [b, b+1) * block_in; held or not, it is
 * made by make_block and by nothing else.
 */
#include "datasets/resampled.h"

#include <math.h>
#include <soxr.h>
#include <stdlib.h>
#include <string.h>

static const double block_seconds = 0.5, margin_seconds = 0.05;
enum { TAIL = 64, LARGEST_RATIO = 1000 };

struct rg_resampled {
    const rg_store *store;
    int32_t role, channel;
    rg_ratio ratio;
    int64_t block_in, block_out; /* frames of a block in the store, and resampled */
    int64_t margin;              /* store frames on each side, a multiple of ratio.in */
    int16_t **held;              /* by song: (blocks, block_out), or NULL */
    rg_resampler *own;           /* of rg_resampled_hold */
};

struct rg_resampler {
    soxr_t soxr;
    float *read, *made; /* store rate, lower rate, both with margins */
    int16_t *block;     /* (block_out) */
    int64_t song, at;   /* of the block in `block`; song -1: none */
};

static bool is_plain(const rg_resampled *r)
{
    return r->ratio.in == r->ratio.out;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

static int64_t multiple_near(double frames, int64_t of)
{
    int64_t n = (int64_t)(frames / (double)of) + 1;
    return n * of;
}

/* ---- blocks ---- */

static int64_t frames_read(const rg_resampled *r)
{
    return r->block_in + 2 * r->margin;
}

static int64_t frames_made(const rg_resampled *r)
{
    return frames_read(r) / r->ratio.in * r->ratio.out + TAIL;
}

static int64_t blocks_of(const rg_resampled *r, int64_t song)
{
    return (rg_store_song(r->store, song)->frames + r->block_in - 1) / r->block_in;
}

/* Rounds as a store's samples are; what resampling lifted over full scale is cut. */
static void round_samples(const float *x, int64_t n, int16_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        float y = x[i] * 32768.0f;
        y = y > 32767.0f ? 32767.0f : (y < -32768.0f ? -32768.0f : y);
        out[i] = (int16_t)lrintf(y);
    }
}

static rg_status make_block(const rg_resampled *r, rg_resampler *own, int64_t song, int64_t block,
                            int16_t *out, rg_error *err)
{
    size_t in = (size_t)frames_read(r), room = (size_t)frames_made(r), used, got = 0, more = 0;
    size_t skip = (size_t)(r->margin / r->ratio.in * r->ratio.out);
    RG_TRY(rg_store_read_channel(r->store, song, r->role, r->channel,
                                 block * r->block_in - r->margin, (int64_t)in, own->read, err));
    soxr_clear(own->soxr);
    soxr_error_t failed = soxr_process(own->soxr, own->read, in, &used, own->made, room, &got);
    if (!failed)
        failed = soxr_process(own->soxr, NULL, 0, NULL, own->made + got, room - got, &more);
    if (failed || got + more < skip + (size_t)r->block_out)
        return rg_fail(err, RG_ERR_NUMERIC, "soxr: resampling song %s failed: %s",
                       rg_store_song(r->store, song)->id, failed ? failed : "too few samples");
    round_samples(own->made + skip, r->block_out, out);
    return RG_OK;
}

/* A block, held or made now; NULL after an error. */
static const int16_t *find_block(const rg_resampled *r, rg_resampler *own, int64_t song,
                                 int64_t block, rg_error *err)
{
    if (r->held[song]) return r->held[song] + block * r->block_out;
    if (own->song == song && own->at == block) return own->block;
    own->song = -1;
    if (make_block(r, own, song, block, own->block, err) != RG_OK) return NULL;
    own->song = song;
    own->at = block;
    return own->block;
}

rg_status rg_resampled_read(const rg_resampled *r, rg_resampler *own, int64_t song, int64_t start,
                            int64_t n, float *out, rg_error *err)
{
    if (is_plain(r))
        return rg_store_read_channel(r->store, song, r->role, r->channel, start, n, out, err);
    int64_t blocks = blocks_of(r, song), at = start / r->ratio.in * r->ratio.out;
    for (int64_t done = 0; done < n;) {
        int64_t block = (at + done) / r->block_out, first = (at + done) % r->block_out;
        int64_t count = r->block_out - first < n - done ? r->block_out - first : n - done;
        const int16_t *from = NULL;
        if (block < blocks) {
            from = find_block(r, own, song, block, err);
            if (!from) return err && err->code ? err->code : RG_ERR_IO;
        }
        for (int64_t i = 0; i < count; i++)
            out[done + i] = from ? from[first + i] * (1.0f / 32768) : 0;
        done += count;
    }
    return RG_OK;
}

/* ---- holding ---- */

int64_t rg_resampled_song_bytes(const rg_resampled *r, int64_t song)
{
    if (is_plain(r)) return 0;
    return blocks_of(r, song) * r->block_out * (int64_t)sizeof(int16_t);
}

rg_status rg_resampled_hold(rg_resampled *r, int64_t song, rg_error *err)
{
    int64_t blocks = blocks_of(r, song);
    if (is_plain(r) || r->held[song] || blocks == 0) return RG_OK;
    if (!r->own) r->own = rg_resampler_create(r, err);
    if (!r->own) return RG_ERR_NOMEM;
    int16_t *made = malloc((size_t)rg_resampled_song_bytes(r, song));
    if (!made) return rg_fail(err, RG_ERR_NOMEM, "no memory for a resampled song");
    rg_status status = RG_OK;
    for (int64_t b = 0; b < blocks && status == RG_OK; b++)
        status = make_block(r, r->own, song, b, made + b * r->block_out, err);
    if (status == RG_OK)
        r->held[song] = made;
    else
        free(made);
    return status;
}

/* ---- opening ---- */

rg_resampler *rg_resampler_create(const rg_resampled *r, rg_error *err)
{
    rg_resampler *own = calloc(1, sizeof *own);
    if (own && is_plain(r)) return own;
    if (own) {
        soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
        own->song = -1;
        own->read = malloc((size_t)frames_read(r) * sizeof *own->read);
        own->made = malloc((size_t)frames_made(r) * sizeof *own->made);
        own->block = malloc((size_t)r->block_out * sizeof *own->block);
        own->soxr =
            soxr_create((double)r->ratio.in, (double)r->ratio.out, 1, NULL, NULL, &quality, NULL);
        if (own->read && own->made && own->block && own->soxr) return own;
    }
    rg_resampler_destroy(own);
    rg_fail(err, RG_ERR_NOMEM, "no memory for resampling");
    return NULL;
}

void rg_resampler_destroy(rg_resampler *own)
{
    if (!own) return;
    if (own->soxr) soxr_delete(own->soxr);
    free(own->read);
    free(own->made);
    free(own->block);
    free(own);
}

static rg_status check(const rg_store *store, int32_t role, int32_t channel, int32_t rate,
                       rg_error *err)
{
    int32_t have = rg_store_rate(store);
    if (role < 0 || role >= rg_store_roles(store))
        return rg_fail(err, RG_ERR_USAGE, "%s: has no role %d", rg_store_folder(store), role);
    if (channel < RG_CHANNEL_MEAN || channel >= rg_store_channels(store))
        return rg_fail(err, RG_ERR_USAGE, "%s: has no channel %d", rg_store_folder(store), channel);
    if (rate < 1000 || rate > have)
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: crops at %d Hz were asked for, the store has %d Hz; build the store at "
                       "a higher rate or lower the codec's",
                       rg_store_folder(store), rate, have);
    if (have / gcd(have, rate) > LARGEST_RATIO)
        return rg_fail(err, RG_ERR_USAGE, "%s: %d Hz has no small ratio to the store's %d Hz",
                       rg_store_folder(store), rate, have);
    return RG_OK;
}

rg_resampled *rg_resampled_open(const rg_store *store, int32_t role, int32_t channel, int32_t rate,
                                rg_error *err)
{
    if (check(store, role, channel, rate, err) != RG_OK) return NULL;
    rg_resampled *r = calloc(1, sizeof *r);
    int16_t **held = calloc((size_t)rg_store_songs(store) + 1, sizeof *held);
    if (!r || !held) {
        free(r);
        free(held);
        rg_fail(err, RG_ERR_NOMEM, "no memory for resampled stems");
        return NULL;
    }
    int64_t have = rg_store_rate(store), common = gcd(have, rate);
    *r = (rg_resampled){.store = store, .role = role, .channel = channel, .held = held};
    r->ratio = (rg_ratio){have / common, rate / common};
    r->block_in = multiple_near(block_seconds * (double)have, r->ratio.in);
    r->block_out = r->block_in / r->ratio.in * r->ratio.out;
    r->margin = multiple_near(margin_seconds * (double)have, r->ratio.in);
    return r;
}

void rg_resampled_close(rg_resampled *r)
{
    if (!r) return;
    for (int64_t i = 0; i < rg_store_songs(r->store); i++) free(r->held[i]);
    free(r->held);
    rg_resampler_destroy(r->own);
    free(r);
}

rg_ratio rg_resampled_ratio(const rg_resampled *r)
{
    return r->ratio;
}
