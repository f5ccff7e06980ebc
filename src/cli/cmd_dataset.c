/*
 * resonant dataset build | import | features | info | export | verify.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "datasets/corpora/corpus.h"
#include "datasets/importers/importer.h"
#include "datasets/song_features.h"
#include "eval/store_page.h"

const rg_option rg_cmd_dataset_build_options[] = {
    {"out", "STORE", "new folder for the store; a build that was stopped goes on (required)"},
    {"songs", "N", "a balanced subset of N songs (all; mma-v1: 1000)"},
    {"minutes", "M", "cut songs here (4)"},
    {"rate", "HZ", "sample rate of the stems (32000)"},
    {"channels", "C", "of the stems: 1, or 2, as their parts are panned (1)"},
    {"jobs", "J", "songs rendered at once (one per CPU)"},
    {"packages", "DIR", "use the .deb files in DIR instead of downloading"},
    {"cache", "DIR", "where packages are kept (~/.cache/resonantgen)"},
    {"soundfont", "FILE", "a General MIDI SoundFont (the corpus's own)"},
    {"split", "NAME",
     "only the songs of train, valid or test (with --soundfont: another rendering)"},
    {"augment", "N",
     "also N copies of each song: transposed, faster or slower, other programs (0)"},
    {"augment-soundfont", "FILE", "a SoundFont for every other copy (the songs' own)"},
    {"midi", "DIR", "mma-v1: write every song's MIDI, source and labels (JSON) there, too"},
    {"roles", "FILE", "role map as YAML (configs/roles/band.yaml shows the built-in one)"},
    {0},
};

rg_status rg_cmd_dataset_build(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    int64_t songs = 0, rate = 0, channels = 0, jobs = 0, augment = 0;
    rg_build_options o = {.out = rg_option_text(args, "out", NULL),
                          .packages = rg_option_text(args, "packages", NULL),
                          .cache = rg_option_text(args, "cache", NULL),
                          .soundfont = rg_option_text(args, "soundfont", NULL),
                          .split = rg_option_text(args, "split", NULL),
                          .augment_soundfont = rg_option_text(args, "augment-soundfont", NULL),
                          .midi = rg_option_text(args, "midi", NULL),
                          .role_map = rg_option_text(args, "roles", NULL)};
    if (!o.out)
        return rg_fail(err, RG_ERR_USAGE, "dataset build: --out STORE is missing: where it goes");
    RG_TRY(rg_option_int(args, "songs", 3, 1000000, &songs, err));
    RG_TRY(rg_option_real(args, "minutes", 0.05, 240, &o.minutes, err));
    RG_TRY(rg_option_int(args, "rate", 4000, 192000, &rate, err));
    RG_TRY(rg_option_int(args, "channels", 1, RG_MAX_CHANNELS, &channels, err));
    RG_TRY(rg_option_int(args, "jobs", 1, 256, &jobs, err));
    RG_TRY(rg_option_int(args, "augment", 0, 100, &augment, err));
    o.channels = (int32_t)channels;
    o.augment = (int32_t)augment;
    o.songs = (int32_t)songs;
    o.rate = (int32_t)rate;
    o.jobs = (int32_t)jobs;
    RG_TRY(rg_corpus_build(rg_arg(args, 0), &o, cli->log, err));
    printf("%s\n", o.out);
    return RG_OK;
}

const rg_option rg_cmd_dataset_import_options[] = {
    {"out", "STORE", "new folder for the store; an import that was stopped goes on"},
    {"roles", "FILE", "names to roles, as YAML (configs/roles/stems.yaml shows the built-in one)"},
    {"list-unmapped", NULL, "print the names that no role takes, with counts, and import nothing"},
    {"rate", "HZ", "sample rate of the stems (32000)"},
    {"jobs", "J", "songs imported at once (one per CPU)"},
    {"lengths", "POLICY", "stems over 50 ms apart: pad, trim or error (pad)"},
    {"stereo", "POLICY",
     "several channels: mean, left, right, error, or keep, a stereo store (mean)"},
    {"beside", "STORE", "songs that are in STORE too lie on the side of the split they have there"},
    {"require", "ROLES", "songs without these roles are bad: drums,bass"},
    {"license", "SPDX", "of songs whose data set states none"},
    {"keep-doubles", NULL, "take tracks that the data set's own lists leave out as doubles"},
    {"skip-bad", NULL, "leave bad songs out and make the store of the others"},
    {0},
};

/* Which of the names (NULL at the end) the option gives; the first one when it is not given. */
static rg_status policy(const rg_args *args, const char *option, const char *const *names,
                        int32_t *out, rg_error *err)
{
    char list[64] = "";
    const char *given = rg_option_text(args, option, names[0]);
    for (*out = 0; names[*out]; ++*out) {
        if (strcmp(given, names[*out]) == 0) return RG_OK;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", *out ? ", " : "", names[*out]);
    }
    return rg_fail(err, RG_ERR_USAGE, "--%s %s: expected one of %s", option, given, list);
}

