/*
 * The renderer (render.h): events into the synthesizer block by block, then levels.
 */
#include "datasets/render.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "base/fs.h"
#include "base/hash.h"
#include "datasets/fluidsynth.h"
#include "datasets/stem_levels.h"

enum { BLOCK = 64, MAX_CHANNELS = 256, LOWEST_SYNTH_RATE = 32000 };
static const double longest_tail = 12, fade = 0.02;

struct rg_renderer {
    const rg_fluid *fluid;
    char soundfont[1024], sha256[RG_SHA256_HEX], version[32];
};

rg_renderer *rg_renderer_open(const char *soundfont, rg_error *err)
{
    const rg_fluid *fluid = rg_fluid_load(err);
    if (!fluid) return NULL;
    if (!rg_fs_exists(soundfont)) {
        rg_fail(err, RG_ERR_UNSUPPORTED,
                "%s: there is no such SoundFont; 'apt-get install timgm6mb-soundfont' brings one",
                soundfont);
        return NULL;
    }
    rg_renderer *r = calloc(1, sizeof *r);
    if (!r || !rg_copy_text(r->soundfont, sizeof r->soundfont, soundfont)) {
        rg_fail(err, RG_ERR_NOMEM, "%s: cannot keep the path", soundfont);
        free(r);
        return NULL;
    }
    r->fluid = fluid;
    rg_copy_text(r->version, sizeof r->version, fluid->fluid_version_str());
    if (rg_sha256_file(soundfont, r->sha256, err) != RG_OK) {
        free(r);
        return NULL;
    }
    return r;
}

void rg_renderer_close(rg_renderer *renderer)
{
    free(renderer);
}

const char *rg_renderer_version(const rg_renderer *renderer)
{
    return renderer->version;
}

const char *rg_renderer_soundfont_sha256(const rg_renderer *renderer)
{
    return renderer->sha256;
}

/* ---- the synthesizer ---- */

/* One song being played: rows (n_roles,channels,capacity) at the synthesizer's rate. */
typedef struct player {
    const rg_fluid *fluid;
    rg_fluid_settings *settings;
    rg_fluid_synth *synth;
    const rg_midi *midi;
    const rg_midi_parts *parts;
    int32_t n_roles, channels, rate;
    int16_t channel_of[RG_MIDI_MAX_PARTS]; /* synthesizer channel of a part; -1: not played */
    int64_t next;                          /* event */
    int64_t frames, capacity;
    bool cut; /* ended by the limit */
    float *rows;
} player;

/* A part's channel is congruent to its role modulo the number of roles: that is its output bus. */
static rg_status place_parts(player *p, const char *soundfont, rg_error *err)
{
    int32_t used[RG_MAX_ROLES] = {0};
    for (int32_t k = 0; k < p->parts->n; k++) {
        int32_t role = p->parts->part[k].role;
        p->channel_of[k] = -1;
        if (role < 0) continue;
        int32_t channel = role + p->n_roles * used[role]++;
        if (channel >= MAX_CHANNELS)
            return rg_fail(err, RG_ERR_UNSUPPORTED, "%s: too many parts of one role to render",
                           soundfont);
        p->channel_of[k] = (int16_t)channel;
    }
    return RG_OK;
}

static rg_status start_synth(player *p, const char *soundfont, rg_error *err)
{
    const rg_fluid *f = p->fluid;
    static const struct {
        const char *name;
        int value;
    } settings[] = {{"synth.midi-channels", MAX_CHANNELS},
                    {"synth.reverb.active", 0},
                    {"synth.chorus.active", 0},
                    {"synth.polyphony", 512},
                    {"synth.cpu-cores", 1},
                    {"synth.threadsafe-api", 0}};
    p->settings = f->new_fluid_settings();
    if (!p->settings) return rg_fail(err, RG_ERR_NOMEM, "FluidSynth: no memory for settings");
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        f->fluid_settings_setint(p->settings, settings[i].name, settings[i].value);
    f->fluid_settings_setint(p->settings, "synth.audio-channels", p->n_roles);
    f->fluid_settings_setint(p->settings, "synth.audio-groups", p->n_roles);
    f->fluid_settings_setnum(p->settings, "synth.sample-rate", p->rate);
    f->fluid_settings_setnum(p->settings, "synth.gain", 0.3);
    p->synth = f->new_fluid_synth(p->settings);
    if (!p->synth) return rg_fail(err, RG_ERR_UNSUPPORTED, "FluidSynth does not start");
    if (f->fluid_synth_sfload(p->synth, soundfont, 1) < 0)
        return rg_fail(err, RG_ERR_FORMAT, "%s: FluidSynth cannot load this SoundFont", soundfont);
    for (int c = 0; c < MAX_CHANNELS; c++) f->fluid_synth_set_channel_type(p->synth, c, 0);
    for (int32_t k = 0; k < p->parts->n; k++) {
        if (p->channel_of[k] < 0) continue;
        const rg_midi_part *part = &p->parts->part[k];
        if (part->channel == RG_MIDI_DRUM_CHANNEL)
            f->fluid_synth_set_channel_type(p->synth, p->channel_of[k], 1);
        f->fluid_synth_program_change(p->synth, p->channel_of[k], part->program);
    }
    return RG_OK;
}

