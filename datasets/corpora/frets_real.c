/*
 * The corpus "frets-real": eight recordings by two bands, guitar against the rest.
 *
 * One idea: both packages are unpacked into one folder of the cache, and the importer for the
 * game's songs does the rest.
 */
#include "datasets/corpora/frets_real.h"

#include "base/fs.h"
#include "datasets/corpora/packages.h"
#include "datasets/importers/importer.h"

static const char *const packages[] = {"fretsonfire-songs-muldjord", "fretsonfire-songs-sectoid"};

static rg_status check(const rg_build_options *o, rg_error *err)
{
    const char *what = o->songs         ? "--songs"
                       : o->minutes > 0 ? "--minutes"
                       : o->soundfont   ? "--soundfont"
                       : o->augment     ? "--augment"
                       : o->split       ? "--split"
                       : o->midi        ? "--midi"
                                        : NULL;
    return what
               ? rg_fail(err, RG_ERR_USAGE,
                         "%s: frets-real is eight recordings, whole and not rendered; leave it out",
                         what)
               : RG_OK;
}

rg_status rg_frets_real_build(const rg_build_options *o, const rg_log *log, rg_error *err)
{
    static const rg_role_map roles = {
        .n = 2,
        .roles = {{.name = "guitar", .names_below = 128, .names = {"guitar"}},
                  {.name = "rest", .names_below = 128, .rest = true}}};
    char cache[1024], folder[1100];
    RG_TRY(check(o, err));
    if (!o->cache) RG_TRY(rg_corpus_default_cache(cache, sizeof cache, err));
    RG_TRY(rg_fs_join(folder, sizeof folder, o->cache ? o->cache : cache, "frets-real", err));
    for (size_t i = 0; i < sizeof packages / sizeof packages[0]; i++) {
        rg_package package;
        RG_TRY(rg_package_get(packages[i], o->packages, folder, log, &package, err));
    }
    const rg_import_options options = {.root = folder,
                                       .out = o->out,
                                       .role_map = o->role_map,
                                       .roles = &roles,
                                       .rate = o->rate,
                                       .jobs = o->jobs,
                                       .same_source = true,
                                       .downmix =
                                           o->channels > 1 ? RG_IMPORT_KEEP : RG_IMPORT_MEAN};
    rg_import_result result;
    rg_status status = rg_import("fretsonfire", &options, &result, log, err);
    rg_text_free(&result.unmapped);
    return status;
}