rg_status rg_cmd_dataset_import(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    static const char *const lengths[] = {"pad", "trim", "error", NULL};
    static const char *const downmixes[] = {"mean", "left", "right", "error", "keep", NULL};
    int64_t rate = 0, jobs = 0;
    int32_t length = 0, downmix = 0;
    rg_import_options o = {.root = rg_arg(args, 1),
                           .out = rg_option_text(args, "out", NULL),
                           .role_map = rg_option_text(args, "roles", NULL),
                           .beside = rg_option_text(args, "beside", NULL),
                           .require = rg_option_text(args, "require", NULL),
                           .license = rg_option_text(args, "license", NULL),
                           .skip_bad = rg_option_given(args, "skip-bad"),
                           .keep_doubles = rg_option_given(args, "keep-doubles"),
                           .dry = rg_option_given(args, "list-unmapped")};
    RG_TRY(policy(args, "lengths", lengths, &length, err));
    RG_TRY(policy(args, "stereo", downmixes, &downmix, err));
    o.lengths = (rg_import_lengths)length;
    o.downmix = (rg_import_downmix)downmix;
    RG_TRY(rg_option_int(args, "rate", 8000, 96000, &rate, err));
    RG_TRY(rg_option_int(args, "jobs", 1, 256, &jobs, err));
    o.rate = (int32_t)rate;
    o.jobs = (int32_t)jobs;
    rg_import_result result;
    rg_status status = rg_import(rg_arg(args, 0), &o, &result, cli->log, err);
    if (status == RG_OK && o.dry)
        printf("%s", result.unmapped.data ? result.unmapped.data : "");
    else if (status == RG_OK)
        printf("%s\n", o.out);
    rg_text_free(&result.unmapped);
    return status;
}

const rg_option rg_cmd_dataset_features_options[] = {
    {"jobs", "J", "songs heard at once (one per CPU)"},
    {0},
};

rg_status rg_cmd_dataset_features(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    int64_t jobs = 0, heard = 0;
    RG_TRY(rg_option_int(args, "jobs", 1, 256, &jobs, err));
    RG_TRY(rg_store_hear(rg_arg(args, 0), (int32_t)jobs, cli->log, &heard, err));
    if (heard)
        printf("%s: heard %lld songs\n", rg_arg(args, 0), (long long)heard);
    else
        printf("%s: all songs are heard already\n", rg_arg(args, 0));
    return RG_OK;
}

const rg_option rg_cmd_dataset_info_options[] = {
    {"json", NULL, "print JSON"},
    {"html", "FILE", "write a page: histograms, bands, songs to hear, warnings"},
    {"seed", "N", "draws the songs of the page (0)"},
    {0},
};

