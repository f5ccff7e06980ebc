/*
 * resonant analyze: what is heard in sound files, as text, JSON, CSV and a drawing.
 *
 * One idea: a plain file is a song of its own; ROLE=FILE arguments, or a folder of sound files
 * named by their roles, are the stems of one song, and are heard together.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cli/commands.h"
#include "eval/features_plot.h"
#include "music/features/features_json.h"

const rg_option rg_cmd_analyze_options[] = {
    {"json", NULL, "print JSON: an object, or an array of them for several songs"},
    {"csv", NULL, "print rows of feature,stem,start_s,end_s,value,unit,confidence"},
    {"plot", "FILE.svg", "draw chords, bars, energy and rhythm (one song only)"},
    {0},
};

/* The stems of one song. */
typedef struct song {
    const char *name;
    char roles[RG_FEATURE_STEMS][32];
    rg_reader *readers[RG_FEATURE_STEMS];
    int32_t n;
} song;

static void close_song(song *s)
{
    for (int32_t i = 0; i < s->n; i++) rg_reader_close(s->readers[i]);
    s->n = 0;
}

static rg_status add_stem(song *s, const char *role, size_t n, const char *path, rg_error *err)
{
    if (s->n == RG_FEATURE_STEMS)
        return rg_fail(err, RG_ERR_USAGE, "%s: over %d stems in a song", s->name, RG_FEATURE_STEMS);
    char *name = s->roles[s->n];
    snprintf(name, sizeof s->roles[0], "%.*s", (int)(n < 31 ? n : 31), role);
    for (int32_t i = 0; i < s->n; i++)
        if (!strcmp(s->roles[i], name))
            return rg_fail(err, RG_ERR_USAGE, "%s: two stems are called '%s'", path, name);
    s->readers[s->n] = rg_reader_open(path, err);
    if (!s->readers[s->n]) return err->code;
    s->n++;
    return RG_OK;
}

static bool is_sound(const char *name)
{
    static const char *const endings[] = {".wav", ".flac", ".ogg", ".aif", ".aiff", NULL};
    const char *dot = strrchr(name, '.');
    for (int i = 0; dot && endings[i]; i++)
        if (!strcmp(dot, endings[i])) return true;
    return false;
}

/* Sound files of a folder, but "mix" and "mixture", which its stems add up to. */
static rg_status add_folder(song *s, const char *folder, rg_error *err)
{
    char **names, path[1024];
    size_t n;
    RG_TRY(rg_fs_list(folder, &names, &n, err));
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        if (!is_sound(names[i]) || !strncmp(names[i], "mix", 3)) continue;
        status = rg_fs_join(path, sizeof path, folder, names[i], err);
        if (status == RG_OK)
            status = add_stem(s, names[i], (size_t)(strrchr(names[i], '.') - names[i]), path, err);
    }
    rg_fs_free_names(names, n);
    if (status == RG_OK && s->n == 0)
        return rg_fail(err, RG_ERR_USAGE, "%s: no stems in it (.wav, .flac, .ogg, .aiff)", folder);
    return status;
}

/* The '=' of ROLE=FILE; NULL for a plain path, which may hold one, too. */
static const char *role_end(const char *argument)
{
    const char *equals = strchr(argument, '=');
    return rg_fs_exists(argument) ? NULL : equals;
}

/* Opens the song at argument *i and moves *i behind it. */
static rg_status open_song(const rg_args *args, int32_t *i, song *s, rg_error *err)
{
    const char *argument = rg_arg(args, *i), *equals = role_end(argument);
    *s = (song){.name = equals ? "stems" : argument};
    if (!equals) {
        ++*i;
        if (rg_fs_is_folder(argument)) return add_folder(s, argument, err);
        return add_stem(s, "mix", 3, argument, err);
    }
    for (; *i < rg_arg_count(args) && (equals = role_end(rg_arg(args, *i))); ++*i)
        RG_TRY(add_stem(s, rg_arg(args, *i), (size_t)(equals - rg_arg(args, *i)), equals + 1, err));
    return RG_OK;
}

/* ---- text ---- */

static const char *field(double v, const char *format, char out[40])
{
    if (isfinite(v))
        rg_format(out, 40, format, v);
    else
        snprintf(out, 40, "-");
    return out;
}