/* A controller, bend or pressure of a MIDI channel, for one of its parts. */
static void control_part(const player *p, int channel, const rg_midi_event *e)
{
    const rg_fluid *f = p->fluid;
    switch (e->kind) {
    case 0xA0:
        f->fluid_synth_key_pressure(p->synth, channel, e->a, e->b);
        break;
    case 0xB0:
        f->fluid_synth_cc(p->synth, channel, e->a, e->b);
        break;
    case 0xD0:
        f->fluid_synth_channel_pressure(p->synth, channel, e->a);
        break;
    case 0xE0:
        f->fluid_synth_pitch_bend(p->synth, channel, e->a | e->b << 7);
        break;
    default:
        break;
    }
}

/* Note-offs go to every part of the channel: only the one that holds the note has it. `program` is
 * the channel's current one. */
static void send(player *p, const rg_midi_event *e, uint8_t program[16])
{
    const rg_fluid *f = p->fluid;
    if (e->kind == 0xC0) program[e->channel] = e->a;
    for (int32_t k = 0; k < p->parts->n; k++) {
        const rg_midi_part *part = &p->parts->part[k];
        int channel = p->channel_of[k];
        if (channel < 0 || part->channel != e->channel) continue;
        bool current = part->program == program[e->channel];
        if (e->kind == 0xC0 && current)
            f->fluid_synth_program_change(p->synth, channel, e->a);
        else if (e->kind == 0x90 && e->b > 0 && current)
            f->fluid_synth_noteon(p->synth, channel, e->a, e->b);
        else if (e->kind == 0x80 || (e->kind == 0x90 && e->b == 0))
            f->fluid_synth_noteoff(p->synth, channel, e->a);
        else
            control_part(p, channel, e);
    }
}

/* Adds one block of all buses to the rows; left and right averaged where one channel is wanted. */
static void play_block(player *p)
{
    float block[2 * RG_MAX_ROLES][BLOCK], *out[2 * RG_MAX_ROLES];
    for (int32_t b = 0; b < 2 * p->n_roles; b++) out[b] = block[b];
    memset(block, 0, sizeof block);
    p->fluid->fluid_synth_process(p->synth, BLOCK, 0, NULL, 2 * p->n_roles, out);
    int64_t n = p->capacity - p->frames < BLOCK ? p->capacity - p->frames : BLOCK;
    for (int32_t k = 0; k < p->n_roles * p->channels; k++) {
        float *row = p->rows + k * p->capacity + p->frames;
        for (int64_t i = 0; i < n; i++)
            row[i] =
                p->channels == 1 ? 0.5f * (block[2 * k][i] + block[2 * k + 1][i]) : block[k][i];
    }
    p->frames += n;
}

/* What lies before the start: programs and controllers count, notes do not. */
static void skip_to(player *p, double start, uint8_t program[16])
{
    const rg_midi *m = p->midi;
    for (; p->next < m->n_events && m->events[p->next].seconds < start; p->next++)
        if (m->events[p->next].kind > 0x90) send(p, &m->events[p->next], program);
}

static rg_status play(player *p, double start, double seconds, rg_error *err)
{
    const rg_midi *m = p->midi;
    double length = fmin(seconds, m->seconds + longest_tail - start);
    uint8_t program[16] = {0};
    if (!(length > 0))
        return rg_fail(err, RG_ERR_USAGE, "the song is over before %g seconds", start);
    p->capacity = (int64_t)ceil(length * p->rate);
    p->rows = calloc((size_t)(p->capacity * p->n_roles * p->channels), sizeof *p->rows);
    if (!p->rows) return rg_fail(err, RG_ERR_NOMEM, "no memory to render %g seconds", length);
    skip_to(p, start, program);
    while (p->frames < p->capacity) {
        double now = start + ((double)p->frames + 0.5 * BLOCK) / p->rate;
        while (p->next < m->n_events && m->events[p->next].seconds <= now)
            send(p, &m->events[p->next++], program);
        play_block(p);
        if (p->next == m->n_events && p->fluid->fluid_synth_get_active_voice_count(p->synth) == 0)
            return RG_OK;
    }
    p->cut = true;
    return RG_OK;
}

