/*
 * Data sets as small trees: files of tones made below the test's folder, and imports of them.
 *
 * One idea: a stem is a tone with a place, and may have any defect. What an import warned of is
 * kept in log_text.
 */
#ifndef RG_TESTS_IMPORT_TREE_H
#define RG_TESTS_IMPORT_TREE_H

#include "audio/audio.h"
#include "base/fs.h"
#include "datasets/importers/importer.h"
#include "test.h"

enum { RATE = 8000, SECOND = RATE };

static char log_text[1 << 16];

static inline void keep_line(void *ctx, rg_log_level level, const char *text)
{
    (void)ctx;
    size_t used = strlen(log_text);
    if (level == RG_LOG_WARNING) snprintf(log_text + used, sizeof log_text - used, "%s\n", text);
}

static const rg_log test_log = {keep_line, NULL};

/* How a stem of a test is made. */
typedef struct sound {
    const char *path; /* below the test's folder */
    double hz, level, dc;
    int32_t rate, channels;
    int64_t frames;
    rg_pcm_type type;
} sound;

static inline const char *at(const char *path)
{
    static char full[8][1400];
    static int next;
    char *out = full[next++ % 8];
    snprintf(out, sizeof full[0], "%s/%s", rg_test_folder(), path);
    return out;
}

static inline void make_parent(const char *path)
{
    char folder[1400];
    rg_error err = {0};
    snprintf(folder, sizeof folder, "%s", at(path));
    *strrchr(folder, '/') = 0;
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
}

static inline void write_text(const char *path, const char *text)
{
    rg_error err = {0};
    make_parent(path);
    RG_ASSERT_OK(rg_fs_write_atomic(at(path), text, strlen(text), &err), &err);
}

static inline void make(sound s)
{
    rg_audio a = {0};
    rg_error err = {0};
    int32_t rate = s.rate ? s.rate : RATE, channels = s.channels ? s.channels : 1;
    RG_ASSERT_OK(rg_audio_make(&a, s.frames ? s.frames : SECOND, channels, rate, &err), &err);
    for (int64_t i = 0; i < a.frames * channels; i++) {
        int64_t frame = i / channels;
        double t = (double)frame / rate;
        a.samples[i] = (float)(s.level * sin(6.283185307179586 * s.hz * t) + s.dc);
    }
    make_parent(s.path);
    RG_ASSERT_OK(rg_audio_write_wav(at(s.path), &a, s.type, NULL, &err), &err);
    rg_audio_free(&a);
}

#define MAKE(file, tone, ...) make((sound){.path = file, .hz = tone, .level = __VA_ARGS__})

/* By full paths, as a child process needs them: its test folder would be another. */
static inline rg_status import_from(const char *name, const char *root, const char *out,
                                    rg_import_options o, rg_error *err)
{
    rg_import_result result;
    o.root = root;
    o.out = out;
    o.rate = o.rate ? o.rate : RATE;
    o.jobs = o.jobs ? o.jobs : 2;
    log_text[0] = 0;
    rg_status status = rg_import(name, &o, &result, &test_log, err);
    rg_text_free(&result.unmapped);
    return status;
}

static inline rg_status import(const char *name, const char *root, rg_import_options o,
                               rg_error *err)
{
    char full[1400], out[1400];
    snprintf(full, sizeof full, "%s", at(root));
    snprintf(out, sizeof out, "%s", at("store"));
    return import_from(name, full, out, o, err);
}

static inline rg_store *imported_with(const char *name, const char *root, rg_import_options o)
{
    rg_error err = {0};
    rg_status status = import(name, root, o, &err);
    ck_assert_msg(status == RG_OK, "%s\n%s", err.text, log_text);
    rg_store *store = rg_store_open(at("store"), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

static inline rg_store *imported(const char *name, const char *root)
{
    return imported_with(name, root, (rg_import_options){0});
}

static inline const rg_song *song_of(const rg_store *store, const char *title)
{
    for (int64_t i = 0; i < rg_store_songs(store); i++)
        if (strcmp(rg_store_song(store, i)->title, title) == 0) return rg_store_song(store, i);
    ck_abort_msg("there is no song '%s'\n%s", title, log_text);
    return NULL;
}

static inline bool has(const rg_store *store, const rg_song *song, const char *role)
{
    return song->present[rg_store_find_role(store, role)];
}

#define ASSERT_TOLD(text) \
    ck_assert_msg(strstr(log_text, text), "'%s' is not in:\n%s", text, log_text)

#endif
