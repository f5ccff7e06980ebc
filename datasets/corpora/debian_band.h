/*
 * The corpus "debian-band-v0": songs with all roles from simutrans-data, freedoom, openttd-openmsx.
 */
#ifndef RG_DATASETS_CORPORA_DEBIAN_BAND_H
#define RG_DATASETS_CORPORA_DEBIAN_BAND_H

#include "datasets/corpora/corpus.h"

rg_status rg_debian_band_build(const rg_build_options *options, const rg_log *log,
                               rg_error *err) RG_MUST_USE;

#endif