static void print_chords(const rg_features *f)
{
    enum { SHOWN = 16 };
    char label[16];
    printf("chords      ");
    for (int64_t i = 0; i < f->n_chords && i < SHOWN; i++)
        printf(" %s", rg_chord_label(&f->chords[i], label));
    printf("%s\n", f->n_chords > SHOWN ? " ..." : "");
}

static void print_stems(const rg_features *f)
{
    char a[40], b[40];
    for (int32_t i = -1; i < f->n_stems; i++) {
        const rg_heard *h = i < 0 ? &f->mix : &f->stems[i];
        printf("%-12s %s dBFS, %s onsets a second, %lld active spans, rhythm ", h->role,
               field(h->rms_dbfs, "%.1f", a), field(h->onsets_per_s, "%.2f", b),
               (long long)h->n_active);
        for (int k = 0; k < RG_PATTERN_STEPS; k++)
            putchar(".:+#"[h->pattern[k] > 0.01
                               ? h->pattern[k] > 0.05 ? h->pattern[k] > 0.12 ? 3 : 2 : 1
                               : 0]);
        putchar('\n');
    }
}

static void print_text(const rg_features *f, const char *name)
{
    char a[40], b[40], c[40];
    printf("%s: %s s, %d Hz\n", name, field(f->duration_s, "%.3f", a), f->rate);
    for (int i = 0; i < RG_TEMPI && f->tempi[i].bpm > 0; i++)
        printf("%-12s %s bpm, confidence %s\n", i ? "  or" : "tempo",
               field(f->tempi[i].bpm, "%.2f", a), field(f->tempi[i].confidence, "%.2f", b));
    printf("%-12s %lld beats", "beats", (long long)f->n_beats);
    if (f->meter.beats)
        printf(", %d a bar, confidence %s\n", f->meter.beats,
               field(f->meter.confidence, "%.2f", a));
    else
        printf(", bars unsure\n");
    for (int32_t i = 0; i < f->n_keys; i++)
        printf("%-12s %s %s, correlation %s\n", i ? "  or" : "key",
               rg_pitch_name(f->keys[i].key.tonic), f->keys[i].key.mode ? "minor" : "major",
               field(f->keys[i].correlation, "%.2f", a));
    print_chords(f);
    printf("%-12s %s LUFS\n%-12s %s cents, confidence %s\n", "loudness",
           field(f->loudness_lufs, "%.1f", a), "tuning", field(f->tuning_cents, "%+.0f", b),
           field(f->tuning_confidence, "%.2f", c));
    printf("%-12s %lld sections:", "structure", (long long)f->n_sections);
    for (int64_t i = 0; i < f->n_sections && i < 12; i++)
        printf(" %s", field(f->sections[i].start_s, "%.1f", a));
    printf("%s s\n", f->n_sections > 12 ? " ..." : "");
    print_stems(f);
}

/* ---- CSV: one row for everything that has a time or a value ---- */

static void row(const char *feature, const char *stem, double start, double end, const char *value,
                const char *unit, double confidence)
{
    char a[40], b[40], c[40];
    printf("%s,%s,%s,%s,%s,%s,%s\n", feature, stem, isfinite(start) ? field(start, "%.3f", a) : "",
           isfinite(end) ? field(end, "%.3f", b) : "", value, unit,
           isfinite(confidence) ? field(confidence, "%.3f", c) : "");
}

static void value_row(const char *feature, const char *stem, double value, const char *unit,
                      double confidence)
{
    char text[40];
    row(feature, stem, NAN, NAN, isfinite(value) ? field(value, "%.3f", text) : "", unit,
        confidence);
}

static void csv_spans(const rg_features *f)
{
    char label[16];
    for (int64_t i = 0; i < f->n_beats; i++) {
        const rg_meter *m = &f->meter;
        bool down = i >= m->first && (i - m->first) % m->length == 0;
        row(down ? "downbeat" : "beat", "", f->beats_s[i], NAN, "", "s", f->tempi[0].confidence);
    }
    for (int64_t i = 0; i < f->n_chords; i++)
        row("chord", "", f->chords[i].start_s, f->chords[i].end_s,
            rg_chord_label(&f->chords[i], label), "Harte", f->chords[i].confidence);
    for (int64_t i = 0; i < f->n_sections; i++)
        row("section", "", f->sections[i].start_s, f->sections[i].end_s, "", "s",
            f->sections[i].confidence);
    for (int32_t s = f->n_stems ? 0 : -1; s < f->n_stems; s++) {
        const rg_heard *h = s < 0 ? &f->mix : &f->stems[s];
        for (int64_t i = 0; i < h->n_active; i++)
            row("active", h->role, h->active[i].start_s, h->active[i].end_s, "", "s", 1);
    }
}

