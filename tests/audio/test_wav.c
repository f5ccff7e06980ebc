/*
 * WAV and FLAC reading and writing: exact sample values in every depth, odd lengths, refusals by
 * name, and no half-written file when a call fails.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>

#include "audio/audio.h"
#include "base/fs.h"
#include "base/rng.h"

static void path_of(char out[1024], const char *name)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_join(out, 1024, rg_test_folder(), name, &err), &err);
}

/* Random values as a file of this type would hold them. */
static rg_pcm make_pcm(rg_pcm_type type, int64_t frames, int32_t channels, int32_t rate)
{
    static const int bits[] = {
        [RG_PCM_S16] = 16, [RG_PCM_S24] = 24, [RG_PCM_S32] = 32, [RG_PCM_U8] = 8, [RG_PCM_F64] = 0};
    rg_pcm pcm = {.type = type, .frames = frames, .channels = channels, .rate = rate};
    int64_t n = frames * channels;
    pcm.samples = malloc((size_t)n * rg_pcm_sample_bytes(type));
    rg_rng rng = rg_rng_make(7, (uint64_t)type);
    for (int64_t i = 0; i < n; i++) {
        double x = rg_rng_normal(&rng);
        uint32_t word = rg_rng_u32(&rng);
        if (type == RG_PCM_F32)
            ((float *)pcm.samples)[i] = (float)x;
        else if (type == RG_PCM_F64)
            ((double *)pcm.samples)[i] = x;
        else
            ((uint32_t *)pcm.samples)[i] = word & ~(uint32_t)((1ull << (32 - bits[type])) - 1);
    }
    return pcm;
}

START_TEST(every_depth_and_odd_length_returns_bit_for_bit)
{
    static const rg_pcm_type types[] = {RG_PCM_S16, RG_PCM_S24, RG_PCM_S32,
                                        RG_PCM_F32, RG_PCM_F64, RG_PCM_U8};
    static const int64_t lengths[] = {1, 3, 1001, 44101};
    for (size_t t = 0; t < 6; t++)
        for (size_t l = 0; l < 4; l++)
            for (int32_t channels = 1; channels <= 3; channels++) {
                char path[1024];
                rg_error err = {0};
                path_of(path, "exact.wav");
                rg_pcm in = make_pcm(types[t], lengths[l], channels, 44100), out;
                RG_ASSERT_OK(rg_pcm_write_wav(path, &in, &err), &err);
                RG_ASSERT_OK(rg_pcm_read(path, &out, &err), &err);
                ck_assert_int_eq(out.type, in.type);
                ck_assert_int_eq(out.frames, in.frames);
                ck_assert_int_eq(out.channels, channels);
                ck_assert_int_eq(out.rate, 44100);
                size_t bytes = (size_t)(in.frames * channels) * rg_pcm_sample_bytes(in.type);
                ck_assert_mem_eq(in.samples, out.samples, bytes);
                rg_pcm_free(&in);
                rg_pcm_free(&out);
            }
}
END_TEST

START_TEST(flac_holds_the_same_values)
{
    char path[1024];
    path_of(path, "exact.flac");
    for (int t = 0; t < 2; t++)
        for (int32_t channels = 1; channels <= 3; channels++) {
            rg_error err = {0};
            rg_pcm in = make_pcm(t ? RG_PCM_S24 : RG_PCM_S16, 4097, channels, 32000), out;
            RG_ASSERT_OK(rg_pcm_write_flac(path, &in, &err), &err);
            RG_ASSERT_OK(rg_pcm_read(path, &out, &err), &err);
            ck_assert_int_eq(out.type, in.type);
            ck_assert_int_eq(out.frames, in.frames);
            ck_assert_int_eq(out.channels, channels);
            ck_assert_mem_eq(in.samples, out.samples,
                             (size_t)(in.frames * channels) * rg_pcm_sample_bytes(in.type));
            rg_pcm_free(&in);
            rg_pcm_free(&out);
        }
    rg_error err = {0};
    rg_pcm wide = make_pcm(RG_PCM_F32, 10, 1, 32000);
    ck_assert_int_eq(rg_pcm_write_flac(path, &wide, &err), RG_ERR_UNSUPPORTED);
    rg_pcm_free(&wide);
}
END_TEST

