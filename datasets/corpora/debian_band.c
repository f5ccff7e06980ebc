/*
 * The corpus "debian-band-v0": songs with all roles from simutrans-data, freedoom, openttd-openmsx.
 *
 * One idea: everything that defines the corpus is a table here (sources, licences, exclusions) or
 * the committed list debian_band_v0.splits. Not here: the way from packages to a store
 * (band_build.c).
 */
#include "datasets/corpora/band_build.h"

static const char *const not_ours[] = {"moo_redfarn", NULL}; /* "inspired by" another's tune */

static const rg_song_source sources[] = {
    {.package = "simutrans-data",
     .label = "simutrans",
     .license = "Artistic-1.0",
     .folder = "usr/share/games/simutrans/music",
     .suffix = ".mid",
     .genre = "soundtrack"},
    {.package = "freedoom",
     .label = "freedoom",
     .license = "BSD-3-Clause",
     .folder = "usr/share/games/doom",
     .suffix = ".wad",
     .genre = "soundtrack",
     .guitar_genre = "rock"},
    {.package = "openttd-openmsx",
     .label = "openmsx",
     .license = "GPL-2.0-only",
     .folder = "usr/share/games/openttd/baseset/openmsx",
     .suffix = ".mid",
     .genre = "jazz",
     .excluded = not_ours},
};

static const rg_listed_song listed[] = {
#define SONG(split, hash, id) {RG_SPLIT_##split, hash, id},
#include "datasets/corpora/debian_band_v0.splits"
#undef SONG
};

const rg_band_corpus rg_debian_band = {
    .about = {.name = "debian-band-v0",
              .license = "Artistic-1.0 AND BSD-3-Clause AND GPL-2.0-only",
              .references = "Debian packages simutrans-data, freedoom, openttd-openmsx",
              .soundfont_package = "timgm6mb-soundfont",
              .soundfont_file = "usr/share/sounds/sf2/TimGM6mb.sf2",
              .prompts = RG_PROMPT_LIST},
    .sources = sources,
    .n_sources = sizeof sources / sizeof sources[0],
    .listed = listed,
    .n_listed = sizeof listed / sizeof listed[0],
};