static void print_csv(const rg_features *f)
{
    char text[40];
    puts("feature,stem,start_s,end_s,value,unit,confidence");
    for (int i = 0; i < RG_TEMPI && f->tempi[i].bpm > 0; i++)
        value_row("tempo", "", f->tempi[i].bpm, "bpm", f->tempi[i].confidence);
    if (f->meter.beats)
        value_row("meter", "", f->meter.beats, "beats per bar", f->meter.confidence);
    else
        row("meter", "", NAN, NAN, "unsure", "beats per bar", f->meter.confidence);
    for (int32_t i = 0; i < f->n_keys; i++) {
        snprintf(text, sizeof text, "%s %s", rg_pitch_name(f->keys[i].key.tonic),
                 f->keys[i].key.mode ? "minor" : "major");
        row("key", "", NAN, NAN, text, "tonic and mode", f->keys[i].correlation);
    }
    value_row("loudness", "mix", f->loudness_lufs, "LUFS", 1);
    value_row("tuning", "mix", f->tuning_cents, "cents", f->tuning_confidence);
    for (int32_t s = -1; s < f->n_stems; s++) {
        const rg_heard *h = s < 0 ? &f->mix : &f->stems[s];
        value_row("energy", h->role, h->rms_dbfs, "dBFS", 1);
        value_row("onset density", h->role, h->onsets_per_s, "1/s", 1);
        for (int k = 0; k < RG_PATTERN_STEPS; k++) {
            snprintf(text, sizeof text, "rhythm %d", k + 1);
            value_row(text, h->role, h->pattern[k], "share", f->meter.confidence);
        }
    }
    csv_spans(f);
}

/* ---- the command ---- */

static rg_status show(const rg_args *args, const rg_features *f, const char *name, json_t *list,
                      rg_error *err)
{
    const char *plot = rg_option_text(args, "plot", NULL);
    if (plot) RG_TRY(rg_features_plot(f, name, plot, err));
    if (list) {
        json_t *object = rg_features_to_json(f, name);
        if (object && json_array_append_new(list, object) == 0) return RG_OK;
        return rg_fail(err, RG_ERR_NOMEM, "no memory for JSON");
    }
    if (rg_option_given(args, "csv"))
        print_csv(f);
    else
        print_text(f, name);
    return RG_OK;
}

static rg_status print_list(const json_t *list, rg_error *err)
{
    const json_t *value = json_array_size(list) == 1 ? json_array_get(list, 0) : list;
    char *text = json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    if (!text) return rg_fail(err, RG_ERR_NOMEM, "no memory for JSON");
    puts(text);
    free(text);
    return RG_OK;
}

static rg_status analyze_next(const rg_args *args, int32_t *i, json_t *list, rg_error *err)
{
    song s;
    rg_feature_source sources[RG_FEATURE_STEMS];
    rg_features f = {0};
    rg_status status = open_song(args, i, &s, err);
    for (int32_t k = 0; k < s.n; k++) sources[k] = (rg_feature_source){s.roles[k], s.readers[k]};
    if (status == RG_OK) status = rg_features_of(sources, s.n, &f, err);
    if (status == RG_OK && rg_option_given(args, "plot") && *i < rg_arg_count(args))
        status = rg_fail(err, RG_ERR_USAGE, "--plot: one song is drawn; several were named");
    if (status == RG_OK) status = show(args, &f, s.name, list, err);
    rg_features_free(&f);
    close_song(&s);
    return status;
}

rg_status rg_cmd_analyze(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    bool json = rg_option_given(args, "json");
    if (json && rg_option_given(args, "csv"))
        return rg_fail(err, RG_ERR_USAGE, "--json and --csv: choose one");
    json_t *list = json ? json_array() : NULL;
    rg_status status = RG_OK;
    for (int32_t i = 0; status == RG_OK && i < rg_arg_count(args);) {
        if (*cli->stop) status = rg_fail(err, RG_ERR_CANCELLED, "analyze: stopped");
        if (status == RG_OK) status = analyze_next(args, &i, list, err);
    }
    if (status == RG_OK && json) status = print_list(list, err);
    json_decref(list);
    return status;
}
