/*
 * Fuzzing the audio reader: any bytes are read whole or refused; what is read can be written again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "audio/audio.h"
#include "base/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void one_round(const char *path)
{
    rg_error err = {0};
    rg_pcm pcm;
    if (rg_pcm_read(path, &pcm, &err) != RG_OK) {
        if (!err.text[0]) abort();
        return;
    }
    rg_audio audio;
    if (rg_pcm_to_audio(&pcm, &audio, &err) == RG_OK) rg_audio_levels(&audio);
    rg_audio_free(&audio);
    rg_pcm_free(&pcm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char path[64];
    rg_error err = {0};
    if (!path[0]) snprintf(path, sizeof path, "/tmp/fuzz_wav.%ld", (long)getpid());
    if (rg_fs_write_atomic(path, data, n, &err) != RG_OK) abort();
    one_round(path);
    unlink(path);
    return 0;
}
