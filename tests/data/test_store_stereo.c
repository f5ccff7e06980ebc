/*
 * Stereo stores: (roles, 2, frames) as HDF5 itself reads it, channels and their exact mean through
 * the reader, levels over both channels, what is heard, exports, verify. (Wrong shapes are in
 * test_store_hostile.c.)
 */
#include <hdf5.h>
#include <math.h>

#include "audio/audio.h"
#include "base/fs.h"
#include "datasets/song_features.h"
#include "toy_store.h"

static const rg_toy toy = {3, 3, 8000, 2.017, 2};
enum { ROLES = 3, CHANNELS = 2, FRAMES = 16136 };

static int16_t expected[ROLES][CHANNELS][FRAMES]; /* of one song */

static const char *inside(const char *name)
{
    static char paths[4][800];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", rg_test_folder(), name);
    return path;
}

static const char *shard(void)
{
    return inside("store/stems-00000-of-00001.h5");
}

static rg_store *build(void)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_remove_tree(inside("store"), &err), &err);
    return rg_toy_build_of(&toy, CHANNELS, inside("store"));
}

static void expect(int32_t song)
{
    rg_toy_rows(&toy, CHANNELS, song, FRAMES, expected[0][0]);
    if (song == 0) memset(expected[toy.absent], 0, sizeof expected[0]);
}

START_TEST(the_file_has_three_dimensions)
{
    static int16_t got[ROLES][CHANNELS][FRAMES];
    rg_store_close(build());
    expect(1);
    hid_t file = H5Fopen(shard(), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, "/audio/toy-001", H5P_DEFAULT), space = H5Dget_space(set);
    hid_t plist = H5Dget_create_plist(set), channels = H5Aopen(file, "channels", H5P_DEFAULT);
    hsize_t dims[3];
    int32_t said = 0;
    ck_assert_int_eq(H5Sget_simple_extent_ndims(space), 3);
    H5Sget_simple_extent_dims(space, dims, NULL);
    ck_assert(dims[0] == ROLES && dims[1] == CHANNELS && dims[2] == FRAMES);
    ck_assert(H5Pget_layout(plist) == H5D_CONTIGUOUS);
    ck_assert(H5Dread(set, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, got) >= 0);
    ck_assert(H5Aread(channels, H5T_NATIVE_INT32, &said) >= 0 && said == CHANNELS);
    ck_assert_mem_eq(got, expected, sizeof got);
    H5Aclose(channels);
    H5Pclose(plist);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
}
END_TEST

/* What is read of a role from `start` on, against the song's own samples. */
static void check_reads(const rg_store *store, int32_t song, int32_t role, int64_t start, int64_t n)
{
    static float one[CHANNELS][2 * FRAMES], mean[2 * FRAMES];
    rg_error err = {0};
    for (int32_t c = 0; c < CHANNELS; c++)
        RG_ASSERT_OK(rg_store_read_channel(store, song, role, c, start, n, one[c], &err), &err);
    RG_ASSERT_OK(rg_store_read(store, song, role, start, n, mean, &err), &err);
    for (int64_t i = 0; i < n; i++) {
        bool there = start + i >= 0 && start + i < FRAMES;
        int32_t left = there ? expected[role][0][start + i] : 0,
                right = there ? expected[role][1][start + i] : 0;
        ck_assert_msg(one[0][i] * 32768 == (float)left && one[1][i] * 32768 == (float)right,
                      "song %d, role %d: %lld", song, role, (long long)(start + i));
        ck_assert_msg(mean[i] * 65536 == (float)(left + right), "song %d, role %d: mean of %lld",
                      song, role, (long long)(start + i));
    }
}

static void check_songs(const rg_store *store)
{
    ck_assert_int_eq(rg_store_channels(store), CHANNELS);
    for (int32_t song = 0; song < toy.songs; song++) {
        expect(song);
        for (int32_t r = 0; r < ROLES; r++) {
            check_reads(store, song, r, 0, FRAMES);
            check_reads(store, song, r, -100, 300);
            check_reads(store, song, r, FRAMES - 50, 100);
            check_reads(store, song, r, FRAMES + 5, 10);
        }
    }
}

