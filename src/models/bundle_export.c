/*
 * Writing a bundle (bundle.h) from a track run: its averaged weights cut by prefix, its codecs, its
 * vocabulary, what it was trained with, and a model card.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "models/bundle.h"
#include "models/bundle_files.h"

enum { INFO_LIMIT = 64 << 20, PATH_SIZE = 1024 };

typedef struct export
{
    const char *run;
    rg_atomic_folder out;
    char checkpoint[PATH_SIZE];
    rg_track_config config;
    rg_params *params;
    rg_tracks *tracks;
    json_t *description; /* describe.json */
    json_t *info, *roles;
    int64_t step;
}
export;

/* The run's best checkpoint, or its latest. */
static rg_status find_checkpoint(export *e, rg_error *err)
{
    static const char *const links[] = {"best", "latest"};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        RG_TRY(rg_fs_join(e->checkpoint, PATH_SIZE, e->run, links[i], err));
        if (rg_fs_exists(e->checkpoint)) return RG_OK;
    }
    return rg_fail(err, RG_ERR_USAGE,
                   "%s: is not a run with a checkpoint; give the folder of a track run", e->run);
}

static rg_status read_config(export *e, const char *extra, rg_error *err)
{
    json_t *state = rg_json_parse(extra, strlen(extra), e->checkpoint, err);
    if (!state) return err->code;
    const json_t *tracks = json_object_get(json_object_get(state, "task"), "tracks");
    char *text = tracks ? json_dumps(tracks, JSON_COMPACT) : NULL;
    rg_status status =
        text
            ? rg_track_config_from_json(text, &e->config, err)
            : rg_fail(err, RG_ERR_USAGE,
                      "%s: is not a track run; a codec is used through the track run that names it",
                      e->run);
    free(text);
    json_decref(state);
    return status;
}

static rg_status read_run(export *e, rg_error *err)
{
    char path[PATH_SIZE];
    RG_TRY(find_checkpoint(e, err));
    rg_st_reader *reader = rg_st_open(e->checkpoint, err);
    if (!reader) return err->code;
    const char *extra = rg_st_metadata(reader, "extra"), *step = rg_st_metadata(reader, "step");
    if (step) (void)!rg_parse_int(step, &e->step);
    rg_status status = extra
                           ? read_config(e, extra, err)
                           : rg_fail(err, RG_ERR_FORMAT, "%s: is not a checkpoint", e->checkpoint);
    rg_st_close(reader);
    RG_TRY(status);
    RG_TRY(rg_fs_join(path, sizeof path, e->run, "describe.json", err));
    e->description = rg_json_read(path, INFO_LIMIT, err);
    return e->description ? RG_OK : err->code;
}

static rg_status load_weights(export *e, rg_exec *ex, rg_error *err)
{
    e->params = rg_params_create(err);
    if (!e->params) return err->code;
    e->tracks = rg_tracks_create(e->params, &e->config, err);
    if (!e->tracks) return err->code;
    RG_TRY(rg_params_finish(e->params, ex, 0, false, err));
    return rg_weights_load(e->checkpoint, "", e->params, ex, err);
}

static rg_status out_path(const export *e, const char *kind, const char *role, char out[PATH_SIZE],
                          rg_error *err)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s%s.safetensors", kind, role[0] ? "-" : "", role);
    return rg_fs_join(out, PATH_SIZE, e->out.temporary, name, err);
}

static rg_status save_part(export *e, const char *kind, const char *role, const char *prefix,
                           char hash[65], rg_error *err)
{
    static const char *const keys[] = {"format", "version"};
    static const char *const values[] = {"resonant-track", "1.0"};
    char path[PATH_SIZE];
    RG_TRY(out_path(e, kind, role, path, err));
    RG_TRY(rg_weights_save(path, prefix, e->params, false, keys, values, 2, err));
    return rg_weights_hash(path, hash, err);
}

static rg_status export_role(export *e, int32_t r, rg_exec *ex, rg_error *err)
{
    const char *role = e->config.roles[r].name;
    char link[PATH_SIZE], path[PATH_SIZE], name[128], prefix[RG_TRACK_NAME + 16];
    char codec_hash[65], track_hash[65];
    snprintf(name, sizeof name, "checkpoints/codecs/%s.safetensors", role);
    RG_TRY(rg_fs_join(link, sizeof link, e->run, name, err));
    RG_TRY(out_path(e, "codec", role, path, err));
    RG_TRY(rg_codec_export(link, path, ex, err));
    RG_TRY(rg_weights_hash(path, codec_hash, err));
    snprintf(prefix, sizeof prefix, "track.%s.", role);
    RG_TRY(save_part(e, "track", role, prefix, track_hash, err));
    json_array_append_new(e->roles, json_pack("{s:s, s:s, s:s}", "name", role, "codec_hash",
                                              codec_hash, "track_hash", track_hash));
    return RG_OK;
}

