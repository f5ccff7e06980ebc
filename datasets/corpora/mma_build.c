/*
 * From composed songs to a store (mma_build.h).
 *
 * One idea: each song goes its whole way in one thread: composed, written, played by MMA, read
 * back, given its labels, rendered, stored.
 */
#include "datasets/corpora/mma_build.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/process.h"
#include "datasets/corpora/corpus_work.h"
#include "datasets/corpora/mma_song.h"

static const rg_corpus_about about = {
    .name = "mma-v1",
    .license = "GPL-2.0-or-later",
    .references = "Debian package mma",
    .soundfont_package = "fluid-soundfont-gm",
    .soundfont_file = "usr/share/sounds/sf2/FluidR3_GM.sf2",
    .prompts = RG_PROMPT_SENTENCE,
};
static const rg_song_source source = {
    .package = "mma", .label = "mma", .license = "GPL-2.0-or-later"};

enum { PATH = 1400, LONGEST_RUN = 120 }; /* seconds for one song; usually 0.2 */

typedef struct build {
    rg_corpus_work work;
    rg_package mma;
    rg_groove *grooves;
    int64_t n_grooves, songs;
    char folder[1100]; /* for what MMA reads and writes */
    char (*ids)[RG_ID_SIZE];
    int64_t *numbers; /* of the songs that are built */
} build;

/* One song on its way. */
typedef struct making {
    const build *build;
    rg_mma_song plan;
    rg_candidate song;
    rg_song labels;
    double *beats, *downbeats;
    rg_song_chord *chords;
} making;

/* ---- MMA ---- */

static rg_status path_of(const making *m, const char *suffix, char out[PATH], rg_error *err)
{
    char name[RG_ID_SIZE + 8];
    rg_format(name, sizeof name, "%s%s", m->song.id, suffix);
    return rg_fs_join(out, PATH, m->build->folder, name, err);
}

/* MMA finds its own files by the folder it runs in, and reads no settings of the user's. */
static rg_status run_mma(const making *m, const char *in, const char *out, rg_error *err)
{
    char home[PATH], output[RG_PROCESS_OUTPUT];
    const char *const argv[] = {"env", "MMA_HOME=.", "python3", "-B", "../../bin/mma",
                                "-i",  "/dev/null",  "-w",      in,   "-f",
                                out,   NULL};
    RG_TRY(rg_fs_join(home, sizeof home, m->build->mma.root, "usr/share/mma", err));
    return rg_process_run(home, argv, LONGEST_RUN, output, err);
}

static rg_status play(making *m, rg_error *err)
{
    char in[PATH], out[PATH], *data = NULL;
    size_t n = 0;
    rg_text text;
    rg_text_init(&text, 1 << 20);
    rg_mma_write(&m->plan, &text);
    rg_status status = rg_text_status(&text, err);
    if (status == RG_OK) status = path_of(m, ".mma", in, err);
    if (status == RG_OK) status = path_of(m, ".mid", out, err);
    if (status == RG_OK) status = rg_fs_write_atomic(in, text.data, text.n, err);
    if (status == RG_OK) status = run_mma(m, in, out, err);
    if (status == RG_OK) status = rg_fs_read_all(out, RG_MIDI_MAX_BYTES, &data, &n, err);
    if (status == RG_OK) status = rg_midi_parse(data, n, out, &m->song.midi, err);
    if (status == RG_OK) {
        rg_sha256_of(text.data, text.n, m->song.sha256);
        rg_midi_content_hash(&m->song.midi, m->song.content_hash);
    }
    free(data);
    rg_text_free(&text);
    return status;
}

/* ---- roles ---- */

/* MMA names its tracks after what they are; what is not here is harmony. */
static const struct {
    const char *track, *role;
} tracks[] = {{"drum", "drums"},  {"bass", "bass"},     {"walk", "bass"}, {"aria", "melody"},
              {"solo", "melody"}, {"melody", "melody"}, {"", "harmony"}};

static const char *role_of(const rg_midi_part *part)
{
    size_t i = 0, n = strcspn(part->track, "-_");
    if (part->channel == RG_MIDI_DRUM_CHANNEL) return tracks[0].role;
    while (tracks[i].track[0] &&
           (strlen(tracks[i].track) != n || strncasecmp(part->track, tracks[i].track, n) != 0))
        i++;
    return tracks[i].role;
}