START_TEST(channels_and_their_exact_mean)
{
    rg_error err = {0};
    rg_store *store = build();
    float x;
    check_songs(store);
    for (int32_t c = -2; c < 3; c++)
        ck_assert_int_eq(rg_store_read_channel(store, 0, 0, c, 0, 1, &x, &err),
                         c == -2 || c == 2 ? RG_ERR_USAGE : RG_OK);
    ck_assert_msg(strstr(err.text, "there is no channel 2") || strstr(err.text, "channel -2"), "%s",
                  err.text);
    rg_store_close(store);
}
END_TEST

START_TEST(levels_are_of_both_channels)
{
    rg_store *store = build();
    for (int32_t i = 0; i < toy.songs; i++) {
        const rg_song *s = rg_store_song(store, i);
        expect(i);
        for (int32_t r = 0; r < ROLES; r++) {
            double energy = 0, peak = 0;
            if (!s->present[r]) continue;
            for (int32_t c = 0; c < CHANNELS; c++)
                for (int64_t t = 0; t < FRAMES; t++) {
                    double x = expected[r][c][t] / 32768.0;
                    energy += x * x;
                    peak = fmax(peak, fabs(x));
                }
            ck_assert_double_eq(s->peak[r], peak);
            ck_assert_double_eq_tol(s->rms_dbfs[r], 10 * log10(energy / (2 * FRAMES)), 1e-9);
            for (int64_t b = 0; b < s->n_activity; b++) {
                double sum = 0, n = fmin(800, FRAMES - (double)b * 800);
                for (int64_t t = b * 800; t < b * 800 + (int64_t)n; t++)
                    sum += pow(expected[r][0][t], 2) + pow(expected[r][1][t], 2);
                double db = 10 * log10(sum / (2 * n) / (32768.0 * 32768) + 1e-20) + 96;
                ck_assert_double_eq_tol(s->activity[r * s->n_activity + b], fmax(db, 0),
                                        0.5 + 1e-6);
            }
        }
    }
    rg_store_close(store);
}
END_TEST

START_TEST(heard_is_the_mean_of_channels)
{
    rg_error err = {0};
    rg_store *store = build();
    rg_song_features heard;
    RG_ASSERT_OK(rg_store_features(store, 1, &heard, &err), &err);
    expect(1);
    for (int32_t r = 0; r < ROLES; r++)
        for (int64_t b = 0; b < FRAMES / 800; b++) {
            double sum = 0;
            for (int64_t t = b * 800; t < (b + 1) * 800; t++)
                sum += pow((expected[r][0][t] + expected[r][1][t]) / 65536.0, 2);
            ck_assert_double_eq_tol(heard.energy[r * heard.n_energy + b], sum / 800,
                                    1e-9 + 1e-5 * sum / 800);
        }
    rg_song_features_free(&heard);
    rg_store_close(store);
}
END_TEST

START_TEST(exports_have_both_channels)
{
    rg_store *store = build();
    for (int flac = 0; flac < 2; flac++) {
        rg_error err = {0};
        rg_pcm pcm;
        const char *folder = inside(flac ? "flac" : "wav");
        expect(2);
        RG_ASSERT_OK(rg_store_export(store, 2, folder, flac, &err), &err);
        RG_ASSERT_OK(rg_pcm_read(inside(flac ? "flac/bass.flac" : "wav/bass.wav"), &pcm, &err),
                     &err);
        ck_assert(pcm.type == RG_PCM_S16 && pcm.channels == CHANNELS && pcm.frames == FRAMES);
        for (int64_t i = 0; i < CHANNELS * FRAMES; i++)
            ck_assert_msg(((int32_t *)pcm.samples)[i] == expected[1][i % 2][i / 2] * 65536,
                          "sample %lld", (long long)i);
        rg_pcm_free(&pcm);
        json_t *song =
            rg_json_read(inside(flac ? "flac/song.json" : "wav/song.json"), 1 << 20, &err);
        ck_assert_int_eq(json_integer_value(json_object_get(song, "channels")), CHANNELS);
        json_decref(song);
    }
    rg_store_close(store);
}
END_TEST