static rg_status print_info(const rg_store *store, bool as_json, rg_error *err)
{
    rg_text text;
    rg_text_init(&text, 64 << 20);
    if (as_json) {
        json_t *object = rg_store_describe_json(store);
        char *dump = json_dumps(object, JSON_INDENT(2));
        rg_text_printf(&text, "%s\n", dump ? dump : "");
        free(dump);
        json_decref(object);
    }
    rg_status status = as_json ? RG_OK : rg_store_describe(store, &text, err);
    if (status == RG_OK) status = rg_text_status(&text, err);
    if (status == RG_OK) fputs(text.data, stdout);
    rg_text_free(&text);
    return status;
}

rg_status rg_cmd_dataset_info(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *page = rg_option_text(args, "html", NULL);
    int64_t seed = 0;
    (void)cli;
    RG_TRY(rg_option_int(args, "seed", 0, INT64_MAX, &seed, err));
    rg_store *store = rg_store_open(rg_arg(args, 0), err);
    if (!store) return err->code;
    rg_status status = page ? rg_store_page(store, page, (uint64_t)seed, err)
                            : print_info(store, rg_option_given(args, "json"), err);
    if (status == RG_OK && page) printf("%s\n", page);
    rg_store_close(store);
    return status;
}

const rg_option rg_cmd_dataset_export_options[] = {
    {"song", "ID", "which song (required)"},
    {"out", "DIR", "new folder for its stems and song.json (required)"},
    {"format", "FORMAT", "wav or flac (wav)"},
    {0},
};

/* The song of this id, or the ids that begin alike as advice. */
static rg_status find_song(const rg_store *store, const char *id, int64_t *song, rg_error *err)
{
    *song = rg_store_find_song(store, id);
    if (*song >= 0) return RG_OK;
    int64_t n = rg_store_songs(store);
    const char **ids = malloc((size_t)n * sizeof *ids);
    for (int64_t i = 0; ids && i < n; i++) ids[i] = rg_store_song(store, i)->id;
    const char *near = ids ? rg_nearest_name(id, ids, (size_t)n) : NULL;
    rg_status status =
        near ? rg_fail(err, RG_ERR_USAGE, "%s: has no song '%.100s'; did you mean '%s'?",
                       rg_store_folder(store), id, near)
             : rg_fail(err, RG_ERR_USAGE, "%s: has no song '%.100s'; its first is '%s'",
                       rg_store_folder(store), id, rg_store_song(store, 0)->id);
    free(ids);
    return status;
}

rg_status rg_cmd_dataset_export(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *id = rg_option_text(args, "song", NULL), *out = rg_option_text(args, "out", NULL);
    const char *format = rg_option_text(args, "format", "wav");
    bool flac = strcmp(format, "flac") == 0;
    int64_t song;
    (void)cli;
    if (!id) return rg_fail(err, RG_ERR_USAGE, "dataset export: --song ID is missing");
    if (!out)
        return rg_fail(err, RG_ERR_USAGE, "dataset export: --out DIR is missing: where it goes");
    if (!flac && strcmp(format, "wav") != 0)
        return rg_fail(err, RG_ERR_USAGE, "dataset export: --format is wav or flac, not '%s'",
                       format);
    rg_store *store = rg_store_open(rg_arg(args, 0), err);
    if (!store) return err->code;
    rg_status status = find_song(store, id, &song, err);
    if (status == RG_OK) status = rg_store_export(store, song, out, flac, err);
    rg_store_close(store);
    if (status == RG_OK) printf("%s\n", out);
    return status;
}

const rg_option rg_cmd_dataset_verify_options[] = {{0}};

static void print_fault(void *ctx, const char *song, const char *what)
{
    (void)ctx;
    printf("%s: %s\n", song, what);
}

rg_status rg_cmd_dataset_verify(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    int64_t faults = 0;
    (void)cli;
    RG_TRY(rg_store_verify(rg_arg(args, 0), print_fault, NULL, &faults, err));
    if (faults)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %lld faults; build or import these songs again",
                       rg_arg(args, 0), (long long)faults);
    printf("%s: no fault\n", rg_arg(args, 0));
    return RG_OK;
}
