/*
 * The page of a store: every section, hostile names shown as text, the same page from the same
 * seed, warnings for what is odd, and no half page.
 */
#include "audio/audio.h"
#include "base/fs.h"
#include "eval/store_page.h"
#include "faulty_fs.h"
#include "toy_store.h"

static const char *const hostile = "<script>alert(1)</script>&\"'";

static const char *inside(const char *name)
{
    static char paths[4][800];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", rg_test_folder(), name);
    return path;
}

/* Song 0 has a hostile title and prompt and clips; song 1 equals the test song 2; a bad licence. */
static rg_store *odd_store(const rg_toy *toy)
{
    rg_error err = {0};
    rg_store_info info = rg_toy_info(toy);
    rg_store_writer *writer = rg_store_create(inside("store"), &info, &err);
    double *beats = calloc((size_t)2 * RG_TOY_MAX_BEATS, sizeof *beats);
    ck_assert_msg(writer != NULL, "%s", err.text);
    for (int32_t i = 0; i < toy->songs; i++) {
        rg_song s;
        rg_toy_describe(toy, i, &s, beats);
        int16_t *x = malloc((size_t)(s.frames * toy->roles) * sizeof *x);
        for (int32_t r = 0; r < toy->roles; r++) rg_toy_row(toy, i, r, s.frames, x + r * s.frames);
        if (i == 0) {
            snprintf(s.title, sizeof s.title, "%s", hostile);
            snprintf(s.prompt, sizeof s.prompt, "%s", hostile);
            snprintf(s.instruments[1], sizeof s.instruments[1], "%s", hostile);
            x[77] = -32768;
        }
        if (i > 0) snprintf(s.content_hash, sizeof s.content_hash, "alike");
        rg_provenance p = {.license = i ? "CC0-1.0" : "LicenseRef-unknown",
                           .role_map_json = i ? "{\"notes\": [\"a <b>note</b>\", 5]}" : "no JSON"};
        RG_ASSERT_OK(rg_store_add(writer, &s, &p, x, &err), &err);
        free(x);
    }
    free(beats);
    RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
    rg_store *store = rg_store_open(inside("store"), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

static char *make_page(const rg_store *store, const char *name, uint64_t seed)
{
    rg_error err = {0};
    char *page;
    size_t n;
    RG_ASSERT_OK(rg_store_page(store, inside(name), seed, &err), &err);
    RG_ASSERT_OK(rg_fs_read_all(inside(name), 1 << 28, &page, &n, &err), &err);
    ck_assert_uint_eq(strlen(page), n);
    return page;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text++) n++;
    return n;
}

START_TEST(every_section_and_nothing_hostile)
{
    const rg_toy toy = {3, 3, 16000, 3, 2};
    rg_store *store = odd_store(&toy);
    char *page = make_page(store, "page.html", 0);
    static const char *const ids[] = {"hours", "labels", "levels", "bands", "songs", "warnings"};
    for (int i = 0; i < 6; i++) {
        char section[60];
        snprintf(section, sizeof section, "<section id=\"%s\">", ids[i]);
        ck_assert_msg(count(page, section) == 1, "%s", section);
    }
    ck_assert_int_eq(count(page, "<script>"), 1);
    ck_assert_int_eq(count(page, "alert(1)"), 3);
    ck_assert_int_eq(count(page, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"), 3);
    ck_assert_int_eq(count(page, "<b>note</b>"), 0);
    ck_assert_int_eq(count(page, "class=\"item stems\""), 3);
    ck_assert_int_eq(count(page, "src=\"data:audio/flac;base64,"), 3 * 3 - 1); /* one is absent */
    ck_assert_int_eq(count(page, " src=\""), 3 * 3 - 1);
    ck_assert_int_eq(count(page, "<svg class=\"wave\""), 3 * 3 - 1);
    ck_assert_int_eq(count(page, "<br>by ear: "), 3);
    ck_assert_int_eq(count(page, "Labels and what is heard, in 3 songs drawn"), 1);
    ck_assert_int_eq(count(page, "href=\"http"), 0);
    ck_assert_int_eq(count(page, "nan"), 0);
    ck_assert_ptr_nonnull(strstr(page, "a &lt;b&gt;note&lt;/b&gt;"));
    ck_assert_ptr_nonnull(strstr(page, "reaches full scale: drums"));
    ck_assert_ptr_nonnull(strstr(page, "its licence is not known"));
    ck_assert_ptr_nonnull(strstr(page, "<b>toy-002</b>: has the content of a song on another"));
    free(page);
    rg_store_close(store);
}
END_TEST

/* Bytes that base64 text stands for; *n of them. */
static uint8_t *decode_base64(const char *text, size_t *n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strcspn(text, "\"");
    uint8_t *out = malloc(length);
    uint32_t bits = 0;
    *n = 0;
    for (size_t i = 0; i < length && text[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, text[i]) - digits);
        if (i % 4 > 0) out[(*n)++] = (uint8_t)(bits >> (6 - i % 4 * 2));
    }
    return out;
}

/* The first player of a stereo store's page holds the store's own samples, left and right. */
START_TEST(stereo_is_played_in_stereo)
{
    enum { FRAMES = 12800 };
    const rg_toy toy = {1, 1, 8000, 1.6, 0};
    static const char mark[] = "src=\"data:audio/flac;base64,";
    static int16_t expected[2 * FRAMES];
    rg_error err = {0};
    rg_store *store = rg_toy_build_of(&toy, 2, inside("stereo"));
    char *page = make_page(store, "stereo.html", 0);
    ck_assert_ptr_nonnull(strstr(page, "16 bit, stereo"));
    char *player = strstr(page, mark);
    ck_assert_ptr_nonnull(player);
    size_t n;
    uint8_t *flac = decode_base64(player + sizeof mark - 1, &n);
    RG_ASSERT_OK(rg_fs_write_atomic(inside("player.flac"), flac, n, &err), &err);
    rg_pcm pcm;
    RG_ASSERT_OK(rg_pcm_read(inside("player.flac"), &pcm, &err), &err);
    ck_assert(pcm.channels == 2 && pcm.frames == FRAMES && pcm.rate == toy.rate);
    rg_toy_rows(&toy, 2, 0, FRAMES, expected);
    for (int64_t i = 0; i < 2 * FRAMES; i++)
        ck_assert_int_eq(((int32_t *)pcm.samples)[i], expected[i % 2 * FRAMES + i / 2] * 65536);
    rg_pcm_free(&pcm);
    free(flac);
    free(page);
    rg_store_close(store);
}
END_TEST

START_TEST(the_seed_draws_the_songs)
{
    const rg_toy toy = {2, 14, 8000, 2.017, 0};
    rg_store *store = rg_toy_build(&toy, inside("store"));
    char *a = make_page(store, "a.html", 3), *b = make_page(store, "b.html", 3),
         *c = make_page(store, "c.html", 4);
    ck_assert_int_eq(count(a, "class=\"item stems\""), 10);
    ck_assert(strcmp(a, b) == 0);
    ck_assert(strcmp(a, c) != 0);
    free(a);
    free(b);
    free(c);
    rg_store_close(store);
}
END_TEST

START_TEST(a_failing_call_leaves_no_half_page)
{
    const rg_toy tiny = {1, 1, 1000, 0.3, 0};
    rg_store *store = rg_toy_build(&tiny, inside("store"));
    bool hit = true;
    int64_t nth = 1, failed = 0;
    for (; hit; nth++) {
        rg_error err = {0};
        rg_faulty_begin(RG_FS_FAIL, nth);
        rg_status status = rg_store_page(store, inside("page.html"), 0, &err);
        hit = rg_faulty_end();
        if (status == RG_OK) continue;
        failed++;
        ck_assert_msg(err.text[0] != 0, "call %lld: no error", (long long)nth);
    }
    ck_assert_int_gt(failed, 5);
    char **names;
    size_t n;
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_list(rg_test_folder(), &names, &n, &err), &err);
    rg_fs_free_names(names, n);
    ck_assert_uint_eq(n, 2); /* page.html and store: no temporary */
    rg_store_close(store);
}
END_TEST

RG_TEST_MAIN("store page", 60, every_section_and_nothing_hostile, stereo_is_played_in_stereo,
             the_seed_draws_the_songs, a_failing_call_leaves_no_half_page)
