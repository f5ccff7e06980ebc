/*
 * The token cache: the same codes as the codecs give, refusals by name, and a build that goes on.
 */
#include "datasets/token_cache.h"

#include "base/fs.h"
#include "datasets/sampler.h"
#include "datasets/token_baseline.h"
#include "test.h"
#include "toy_bundle.h"
#include "toy_store.h"

enum { ROLES = 2, SONGS = 4 };

typedef struct world {
    char folder[512], path[1024];
    rg_exec *ex;
    rg_store *store;
    rg_codec codecs[ROLES];
} world;

static void load_codec(world *w, int32_t r, uint64_t seed)
{
    rg_error err = {0};
    char path[1024];
    snprintf(path, sizeof path, "%s/codec-%d.safetensors", w->folder, r);
    rg_toy_codec(w->ex, path, rg_toy_role(r), seed);
    RG_ASSERT_OK(rg_codec_load(path, w->ex, &w->codecs[r], &err), &err);
}

static void open_world_of(world *w, int32_t channels)
{
    rg_error err = {0};
    char store[1024];
    snprintf(w->folder, sizeof w->folder, "%s", rg_test_folder());
    snprintf(store, sizeof store, "%s/store-%d", w->folder, channels);
    w->ex = rg_toy_exec(NULL);
    rg_toy toy = {.roles = ROLES, .songs = SONGS, .rate = 16000, .seconds = 3.1, .absent = 1};
    w->store = rg_toy_build_of(&toy, channels, store);
    for (int32_t r = 0; r < ROLES; r++) load_codec(w, r, 20 + (uint64_t)r);
    RG_ASSERT_OK(rg_tokens_path(w->store, w->codecs, ROLES, w->path, sizeof w->path, &err), &err);
}

static void open_world(world *w)
{
    open_world_of(w, 1);
}

static void close_world(world *w)
{
    for (int32_t r = 0; r < ROLES; r++) rg_codec_free(&w->codecs[r]);
    rg_store_close(w->store);
    rg_exec_destroy(w->ex);
}

static void build(world *w, const rg_log *log)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_tokens_build(w->store, w->codecs, ROLES, w->path, w->ex, NULL, log, &err),
                 &err);
}

static void check_codes(world *w)
{
    rg_error err = {0};
    rg_tokens *tokens = rg_tokens_open(w->path, w->store, w->codecs, ROLES, &err);
    ck_assert_msg(tokens != NULL, "%s", err.text);
    ck_assert_int_eq(rg_tokens_songs(tokens), SONGS);
    for (int64_t i = 0; i < SONGS; i++) {
        const rg_token_song *song = rg_tokens_song(tokens, i);
        const rg_song *in_store = rg_store_song(w->store, song->song);
        ck_assert_str_eq(song->id, in_store->id);
        for (int32_t r = 0; r < ROLES; r++) {
            ck_assert_int_eq(song->codes[r] != NULL, in_store->present[r]);
            if (!song->codes[r]) continue;
            float *samples;
            int64_t n;
            RG_ASSERT_OK(rg_store_read_resampled(w->store, song->song, r, 8000, &samples, &n, &err),
                         &err);
            int64_t frames = (n + 159) / 160;
            ck_assert_int_eq(song->frames, frames);
            int32_t *codes = malloc((size_t)(frames * RG_TOY_BOOKS) * sizeof *codes);
            ck_assert_int_eq(rg_codec_encode_audio(w->ex, &w->codecs[r], samples, n, codes), RG_OK);
            for (int64_t k = 0; k < frames * RG_TOY_BOOKS; k++)
                ck_assert_int_eq(song->codes[r][k], codes[k]);
            free(codes);
            free(samples);
        }
    }
    rg_tokens_close(tokens);
}

/* Of a stereo store those of the channels' mean. */
START_TEST(codes_are_those_of_the_codecs)
{
    for (int32_t channels = 1; channels <= 2; channels++) {
        world w;
        open_world_of(&w, channels);
        build(&w, NULL);
        check_codes(&w);
        build(&w, NULL); /* is there already */
        close_world(&w);
    }
}
END_TEST

static volatile int stop;
static char last_line[512];
static void stop_at_progress(void *ctx, rg_log_level level, const char *text)
{
    (void)ctx;
    if (level == RG_LOG_PROGRESS) stop = 1;
    snprintf(last_line, sizeof last_line, "%s", text);
}