START_TEST(the_same_sound_gives_the_same_file)
{
    char a[1024], b[1024], *x, *y;
    size_t n, m;
    rg_error err = {0};
    path_of(a, "a.wav");
    path_of(b, "b.wav");
    rg_pcm pcm = make_pcm(RG_PCM_F32, 777, 2, 48000);
    RG_ASSERT_OK(rg_pcm_write_wav(a, &pcm, &err), &err);
    RG_ASSERT_OK(rg_pcm_write_wav(b, &pcm, &err), &err);
    RG_ASSERT_OK(rg_fs_read_all(a, 1 << 20, &x, &n, &err), &err);
    RG_ASSERT_OK(rg_fs_read_all(b, 1 << 20, &y, &m, &err), &err);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(x, y, n);
    ck_assert_ptr_null(memmem(x, n, "PEAK", 4));
    rg_pcm_free(&pcm);
    free(x);
    free(y);
}
END_TEST

START_TEST(floats_are_clipped_and_counted)
{
    char path[1024];
    rg_error err = {0};
    float samples[] = {0.0f, 1.0f, -1.0f, 1.5f, -2.0f, 0.5f, 1.0f / 32768};
    rg_audio audio = {samples, 7, 1, 8000}, back;
    int64_t clipped = -1;
    path_of(path, "clip.wav");
    RG_ASSERT_OK(rg_audio_write_wav(path, &audio, RG_PCM_S16, &clipped, &err), &err);
    ck_assert_int_eq(clipped, 2);
    RG_ASSERT_OK(rg_audio_read(path, &back, &err), &err);
    static const int expected[] = {0, 32767, -32768, 32767, -32768, 16384, 1};
    for (int i = 0; i < 7; i++) RG_ASSERT_NEAR(back.samples[i] * 32768, expected[i], 0);
    rg_audio_free(&back);
    RG_ASSERT_OK(rg_audio_write_wav(path, &audio, RG_PCM_F32, &clipped, &err), &err);
    ck_assert_int_eq(clipped, 0);
    RG_ASSERT_OK(rg_audio_read(path, &back, &err), &err);
    ck_assert_mem_eq(back.samples, samples, sizeof samples);
    rg_audio_free(&back);
}
END_TEST

static void check_refused(const char *path, rg_status code, const char *words)
{
    rg_error err = {0};
    rg_audio out;
    ck_assert_int_eq(rg_audio_read(path, &out, &err), code);
    ck_assert_msg(strstr(err.text, words) != NULL, "'%s' is not in '%s'", words, err.text);
    ck_assert_msg(strstr(err.text, path) != NULL, "the path is not in '%s'", err.text);
    ck_assert_ptr_null(out.samples);
}

START_TEST(bad_files_are_refused_by_name)
{
    char path[1024];
    rg_error err = {0};
    path_of(path, "absent.wav");
    check_refused(path, RG_ERR_IO, "cannot open");
    check_refused(rg_test_folder(), RG_ERR_IO, "folder");
    path_of(path, "text.wav");
    RG_ASSERT_OK(rg_fs_write_atomic(path, "not a sound", 11, &err), &err);
    check_refused(path, RG_ERR_FORMAT, "not a sound file");
    rg_pcm pcm = make_pcm(RG_PCM_F32, 300, 2, 22050);
    ((float *)pcm.samples)[2 * 123 + 1] = NAN;
    path_of(path, "nan.wav");
    RG_ASSERT_OK(rg_pcm_write_wav(path, &pcm, &err), &err);
    check_refused(path, RG_ERR_NUMERIC, "frame 123, channel 1");
    pcm.frames = 0;
    path_of(path, "empty.wav");
    RG_ASSERT_OK(rg_pcm_write_wav(path, &pcm, &err), &err);
    check_refused(path, RG_ERR_FORMAT, "no sound");
    pcm.rate = 1;
    ck_assert_int_eq(rg_pcm_write_wav(path, &pcm, &err), RG_ERR_SHAPE);
    rg_pcm_free(&pcm);
}
END_TEST

