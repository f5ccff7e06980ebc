/*
 * Fuzzing the audio reader: any bytes are read whole or refused; what is read can be written again.
 */
#include "audio/audio.h"
#include "fuzz.h"

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
    one_round(fuzz_file(data, n));
    return 0;
}