/* With a role map of the user's own, that decides. */
static rg_status give_roles(making *m, rg_error *err)
{
    const rg_corpus_work *w = &m->build->work;
    rg_midi_parts *parts = &m->song.parts;
    RG_TRY(rg_roles_assign(&m->song.midi, &w->map, parts, err));
    for (int32_t k = 0; !w->options->role_map && k < parts->n; k++)
        for (int32_t r = 0; r < w->map.n; r++)
            if (strcmp(w->map.roles[r].name, role_of(&parts->part[k])) == 0)
                parts->part[k].role = r;
    return RG_OK;
}

/* ---- labels ---- */

static double seconds_of(const making *m, int32_t quarter)
{
    return rg_midi_seconds_at(&m->song.midi, (int64_t)quarter * m->song.midi.division);
}

static void label_times(making *m)
{
    const rg_mma_song *p = &m->plan;
    const rg_groove *g = p->groove;
    for (int32_t i = 0; i < p->bars * g->beats; i++)
        m->beats[i] = seconds_of(m, i * g->quarters / g->beats);
    for (int32_t i = 0; i < p->bars; i++) m->downbeats[i] = seconds_of(m, i * g->quarters);
    for (int32_t i = 0; i < p->n_chords; i++) {
        int32_t end = i + 1 < p->n_chords ? p->chords[i + 1].quarter : p->bars * g->quarters;
        rg_song_chord *c = &m->chords[i];
        *c = (rg_song_chord){.start = seconds_of(m, p->chords[i].quarter),
                             .end = seconds_of(m, end)};
        rg_mma_chord_label(&p->chords[i], c->label);
    }
}

static rg_status label(making *m, rg_error *err)
{
    const rg_mma_song *p = &m->plan;
    const rg_groove *g = p->groove;
    m->beats = calloc((size_t)p->bars * (size_t)g->beats, sizeof *m->beats);
    m->downbeats = calloc((size_t)p->bars, sizeof *m->downbeats);
    m->chords = calloc((size_t)p->n_chords, sizeof *m->chords);
    if (!m->beats || !m->downbeats || !m->chords)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's labels");
    label_times(m);
    m->labels = (rg_song){.split = g->split,
                          .tempo_bpm = rg_mma_tempo_bpm(p),
                          .meter = g->beats,
                          .key_tonic = p->key_tonic,
                          .key_mode = p->key_mode,
                          .n_beats = p->bars * g->beats,
                          .n_downbeats = p->bars,
                          .n_chords = p->n_chords,
                          .beats = m->beats,
                          .downbeats = m->downbeats,
                          .chords = m->chords};
    rg_copy_text(m->labels.genre, sizeof m->labels.genre, g->genre);
    rg_copy_text(m->labels.signature, sizeof m->labels.signature, g->signature);
    rg_format(m->labels.groove, sizeof m->labels.groove, "%.15s:%s", g->style, g->name);
    rg_format(m->labels.group, sizeof m->labels.group, "mma:%s", g->style);
    return RG_OK;
}

static json_t *times_json(const double *times, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_real(times[i]));
    return list;
}

/* The labels as <id>.json beside the MIDI. */
static rg_status write_labels(const making *m, rg_error *err)
{
    const rg_song *s = &m->labels;
    char path[PATH];
    json_t *chords = json_array();
    for (int64_t i = 0; i < s->n_chords; i++)
        json_array_append_new(chords,
                              json_pack("{s:f,s:f,s:s}", "start_s", s->chords[i].start, "end_s",
                                        s->chords[i].end, "label", s->chords[i].label));
    json_t *all = json_pack("{s:s,s:s,s:s,s:s,s:f,s:i,s:s,s:i,s:i,s:o,s:o,s:o}", "id", m->song.id,
                            "split", rg_split_name(s->split), "genre", s->genre, "groove",
                            s->groove, "tempo_bpm", s->tempo_bpm, "meter", s->meter,
                            "time_signature", s->signature, "key_tonic", s->key_tonic, "key_mode",
                            s->key_mode, "beats_s", times_json(s->beats, s->n_beats), "downbeats_s",
                            times_json(s->downbeats, s->n_downbeats), "chords", chords);
    char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
    json_decref(all);
    rg_status status = text ? path_of(m, ".json", path, err)
                            : rg_fail(err, RG_ERR_NOMEM, "no memory for a song's labels");
    if (status == RG_OK) status = rg_fs_write_atomic(path, text, strlen(text), err);
    free(text);
    return status;
}

