/*
 * Orders in a prompt (wishes.h).
 */
#include "generate/wishes.h"

#include <string.h>

static double seconds_of_bars(const rg_prompt *prompt, const rg_conditions *conditions)
{
    const double tempo = conditions->tempo > 0 ? conditions->tempo : prompt->usual_tempo;
    const int32_t beats = conditions->meter > 0 ? conditions->meter : 4;
    return tempo > 0 ? prompt->bars * beats * 60 / tempo : 0;
}

rg_wishes rg_wishes_of(const rg_prompt *prompt, const rg_conditions *conditions)
{
    rg_wishes wishes = {.seconds = prompt->duration};
    memcpy(wishes.tracks, prompt->tracks, sizeof wishes.tracks);
    if (prompt->bars > 0) wishes.seconds = seconds_of_bars(prompt, conditions);
    return wishes;
}

int32_t rg_wishes_track(const rg_wishes *wishes, const char *role)
{
    for (size_t i = 0; i < RG_PROMPT_TRACKS; i++)
        if (!strcmp(rg_prompt_track(i), role)) return wishes->tracks[i];
    return 0;
}

static bool has_role(const rg_track_config *config, const char *name)
{
    for (int32_t r = 0; r < config->n_roles; r++)
        if (!strcmp(config->roles[r].name, name)) return true;
    return false;
}

const char *rg_wishes_missing(const rg_wishes *wishes, const rg_track_config *config)
{
    for (size_t i = 0; i < RG_PROMPT_TRACKS; i++)
        if (wishes->tracks[i] > 0 && !has_role(config, rg_prompt_track(i)))
            return rg_prompt_track(i);
    return NULL;
}
