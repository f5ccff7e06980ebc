/*
 * What building any corpus needs: settings, a SoundFont, and MIDI songs that become a store.
 *
 * One idea: a corpus says how many songs there are and adds song i when asked, from any thread;
 * going on after a stop, progress, one failure for all, rendering, prompts and provenance stand
 * here once. Not here: which songs (band_build.c, mma_build.c).
 */
#ifndef RG_DATASETS_CORPORA_CORPUS_WORK_H
#define RG_DATASETS_CORPORA_CORPUS_WORK_H

#include <pthread.h>

#include "datasets/corpora/corpus.h"
#include "datasets/corpora/packages.h"
#include "datasets/corpora/song_list.h"
#include "datasets/corpora/vary.h"
#include "datasets/prompts.h"
#include "datasets/render.h"

typedef struct rg_corpus_about {
    const char *name, *license, *references;
    const char *soundfont_package, *soundfont_file; /* file: below the package's root */
    rg_prompt_form prompts;
} rg_corpus_about;

typedef struct rg_sound {
    char soundfont[1300];
    rg_renderer *renderer; /* NULL: closed */
} rg_sound;

typedef struct rg_corpus_work {
    const rg_corpus_about *about;
    const rg_build_options *options;
    const rg_log *log;
    int32_t rate, jobs;
    double minutes;
    rg_role_map map;
    char *map_json, cache[1024];
    rg_package soundfont_package;
    rg_sound first, second; /* second: of augmented copies; may be closed */
    rg_store_writer *writer;
    rg_progress progress;
    int64_t done;
    pthread_mutex_t lock; /* of progress, done and error */
    rg_error error;       /* of the adding threads: the first one */
} rg_corpus_work;

/* Songs by number. add: makes song i and hands it to rg_corpus_add; any thread. */
typedef struct rg_corpus_songs {
    int64_t n;
    const char *(*id)(void *ctx, int64_t i);
    rg_status (*add)(void *ctx, int64_t i, rg_error *err);
    void *ctx;
} rg_corpus_songs;

/* Takes defaults, reads the role map, opens the SoundFont. Close it whatever this returns. */
rg_status rg_corpus_open(rg_corpus_work *work, const rg_corpus_about *about,
                         const rg_build_options *options, const rg_log *log,
                         rg_error *err) RG_MUST_USE;
void rg_corpus_close(rg_corpus_work *work);

/* rg_package_get with the folders of the options. */
rg_status rg_corpus_package(const rg_corpus_work *work, const char *name, rg_package *out,
                            rg_error *err) RG_MUST_USE;

/* Adds all songs and finishes the store; one of the same settings that is there is left alone.
 * `settings`: more lines of YAML that decide what the songs are. */
rg_status rg_corpus_write(rg_corpus_work *work, const rg_corpus_songs *songs, const char *settings,
                          rg_error *err) RG_MUST_USE;

/*
 * Renders `song` from `start` s on and stores it, and first as many changed copies (vary.h) as the
 * options say, in its group and on its side of the split. `labels` comes with what is known of the
 * whole song (split, group, genre, groove, tempo, meter, key, times); times are cut to what was
 * rendered and count from `start`; the rest, the prompt too, is filled in here.
 */
rg_status rg_corpus_add(const rg_corpus_work *work, const rg_candidate *song, const rg_song *labels,
                        double start, rg_error *err) RG_MUST_USE;

#endif