START_TEST(a_stopped_build_goes_on)
{
    world w;
    rg_error err = {0};
    rg_log log = {stop_at_progress, NULL};
    open_world(&w);
    stop = 0;
    ck_assert_int_eq(rg_tokens_build(w.store, w.codecs, ROLES, w.path, w.ex, &stop, &log, &err),
                     RG_ERR_CANCELLED);
    ck_assert(!rg_fs_exists(w.path));
    rg_error_clear(&err);
    build(&w, &log);
    ck_assert_msg(strstr(last_line, "had been encoded before") != NULL, "%s", last_line);
    check_codes(&w);
    char parts[1100];
    snprintf(parts, sizeof parts, "%s.parts", w.path);
    ck_assert(!rg_fs_exists(parts));
    close_world(&w);
}
END_TEST

static void expect_refusal(world *w, const char *word)
{
    rg_error err = {0};
    rg_tokens *tokens = rg_tokens_open(w->path, w->store, w->codecs, ROLES, &err);
    ck_assert_ptr_null(tokens);
    ck_assert_msg(strstr(err.text, word) != NULL, "'%s' is not in: %s", word, err.text);
}

START_TEST(stale_and_foreign_caches_are_refused)
{
    world w;
    rg_error err = {0};
    open_world(&w);
    build(&w, NULL);
    rg_codec_free(&w.codecs[1]);
    load_codec(&w, 1, 99);
    expect_refusal(&w, "role bass");
    rg_codec_free(&w.codecs[1]);
    load_codec(&w, 1, 21);
    check_codes(&w);
    rg_store *mine = w.store;
    char other[1024];
    snprintf(other, sizeof other, "%s/other", w.folder);
    rg_toy toy = {.roles = ROLES, .songs = SONGS, .rate = 16000, .seconds = 2};
    w.store = rg_toy_build(&toy, other);
    expect_refusal(&w, "another store");
    rg_store_close(w.store);
    w.store = mine;
    ck_assert_ptr_null(rg_tokens_open("/nowhere.h5", w.store, w.codecs, ROLES, &err));
    ck_assert_msg(strstr(err.text, "tokens build") != NULL, "%s", err.text);
    close_world(&w);
}
END_TEST

/* Flips one byte of the stored codes of the last song. */
START_TEST(a_flipped_byte_is_found)
{
    world w;
    rg_error err = {0};
    char *data;
    size_t n;
    open_world(&w);
    build(&w, NULL);
    rg_tokens *tokens = rg_tokens_open(w.path, w.store, w.codecs, ROLES, &err);
    const rg_token_song *song = rg_tokens_song(tokens, SONGS - 1);
    size_t bytes = (size_t)song->frames * RG_TOY_BOOKS * sizeof(uint16_t);
    RG_ASSERT_OK(rg_fs_read_all(w.path, 1 << 26, &data, &n, &err), &err);
    char *at = memmem(data, n, song->codes[0], bytes);
    ck_assert_ptr_nonnull(at);
    at[bytes / 2] ^= 1;
    RG_ASSERT_OK(rg_fs_write_atomic(w.path, data, n, &err), &err);
    rg_tokens_close(tokens);
    expect_refusal(&w, "checksum");
    free(data);
    close_world(&w);
}
END_TEST

/* Both baselines are probabilities, and the bigram is better on tokens that repeat. */
START_TEST(baselines_sum_to_one)
{
    world w;
    rg_error err = {0};
    open_world(&w);
    build(&w, NULL);
    rg_tokens *tokens = rg_tokens_open(w.path, w.store, w.codecs, ROLES, &err);
    rg_token_baseline *b = rg_token_baseline_fit(tokens, w.store, RG_SPLIT_TRAIN, &err);
    ck_assert_msg(b != NULL, "%s", err.text);
    for (int32_t before = -1; before < RG_TOY_ENTRIES; before++) {
        double sum = 0;
        for (int32_t v = 0; v < RG_TOY_ENTRIES; v++)
            sum += exp2(-rg_token_bigram_bits(b, 0, 1, before, v));
        RG_ASSERT_NEAR(sum, 1, 1e-9);
    }
    const rg_token_song *song = rg_tokens_song(tokens, 1);
    double one = 0, two = 0;
    for (int64_t t = 1; t < song->frames; t++) {
        int32_t v = song->codes[0][t * RG_TOY_BOOKS];
        one += rg_token_unigram_bits(b, 0, 0, v);
        two += rg_token_bigram_bits(b, 0, 0, song->codes[0][(t - 1) * RG_TOY_BOOKS], v);
    }
    ck_assert_msg(two < one, "bigram %.2f, unigram %.2f bits in all", two, one);
    rg_token_baseline_free(b);
    rg_tokens_close(tokens);
    close_world(&w);
}
END_TEST

RG_TEST_MAIN("token_cache", 60, codes_are_those_of_the_codecs, a_stopped_build_goes_on,
             stale_and_foreign_caches_are_refused, a_flipped_byte_is_found, baselines_sum_to_one)
