/*
 * Fuzzing the prompt analyzer: any sentence is understood in part or refused, never more than that.
 */
#include <string.h>

#include "fuzz.h"
#include "music/prompt/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static rg_vocabulary words;
    if (!words.n && !rg_vocabulary_make(&words)) abort();
    char *text = malloc(n + 1);
    if (!text) abort();
    memcpy(text, data, n);
    text[n] = 0;
    rg_error err = {0};
    rg_prompt prompt;
    if (rg_prompt_analyze(text, &words, &prompt, &err) == RG_OK) {
        if (prompt.n > RG_MAX_FINDINGS || prompt.n_conflicts > RG_MAX_CONFLICTS) abort();
        if (!(prompt.tempo >= 0 && prompt.tempo_low <= prompt.tempo_high)) abort();
        for (size_t i = 0; i < prompt.n; i++) {
            const rg_finding *f = prompt.findings + i;
            if (f->from >= f->to || f->to > n || !(f->confidence > 0)) abort();
        }
        json_decref(rg_prompt_to_json(&prompt));
    } else if (!err.text[0]) {
        abort();
    }
    free(text);
    return 0;
}