START_TEST(not_finite_floats_are_not_written)
{
    char path[1024];
    rg_error err = {0};
    float samples[] = {0, INFINITY};
    rg_audio audio = {samples, 2, 1, 8000};
    path_of(path, "inf.wav");
    ck_assert_int_eq(rg_audio_write_wav(path, &audio, RG_PCM_F32, NULL, &err), RG_ERR_NUMERIC);
    ck_assert(!rg_fs_exists(path));
}
END_TEST

/* ---- every call fails once ---- */

static int calls_left;
static rg_fs_calls failing;

static bool fails_now(void)
{
    errno = ENOSPC;
    return calls_left-- == 0;
}
static int64_t failing_write(int fd, const void *buf, size_t n)
{
    return fails_now() ? -1 : rg_fs_posix()->write(fd, buf, n);
}
static int64_t failing_pread(int fd, void *buf, size_t n, int64_t offset)
{
    return fails_now() ? -1 : rg_fs_posix()->pread(fd, buf, n, offset);
}
static int64_t failing_seek(int fd, int64_t offset, int whence)
{
    return fails_now() ? -1 : rg_fs_posix()->seek(fd, offset, whence);
}
static int failing_open(const char *path, int flags, unsigned mode)
{
    return fails_now() ? -1 : rg_fs_posix()->open(path, flags, mode);
}
static int failing_fsync(int fd)
{
    return fails_now() ? -1 : rg_fs_posix()->fsync(fd);
}

static void install_failing(int nth)
{
    failing = *rg_fs_posix();
    failing.write = failing_write;
    failing.pread = failing_pread;
    failing.seek = failing_seek;
    failing.open = failing_open;
    failing.fsync = failing_fsync;
    calls_left = nth;
    rg_fs_install(&failing);
}

START_TEST(a_failed_call_leaves_the_old_file_or_the_new)
{
    char path[1024];
    rg_error err = {0};
    path_of(path, "kept.wav");
    rg_pcm old = make_pcm(RG_PCM_S16, 100, 1, 8000), new = make_pcm(RG_PCM_S24, 40001, 1, 8000);
    bool done = false;
    int nth = 0, kept = 0;
    for (; !done; nth++) {
        RG_ASSERT_OK(rg_pcm_write_wav(path, &old, &err), &err);
        rg_error fault = {0};
        install_failing(nth);
        rg_status status = rg_pcm_write_wav(path, &new, &fault);
        done = calls_left >= 0;
        rg_fs_install(NULL);
        ck_assert_msg(!done || status == RG_OK, "call %d: %s", nth, fault.text);
        rg_pcm seen;
        RG_ASSERT_OK(rg_pcm_read(path, &seen, &err), &err);
        bool replaced = seen.frames == new.frames;
        ck_assert(replaced || seen.frames == old.frames);
        ck_assert(replaced || status != RG_OK);
        kept += !replaced;
        rg_pcm_free(&seen);
    }
    ck_assert_int_gt(kept, 5);
    for (nth = 0, done = false; !done; nth++) {
        rg_error fault = {0};
        rg_pcm seen;
        install_failing(nth);
        rg_status status = rg_pcm_read(path, &seen, &fault);
        done = calls_left >= 0;
        rg_fs_install(NULL);
        if (!done && status != RG_OK) ck_assert_int_eq(status, RG_ERR_IO);
        if (status == RG_OK) ck_assert_int_eq(seen.frames, new.frames);
        rg_pcm_free(&seen);
    }
    ck_assert_int_gt(nth, 3);
    rg_pcm_free(&old);
    rg_pcm_free(&new);
}
END_TEST

RG_TEST_MAIN("wav", 60, every_depth_and_odd_length_returns_bit_for_bit, flac_holds_the_same_values,
             the_same_sound_gives_the_same_file, floats_are_clipped_and_counted,
             bad_files_are_refused_by_name, not_finite_floats_are_not_written,
             a_failed_call_leaves_the_old_file_or_the_new)
