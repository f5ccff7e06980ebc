/*
 * Debian packages as sources of data: fetched and unpacked into a cache, never installed.
 *
 * One idea: `apt-get download` and `dpkg-deb -x` work for every user and touch nothing outside the
 * cache; on machines without a network the .deb files come from a folder.
 */
#ifndef RG_DATASETS_CORPORA_PACKAGES_H
#define RG_DATASETS_CORPORA_PACKAGES_H

#include "base/log.h"

typedef struct rg_package {
    char name[64], version[64];
    char root[1100]; /* the unpacked files lie below it */
} rg_package;

/* `folder`: where .deb files are looked for instead of downloading; NULL: download. */
rg_status rg_package_get(const char *name, const char *folder, const char *cache, const rg_log *log,
                         rg_package *out, rg_error *err) RG_MUST_USE;

#endif