static void keep_fault(void *ctx, const char *song, const char *what)
{
    snprintf(ctx, 256, "%s: %s", song, what);
}

START_TEST(verify_finds_a_sample_of_the_right_channel)
{
    char fault[256] = "";
    int64_t faults = 1;
    rg_error err = {0};
    rg_store_close(build());
    RG_ASSERT_OK(rg_store_verify(inside("store"), keep_fault, fault, &faults, &err), &err);
    ck_assert_msg(faults == 0, "%s", fault);
    hid_t file = H5Fopen(shard(), H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, "/audio/toy-001", H5P_DEFAULT), space = H5Dget_space(set);
    const hsize_t at[3] = {1, 1, 5000}, count[3] = {1, 1, 1};
    const int16_t one = 12345;
    hid_t memory = H5Screate_simple(3, count, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, count, NULL);
    ck_assert(H5Dwrite(set, H5T_NATIVE_INT16, memory, space, H5P_DEFAULT, &one) >= 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    RG_ASSERT_OK(rg_store_verify(inside("store"), keep_fault, fault, &faults, &err), &err);
    ck_assert_msg(faults == 1 && strstr(fault, "toy-001: checksum"), "%s", fault);
}
END_TEST

/* One shard a song; then the last one claims to be mono. */
START_TEST(shards_have_channels_in_common)
{
    rg_error err = {0};
    rg_store_info info = rg_toy_info(&toy);
    info.channels = CHANNELS;
    info.shard_bytes = 1;
    rg_store_writer *writer = rg_store_create(inside("shards"), &info, &err);
    ck_assert_msg(writer != NULL, "%s", err.text);
    for (int32_t i = 0; i < toy.songs; i++)
        RG_ASSERT_OK(rg_toy_add_of(&toy, CHANNELS, writer, i, &err), &err);
    RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
    rg_store *store = rg_store_open(inside("shards"), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    check_songs(store);
    rg_store_close(store);
    const int32_t one = 1;
    hid_t file = H5Fopen(inside("shards/stems-00002-of-00003.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t channels = H5Aopen(file, "channels", H5P_DEFAULT);
    ck_assert(H5Awrite(channels, H5T_NATIVE_INT32, &one) >= 0);
    H5Aclose(channels);
    H5Fclose(file);
    ck_assert_ptr_null(rg_store_open(inside("shards"), &err));
    ck_assert_msg(err.code == RG_ERR_MISMATCH && strstr(err.text, "stems-00002-of-00003.h5: rate, "
                                                                  "channels or roles differ"),
                  "%s", err.text);
}
END_TEST

START_TEST(going_on_as_mono_is_refused)
{
    rg_error err = {0};
    rg_store_info info = rg_toy_info(&toy);
    info.channels = 2;
    rg_store_abandon(rg_store_create(inside("unfinished"), &info, &err));
    info.channels = 1;
    ck_assert_ptr_null(rg_store_create(inside("unfinished"), &info, &err));
    ck_assert_msg(strstr(err.text, "'channels' differs"), "%s", err.text);
    rg_error_clear(&err);
    info.channels = 3;
    ck_assert_ptr_null(rg_store_create(inside("three"), &info, &err));
    ck_assert_msg(strstr(err.text, "1 or 2 channels, not 3"), "%s", err.text);
}
END_TEST

RG_TEST_MAIN("store_stereo", 60, the_file_has_three_dimensions, channels_and_their_exact_mean,
             levels_are_of_both_channels, heard_is_the_mean_of_channels, exports_have_both_channels,
             verify_finds_a_sample_of_the_right_channel, shards_have_channels_in_common,
             going_on_as_mono_is_refused)
