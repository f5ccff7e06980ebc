/*
 * The table of corpora (corpus.h).
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "datasets/corpora/band_build.h"
#include "datasets/corpora/corpus.h"

static rg_status build_debian_band(const rg_build_options *o, const rg_log *log, rg_error *err)
{
    return rg_band_build(&rg_debian_band, o, log, err);
}

static const rg_corpus corpora[] = {
    {"debian-band-v0", "band songs of three Debian packages, rendered from MIDI", "23 MB",
     build_debian_band},
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
    if (o->jobs < 0 || o->jobs > 256)
        return rg_fail(err, RG_ERR_USAGE, "--jobs %d: 1 to 256 are allowed", o->jobs);
    return RG_OK;
}

rg_status rg_corpus_build(const char *corpus, const rg_build_options *options, const rg_log *log,
                          rg_error *err)
{
    const char *names[N_CORPORA];
    RG_TRY(check_options(options, err));
    for (int i = 0; i < N_CORPORA; i++) {
        names[i] = corpora[i].name;
        if (strcmp(corpus, names[i]) == 0) return corpora[i].build(options, log, err);
    }
    const char *near = rg_nearest_name(corpus, names, N_CORPORA);
    return rg_fail(err, RG_ERR_USAGE, "there is no corpus '%s'; %s '%s'%s", corpus,
                   near ? "did you mean" : "known are", near ? near : names[0], near ? "?" : "");
}

rg_status rg_corpus_default_cache(char *out, size_t size, rg_error *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/') return rg_fs_join(out, size, xdg, "resonantgen", err);
    if (home && *home) return rg_fs_join(out, size, home, ".cache/resonantgen", err);
    return rg_fail(err, RG_ERR_USAGE, "neither XDG_CACHE_HOME nor HOME is set; give --cache DIR");
}