static rg_status write_info(export *e, const char *shared_hash, rg_error *err)
{
    char hash[65], path[PATH_SIZE], utc[32], version[16];
    char *config = rg_track_config_to_json(&e->config);
    json_t *tracks = config ? rg_json_parse(config, strlen(config), "tracks", err) : NULL;
    free(config);
    if (!tracks) return rg_fail(err, RG_ERR_NOMEM, "no memory for a bundle");
    snprintf(version, sizeof version, "%d.%d", RG_BUNDLE_MAJOR, RG_BUNDLE_MINOR);
    rg_bundle_hash_of(e->roles, shared_hash, hash);
    e->info = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:O, s:o}", "format", "resonant-bundle", "version",
        version, "hash", hash, "created", rg_clock_utc(utc), "run", rg_fs_base_name(e->run), "step",
        (json_int_t)e->step, "shared_hash", shared_hash, "roles", e->roles, "tracks", tracks);
    static const char *const kept[] = {"words", "data", "phase", "songs", "store_hash"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *value = json_object_get(e->description, kept[i]);
        if (value) json_object_set(e->info, kept[i], value);
    }
    RG_TRY(rg_fs_join(path, sizeof path, e->out.temporary, "bundle.json", err));
    return rg_json_write(e->info, path, err);
}

/* The words that the run knew; those of now for a run of an older program, which kept none. */
static rg_status write_vocabulary(const export *e, rg_error *err)
{
    rg_vocabulary vocabulary = {0};
    char path[PATH_SIZE];
    rg_status status = rg_fs_join(path, sizeof path, e->run, "vocabulary.json", err);
    if (status == RG_OK && rg_fs_exists(path))
        status = rg_vocabulary_read(&vocabulary, path, err);
    else if (status == RG_OK && !rg_vocabulary_make(&vocabulary))
        status = rg_fail(err, RG_ERR_NOMEM, "no memory for words");
    if (status == RG_OK)
        status = rg_fs_join(path, sizeof path, e->out.temporary, "vocabulary.json", err);
    if (status == RG_OK) status = rg_vocabulary_write(&vocabulary, path, err);
    rg_vocabulary_free(&vocabulary);
    return status;
}

static void describe_words(const export *e, rg_text *card)
{
    const char *field, *word;
    json_t *counts, *count;
    rg_text_add(card, "\n## Conditions it was trained with\n\n");
    json_object_foreach(json_object_get(e->description, "words"), field, counts)
    {
        bool first = true;
        rg_text_printf(card, "- **%s**:", field);
        json_object_foreach(counts, word, count)
        {
            if (!json_integer_value(count)) continue;
            rg_text_printf(card, "%s %s (%lld)", first ? "" : ",", word,
                           (long long)json_integer_value(count));
            first = false;
        }
        rg_text_add(card, first ? " none\n" : "\n");
    }
    rg_text_add(card, "\nNumbers are songs. A word that is not listed is not understood by this "
                      "bundle; `resonant generate` says so.\n");
}

static rg_status write_card(export *e, rg_error *err)
{
    rg_text card;
    char path[PATH_SIZE];
    const json_t *data = json_object_get(e->description, "data");
    const char *license = json_string_value(json_object_get(data, "license"));
    const char *title = json_string_value(json_object_get(data, "title"));
    rg_text_init(&card, 1 << 20);
    rg_text_printf(&card,
                   "---\nlibrary: resonantgen\ntags: [music, multi-track]\ndata: %s\nlicenses of "
                   "the songs: %s\n---\n\n# %s\n\nWritten from run `%s`, step %lld.\n\n",
                   title ? title : "see describe.json of the run",
                   license ? license : "see the store", rg_fs_base_name(e->out.path),
                   rg_fs_base_name(e->run), (long long)e->step);
    rg_text_printf(&card, "| role | codebooks | entries |\n|---|---|---|\n");
    for (int32_t r = 0; r < e->config.n_roles; r++)
        rg_text_printf(&card, "| %s | %d | %d |\n", e->config.roles[r].name,
                       e->config.roles[r].books, e->config.roles[r].entries);
    rg_text_printf(&card, "\nTrained on %zu songs; their ids are in bundle.json.\n",
                   json_array_size(json_object_get(e->description, "songs")));
    describe_words(e, &card);
    rg_status status = rg_text_status(&card, err);
    if (status == RG_OK) status = rg_fs_join(path, sizeof path, e->out.temporary, "README.md", err);
    if (status == RG_OK) status = rg_fs_write_atomic(path, card.data, card.n, err);
    rg_text_free(&card);
    return status;
}

static rg_status write_all(export *e, rg_exec *ex, const rg_log *log, rg_error *err)
{
    char shared_hash[65];
    RG_TRY(save_part(e, "shared", "", "shared.", shared_hash, err));
    for (int32_t r = 0; r < e->config.n_roles; r++) {
        RG_TRY(export_role(e, r, ex, err));
        rg_log_line(log, RG_LOG_INFO, "exported %s", e->config.roles[r].name);
    }
    RG_TRY(write_info(e, shared_hash, err));
    RG_TRY(write_vocabulary(e, err));
    RG_TRY(write_card(e, err));
    return rg_fs_commit_folder(&e->out, err);
}

rg_status rg_bundle_export(const char *run_folder, const char *folder, rg_exec *ex,
                           const rg_log *log, rg_error *err)
{
    export e = {.run = run_folder, .roles = json_array()};
    rg_status status = read_run(&e, err);
    if (status == RG_OK) status = load_weights(&e, ex, err);
    if (status == RG_OK) status = rg_fs_begin_folder(&e.out, folder, err);
    if (status == RG_OK) status = write_all(&e, ex, log, err);
    rg_fs_abandon_folder(&e.out);
    rg_tracks_destroy(e.tracks);
    rg_params_destroy(e.params);
    json_decref(e.description);
    json_decref(e.info);
    json_decref(e.roles);
    return status;
}
