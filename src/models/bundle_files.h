/*
 * What writing and reading a bundle share (private to bundle*.c).
 */
#ifndef RG_MODELS_BUNDLE_FILES_H
#define RG_MODELS_BUNDLE_FILES_H

#include <jansson.h>

#include "models/bundle.h"

/* SHA-256 over the hashes of all parts in order; "" when out of memory. */
void rg_bundle_hash_of(const json_t *roles, const char *shared_hash, char hex[65]);

/* The weights of what all tracks share, from bundle->shared_path. */
rg_status rg_bundle_load_shared(rg_bundle *bundle, rg_error *err) RG_MUST_USE;

#endif
