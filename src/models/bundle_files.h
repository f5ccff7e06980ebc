/*
 * What writing and reading a bundle share (private to bundle.c and bundle_export.c).
 */
#ifndef RG_MODELS_BUNDLE_FILES_H
#define RG_MODELS_BUNDLE_FILES_H

#include <jansson.h>

/* SHA-256 over the hashes of all parts in order; "" when out of memory. */
void rg_bundle_hash_of(const json_t *roles, const char *shared_hash, char hex[65]);

#endif