/* ---- songs ---- */

static void plan_song(const build *b, int64_t number, rg_mma_song *plan, char id[RG_ID_SIZE])
{
    rg_mma_compose(b->grooves, b->n_grooves, 0, number, plan);
    rg_format(id, RG_ID_SIZE, "mma.%05lld-%s", (long long)number, plan->groove->style);
}

static rg_status make_song(making *m, rg_error *err)
{
    const build *b = m->build;
    rg_candidate *c = &m->song;
    c->source = &source;
    c->package = &b->mma;
    rg_format(c->file, sizeof c->file, "%s.mma", c->id);
    rg_format(c->title, sizeof c->title, "%s %lld", m->plan.groove->genre,
              (long long)m->plan.number);
    RG_TRY(play(m, err));
    RG_TRY(give_roles(m, err));
    RG_TRY(label(m, err));
    if (b->work.options->midi) RG_TRY(write_labels(m, err));
    return rg_corpus_add(&b->work, c, &m->labels, 0, err);
}

static rg_status add_song(void *ctx, int64_t i, rg_error *err)
{
    making *m = calloc(1, sizeof *m);
    if (!m) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song");
    m->build = ctx;
    plan_song(m->build, m->build->numbers[i], &m->plan, m->song.id);
    rg_status status = make_song(m, err);
    rg_midi_free(&m->song.midi);
    free(m->beats);
    free(m->downbeats);
    free(m->chords);
    free(m);
    return status;
}

static const char *id_of(void *ctx, int64_t i)
{
    return ((build *)ctx)->ids[i];
}

/* All songs, or those of one side of the split. */
static rg_status list_songs(build *b, rg_error *err)
{
    const rg_build_options *o = b->work.options;
    int64_t wanted = o->songs ? o->songs : RG_MMA_SONGS;
    rg_split split;
    bool all = !o->split || !rg_split_parse(o->split, &split);
    b->ids = calloc((size_t)wanted, sizeof *b->ids);
    b->numbers = calloc((size_t)wanted, sizeof *b->numbers);
    if (!b->ids || !b->numbers) return rg_fail(err, RG_ERR_NOMEM, "no memory for a list of songs");
    for (int64_t i = 0; i < wanted; i++) {
        rg_mma_song plan;
        if (!all && rg_mma_split(i) != split) continue;
        plan_song(b, i, &plan, b->ids[b->songs]);
        b->numbers[b->songs++] = i;
    }
    return RG_OK;
}

static rg_status prepare(build *b, rg_error *err)
{
    char library[PATH], name[64];
    RG_TRY(rg_corpus_package(&b->work, source.package, &b->mma, err));
    RG_TRY(rg_fs_join(library, sizeof library, b->mma.root, "usr/share/mma/lib/stdlib", err));
    RG_TRY(rg_grooves_read(library, &b->grooves, &b->n_grooves, err));
    RG_TRY(list_songs(b, err));
    rg_format(name, sizeof name, "mma-songs.%ld", (long)getpid());
    if (b->work.options->midi) {
        if (!rg_copy_text(b->folder, sizeof b->folder, b->work.options->midi))
            return rg_fail(err, RG_ERR_USAGE, "--midi: the path is too long");
    } else {
        RG_TRY(rg_fs_join(b->folder, sizeof b->folder, b->work.cache, name, err));
    }
    return rg_fs_make_folders(b->folder, err);
}

rg_status rg_mma_build(const rg_build_options *options, const rg_log *log, rg_error *err)
{
    build *b = calloc(1, sizeof *b);
    if (!b) return rg_fail(err, RG_ERR_NOMEM, "no memory to build a corpus");
    rg_status status = rg_corpus_open(&b->work, &about, options, log, err);
    if (status == RG_OK) status = prepare(b, err);
    const rg_corpus_songs songs = {b->songs, id_of, add_song, b};
    if (status == RG_OK) status = rg_corpus_write(&b->work, &songs, "", err);
    rg_error ignored = {0};
    if (b->folder[0] && !options->midi) {
        rg_status removed = rg_fs_remove_tree(b->folder, status == RG_OK ? err : &ignored);
        if (status == RG_OK) status = removed;
    }
    rg_corpus_close(&b->work);
    free(b->grooves);
    free(b->ids);
    free(b->numbers);
    free(b);
    return status;
}
