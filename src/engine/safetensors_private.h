/*
 * What reading and writing safetensors share.
 */
#ifndef RG_ENGINE_SAFETENSORS_PRIVATE_H
#define RG_ENGINE_SAFETENSORS_PRIVATE_H

#include "engine/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");

#define RG_ST_METADATA "__metadata__"
enum { RG_ST_LENGTH_BYTES = 8 };

/* The metadata key of a tensor's checksum; heap, NULL when out of memory. */
char *rg_st_checksum_key(const char *name);
void rg_st_checksum(const void *data, int64_t n, char out[16]);

#endif
