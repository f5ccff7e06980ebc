/*
 * Hearing locked tracks (hearing.h).
 */
#include "generate/hearing.h"

#include <string.h>

#include "music/features/features.h"

enum { HEARD_RATE = 22050 };
/* Below these what is heard is as likely wrong as right. */
static const double sure_tempo = 0.55, sure_key = 0.6;

/* The sounds that are heard together. */
typedef struct listening {
    int32_t n;
    rg_audio audio[RG_TRACK_ROLES];
    rg_feature_source sources[RG_TRACK_ROLES];
    bool pitched;
} listening;

static rg_status add_sound(listening *l, const char *role, const rg_pcm *pcm, rg_error *err)
{
    rg_audio *audio = &l->audio[l->n];
    RG_TRY(rg_stem_listen(pcm, HEARD_RATE, audio, err));
    l->sources[l->n] = (rg_feature_source){role, rg_reader_of(audio, err)};
    if (!l->sources[l->n++].reader) return err->code;
    l->pitched = l->pitched || strcmp(role, "drums") != 0;
    return RG_OK;
}

static void stop_listening(listening *l)
{
    for (int32_t i = 0; i < l->n; i++) {
        rg_reader_close(l->sources[i].reader);
        rg_audio_free(&l->audio[i]);
    }
}

static rg_status hear(const listening *l, rg_hearing *out, rg_error *err)
{
    rg_features features;
    rg_status status = rg_features_of(l->sources, l->n, &features, err);
    const rg_tempo *tempo = &features.tempi[0];
    const rg_key_fit *key = &features.keys[0];
    if (status == RG_OK && tempo->confidence >= sure_tempo) out->tempo = tempo->bpm;
    if (status == RG_OK && l->pitched && features.n_keys > 0 && key->correlation >= sure_key) {
        out->key_tonic = key->key.tonic;
        out->key_mode = key->key.mode;
    }
    rg_features_free(&features);
    return status;
}

rg_status rg_hear_locked(const rg_kept_role *kept, const bool *locked,
                         const rg_track_config *config, rg_hearing *out, rg_error *err)
{
    listening l = {0};
    rg_status status = RG_OK;
    *out = (rg_hearing){.key_tonic = -1};
    for (int32_t r = 0; r < config->n_roles && status == RG_OK; r++)
        if (locked[r] && kept[r].lock.pcm.frames > 0)
            status = add_sound(&l, config->roles[r].name, &kept[r].lock.pcm, err);
    if (status == RG_OK && l.n) status = hear(&l, out, err);
    stop_listening(&l);
    return status;
}
