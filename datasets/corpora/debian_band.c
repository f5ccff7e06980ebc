/*
 * The corpora "debian-band-v0" (songs with all roles from simutrans-data, freedoom and
 * openttd-openmsx) and "debian-band-v1" (from planetblupi-music-midi, pianobooster and mma too).
 *
 * One idea: everything that defines a corpus is a table here (sources, licences, exclusions) or a
 * committed list, debian_band_v*.splits. Not here: the way from packages to a store
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
    {.package = "planetblupi-music-midi",
     .label = "planetblupi",
     .license = "GPL-3.0-or-later",
     .folder = "usr/share/planetblupi/music",
     .suffix = ".mid",
     .genre = "soundtrack"},
    {.package = "pianobooster",
     .label = "pianobooster",
     .license = "CC0-1.0",
     .folder = "usr/share/doc/pianobooster/courses",
     .suffix = ".mid",
     .genre = "folk"},
    {.package = "mma",
     .label = "mma",
     .license = "GPL-2.0-or-later",
     .folder = "usr/share/doc/mma/examples",
     .suffix = ".mid",
     .genre = ""},
};
enum { V0_SOURCES = 3, V1_SOURCES = sizeof sources / sizeof sources[0] };

static const rg_listed_song listed_v0[] = {
#define SONG(split, hash, id) {RG_SPLIT_##split, hash, id},
#include "datasets/corpora/debian_band_v0.splits"
#undef SONG
};

static const rg_listed_song listed_v1[] = {
#define SONG(split, hash, id) {RG_SPLIT_##split, hash, id},
#include "datasets/corpora/debian_band_v1.splits"
#undef SONG
};

const rg_band_corpus rg_debian_band_v0 = {
    .about = {.name = "debian-band-v0",
              .license = "Artistic-1.0 AND BSD-3-Clause AND GPL-2.0-only",
              .references = "Debian packages simutrans-data, freedoom, openttd-openmsx",
              .soundfont_package = "timgm6mb-soundfont",
              .soundfont_file = "usr/share/sounds/sf2/TimGM6mb.sf2",
              .prompts = RG_PROMPT_LIST},
    .sources = sources,
    .n_sources = V0_SOURCES,
    .listed = listed_v0,
    .n_listed = sizeof listed_v0 / sizeof listed_v0[0],
};

const rg_band_corpus rg_debian_band_v1 = {
    .about = {.name = "debian-band-v1",
              .license = "Artistic-1.0 AND BSD-3-Clause AND GPL-2.0-only AND GPL-3.0-or-later AND "
                         "CC0-1.0 AND GPL-2.0-or-later",
              .references = "Debian packages simutrans-data, freedoom, openttd-openmsx, "
                            "planetblupi-music-midi, pianobooster, mma",
              .soundfont_package = "timgm6mb-soundfont",
              .soundfont_file = "usr/share/sounds/sf2/TimGM6mb.sf2",
              .prompts = RG_PROMPT_SENTENCE},
    .sources = sources,
    .n_sources = V1_SOURCES,
    .listed = listed_v1,
    .n_listed = sizeof listed_v1 / sizeof listed_v1[0],
};