/* ---- levels ---- */

static rg__rows rows_of(const player *p)
{
    rg__rows rows = {
        .frames = p->frames, .n_roles = p->n_roles, .channels = p->channels, .rate = p->rate};
    for (int32_t k = 0; k < p->n_roles * p->channels; k++)
        rows.rows[k / p->channels][k % p->channels] = p->rows + k * p->capacity;
    return rows;
}

/* Rows at the stems' rate; replaces p->rows. */
static rg_status bring_to_rate(player *p, int32_t rate, rg_error *err)
{
    float *rows = NULL;
    int64_t frames = 0;
    for (int32_t k = 0; k < p->n_roles * p->channels; k++) {
        rg_audio in = {p->rows + k * p->capacity, p->frames, 1, p->rate}, out = {0};
        rg_status status = rg_audio_resample(&in, rate, &out, err);
        if (status == RG_OK && k == 0) {
            frames = out.frames;
            rows = calloc((size_t)(frames * p->n_roles * p->channels), sizeof *rows);
            if (!rows) status = rg_fail(err, RG_ERR_NOMEM, "no memory to resample stems");
        }
        if (status == RG_OK) memcpy(rows + k * frames, out.samples, (size_t)frames * sizeof *rows);
        rg_audio_free(&out);
        if (status != RG_OK) {
            free(rows);
            return status;
        }
    }
    free(p->rows);
    p->rows = rows;
    p->frames = p->capacity = frames;
    p->rate = rate;
    rg__rows all = rows_of(p);
    rg__stems_high_pass(&all);
    return RG_OK;
}

static void fade_out(player *p)
{
    int64_t n = (int64_t)(fade * p->rate);
    for (int32_t k = 0; k < p->n_roles * p->channels; k++)
        for (int64_t i = 0; i < n && i < p->frames; i++)
            p->rows[k * p->capacity + p->frames - 1 - i] *= (float)i / (float)n;
}

static int32_t synth_rate(int32_t rate)
{
    int32_t factor = (LOWEST_SYNTH_RATE + rate - 1) / rate;
    return rate * factor;
}

rg_status rg_render_song(const rg_renderer *renderer, const rg_midi *midi,
                         const rg_midi_parts *parts, int32_t n_roles,
                         const rg_render_options *options, rg_stems *out, rg_error *err)
{
    *out = (rg_stems){0};
    if (options->rate < 8000 || options->rate > 96000)
        return rg_fail(err, RG_ERR_USAGE, "stems are rendered at 8000 to 96000 Hz, not %d",
                       options->rate);
    if (n_roles < 1 || n_roles > RG_MAX_ROLES)
        return rg_fail(err, RG_ERR_USAGE, "stems are rendered for 1 to %d roles, not %d",
                       RG_MAX_ROLES, n_roles);
    if (options->channels < 0 || options->channels > RG_MAX_CHANNELS)
        return rg_fail(err, RG_ERR_USAGE, "stems are rendered with 1 or 2 channels, not %d",
                       options->channels);
    player p = {.fluid = renderer->fluid,
                .midi = midi,
                .parts = parts,
                .n_roles = n_roles,
                .channels = options->channels > 0 ? options->channels : 1,
                .rate = synth_rate(options->rate)};
    double seconds = options->seconds > 0 ? options->seconds : 240;
    rg_status status = place_parts(&p, renderer->soundfont, err);
    if (status == RG_OK) status = start_synth(&p, renderer->soundfont, err);
    if (status == RG_OK) status = play(&p, options->start, seconds, err);
    if (p.synth) p.fluid->delete_fluid_synth(p.synth);
    if (p.settings) p.fluid->delete_fluid_settings(p.settings);
    if (status == RG_OK) status = bring_to_rate(&p, options->rate, err);
    if (status == RG_OK && p.cut) fade_out(&p);
    rg__rows rows = rows_of(&p);
    if (status == RG_OK) status = rg__stems_make(&rows, options->loudness, out, err);
    if (status != RG_OK) rg_stems_free(out);
    free(p.rows);
    return status;
}
