/*
 * The table of corpora (corpus.h).
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "datasets/corpora/band_build.h"
#include "datasets/corpora/corpus.h"
#include "datasets/corpora/frets_real.h"
#include "datasets/corpora/mma_build.h"

static rg_status build_band_v0(const rg_build_options *o, const rg_log *log, rg_error *err)
{
    return rg_band_build(&rg_debian_band_v0, o, log, err);
}

static rg_status build_band_v1(const rg_build_options *o, const rg_log *log, rg_error *err)
{
    return rg_band_build(&rg_debian_band_v1, o, log, err);
}

static const rg_corpus corpora[] = {
    {"debian-band-v0", "band songs of three Debian packages, rendered from MIDI", "23 MB",
     build_band_v0},
    {"debian-band-v1", "band songs of six Debian packages, rendered from MIDI", "29 MB",
     build_band_v1},
    {"frets-real", "eight real recordings, guitar against the rest, for tests of codecs", "58 MB",
     rg_frets_real_build},
    {"mma-v1",
     "labelled songs composed for the program MMA (1000 unless --songs says more or less)", "10 MB",
     rg_mma_build},
};
enum { N_CORPORA = sizeof corpora / sizeof corpora[0] };

const rg_corpus *rg_corpus_at(int32_t i)
{
    return i >= 0 && i < N_CORPORA ? &corpora[i] : NULL;
}

static rg_status check_options(const rg_build_options *o, rg_error *err)
{
    if (!o->out || !*o->out)
        return rg_fail(err, RG_ERR_USAGE, "the folder of the store is missing (--out STORE)");
    if (o->songs != 0 && o->songs < 3)
        return rg_fail(err, RG_ERR_USAGE,
                       "--songs %d: at least 3 are needed, one for each of train, valid and test",
                       o->songs);
    if (o->minutes != 0 && !(o->minutes >= 0.1 && o->minutes <= 60))
        return rg_fail(err, RG_ERR_USAGE, "--minutes %g: 0.1 to 60 are allowed", o->minutes);
    if (o->rate != 0 && (o->rate < 8000 || o->rate > 96000))
        return rg_fail(err, RG_ERR_USAGE, "--rate %d: 8000 to 96000 Hz are allowed", o->rate);
    rg_split split;
    if (o->split && !rg_split_parse(o->split, &split))
        return rg_fail(err, RG_ERR_USAGE, "--split %.40s: train, valid or test was expected",
                       o->split);
    if (o->augment < 0 || o->augment > 100)
        return rg_fail(err, RG_ERR_USAGE, "--augment %d: 0 to 100 copies are allowed", o->augment);
    if (o->augment_soundfont && o->augment == 0)
        return rg_fail(err, RG_ERR_USAGE,
                       "--augment-soundfont is for copies; say how many with --augment N");
    if (o->midi && !*o->midi)
        return rg_fail(err, RG_ERR_USAGE, "--midi: the name of a folder was expected");
    if (o->jobs < 0 || o->jobs > 256)
        return rg_fail(err, RG_ERR_USAGE, "--jobs %d: 1 to 256 are allowed", o->jobs);
    return RG_OK;
}

/* "there is no corpus 'x'; did you mean 'y'? known are: y (what it is, 23 MB to download)". */
static rg_status unknown_corpus(const char *name, rg_error *err)
{
    const char *names[N_CORPORA];
    rg_text list;
    rg_text_init(&list, 4096);
    for (int32_t i = 0; i < N_CORPORA; i++) {
        const rg_corpus *c = rg_corpus_at(i);
        names[i] = c->name;
        rg_text_printf(&list, "%s%s (%s, %s to download)", i ? "; " : "", c->name, c->summary,
                       c->download);
    }
    const char *near = rg_nearest_name(name, names, N_CORPORA);
    rg_fail(err, RG_ERR_USAGE, "there is no corpus '%s'; %s%s%sknown are: %s", name,
            near ? "did you mean '" : "", near ? near : "", near ? "'? " : "",
            list.data ? list.data : "");
    rg_text_free(&list);
    return RG_ERR_USAGE;
}

rg_status rg_corpus_build(const char *corpus, const rg_build_options *options, const rg_log *log,
                          rg_error *err)
{
    RG_TRY(check_options(options, err));
    for (int32_t i = 0; i < N_CORPORA; i++)
        if (strcmp(corpus, corpora[i].name) == 0) return corpora[i].build(options, log, err);
    return unknown_corpus(corpus, err);
}

rg_status rg_corpus_default_cache(char *out, size_t size, rg_error *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/') return rg_fs_join(out, size, xdg, "resonantgen", err);
    if (home && *home) return rg_fs_join(out, size, home, ".cache/resonantgen", err);
    return rg_fail(err, RG_ERR_USAGE, "neither XDG_CACHE_HOME nor HOME is set; give --cache DIR");
}
