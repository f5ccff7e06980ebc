/*
 * Opus by its command-line programs (opus_baseline.h).
 */
#include "eval/metrics/opus_baseline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/text.h"

enum { OPUS_RATE = 48000, LIMIT_SECONDS = 60, FOLDER = 512 };

rg_status rg_opus_installed(rg_error *err)
{
    static const char *const programs[] = {"opusenc", "opusdec"};
    char output[RG_PROCESS_OUTPUT];
    for (int i = 0; i < 2; i++) {
        const char *const argv[] = {programs[i], "--version", NULL};
        if (rg_process_run("/", argv, LIMIT_SECONDS, output, NULL) != RG_OK)
            return rg_fail(err, RG_ERR_UNSUPPORTED, "%s is not installed (package opus-tools)",
                           programs[i]);
    }
    return RG_OK;
}

/* ---- Ogg pages ---- */

int64_t rg_ogg_payload(const uint8_t *file, size_t n)
{
    enum { HEADER = 27 };
    static const uint8_t zeros[8] = {0};
    int64_t sum = 0;
    size_t at = 0;
    while (at < n) {
        const uint8_t *page = file + at;
        if (n - at < HEADER || memcmp(page, "OggS", 4) != 0) return -1;
        size_t segments = page[26], body = 0;
        if (n - at < HEADER + segments) return -1;
        for (size_t i = 0; i < segments; i++) body += page[HEADER + i];
        if (n - at < HEADER + segments + body) return -1;
        if (memcmp(page + 6, zeros, sizeof zeros) != 0) sum += (int64_t)body;
        at += HEADER + segments + body;
    }
    return n > 0 ? sum : -1;
}

static rg_status count_bits(const char *path, double seconds, double *taken, rg_error *err)
{
    char *data = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_read_all(path, 64 << 20, &data, &n, err));
    int64_t bytes = rg_ogg_payload((const uint8_t *)data, n);
    free(data);
    if (bytes < 0) return rg_fail(err, RG_ERR_FORMAT, "%s: opusenc wrote no whole Ogg file", path);
    *taken = 8 * (double)bytes / seconds;
    return RG_OK;
}

/* ---- there and back ---- */

static rg_status path_in(const char *folder, const char *name, char out[FOLDER + 32], rg_error *err)
{
    return rg_fs_join(out, FOLDER + 32, folder, name, err);
}

static rg_status write_input(const char *folder, const rg_audio *x, rg_error *err)
{
    char path[FOLDER + 32];
    rg_audio at_opus_rate;
    RG_TRY(path_in(folder, "in.wav", path, err));
    RG_TRY(rg_audio_resample(x, OPUS_RATE, &at_opus_rate, err));
    rg_status status = rg_audio_write_wav(path, &at_opus_rate, RG_PCM_S24, NULL, err);
    rg_audio_free(&at_opus_rate);
    return status;
}

static rg_status read_output(const char *folder, int32_t rate, float *out, int64_t n, rg_error *err)
{
    char path[FOLDER + 32];
    rg_audio decoded, y;
    RG_TRY(path_in(folder, "out.wav", path, err));
    RG_TRY(rg_audio_read(path, &decoded, err));
    rg_status status =
        decoded.channels == 1
            ? rg_audio_resample(&decoded, rate, &y, err)
            : rg_fail(err, RG_ERR_FORMAT, "opusdec gave %d channels, not 1", decoded.channels);
    rg_audio_free(&decoded);
    RG_TRY(status);
    int64_t m = y.frames < n ? y.frames : n;
    memcpy(out, y.samples, (size_t)m * sizeof *out);
    memset(out + m, 0, (size_t)(n - m) * sizeof *out);
    rg_audio_free(&y);
    return RG_OK;
}

static rg_status code(const char *folder, double bits_per_second, rg_error *err)
{
    char rate[32], output[RG_PROCESS_OUTPUT];
    rg_format(rate, sizeof rate, "%.3f", bits_per_second / 1000);
    const char *const encode[] = {"opusenc", "--quiet",  "--bitrate", rate,
                                  "in.wav",  "out.opus", NULL};
    const char *const decode[] = {"opusdec", "--quiet",  "--float", "--rate",
                                  "48000",   "out.opus", "out.wav", NULL};
    RG_TRY(rg_process_run(folder, encode, LIMIT_SECONDS, output, err));
    return rg_process_run(folder, decode, LIMIT_SECONDS, output, err);
}

static rg_status make_folder(char folder[FOLDER], rg_error *err)
{
    const char *base = getenv("TMPDIR");
    if (!base || !base[0]) base = "/tmp";
    if (rg_format(folder, FOLDER, "%s/rg-opus-XXXXXX", base) >= FOLDER)
        return rg_fail(err, RG_ERR_USAGE, "TMPDIR: the path is too long");
    if (mkdtemp(folder)) return RG_OK;
    return rg_fail(err, RG_ERR_IO, "%s: cannot make a folder: %s", base, strerror(errno));
}

rg_status rg_opus_baseline(const float *x, int64_t n, int32_t rate, double bits_per_second,
                           float *out, double *taken, rg_error *err)
{
    char folder[FOLDER], coded[FOLDER + 32];
    rg_audio sound = {(float *)x, n, 1, rate};
    if (!(bits_per_second > RG_OPUS_LOWEST)) bits_per_second = RG_OPUS_LOWEST;
    if (bits_per_second > RG_OPUS_HIGHEST) bits_per_second = RG_OPUS_HIGHEST;
    RG_TRY(make_folder(folder, err));
    rg_status status = path_in(folder, "out.opus", coded, err);
    if (status == RG_OK) status = write_input(folder, &sound, err);
    if (status == RG_OK) status = code(folder, bits_per_second, err);
    if (status == RG_OK) status = count_bits(coded, (double)n / rate, taken, err);
    if (status == RG_OK) status = read_output(folder, rate, out, n, err);
    rg_error ignored = {0};
    rg_status removed = rg_fs_remove_tree(folder, status == RG_OK ? err : &ignored);
    return status != RG_OK ? status : removed;
}
