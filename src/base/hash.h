/*
 * Hashes: SHA-256 for identity and provenance, XXH3-64 for integrity, CRC-32C for record framing.
 *
 * One idea: libraries do the work (libcrypto, libxxhash); this is the one seam to them.
 */
#ifndef RG_BASE_HASH_H
#define RG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { RG_SHA256_HEX = 65 }; /* 64 digits and the terminator */

typedef struct rg_sha256 rg_sha256;
rg_sha256 *rg_sha256_begin(void); /* NULL when out of memory */
void rg_sha256_add(rg_sha256 *hash, const void *data, size_t n);
void rg_sha256_end(rg_sha256 *hash, char hex[RG_SHA256_HEX]); /* frees hash */

void rg_sha256_of(const void *data, size_t n, char hex[RG_SHA256_HEX]);
rg_status rg_sha256_file(const char *path, char hex[RG_SHA256_HEX], rg_error *err) RG_MUST_USE;
uint64_t rg_xxh3(const void *data, size_t n);
/* Castagnoli; start with 0 and feed the result back to go on. CRC of "123456789" is e3069283. */
uint32_t rg_crc32c(uint32_t crc, const void *data, size_t n);

#endif
