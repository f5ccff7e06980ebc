/*
 * Arenas: bump allocation from one reserved address range, freed all at once.
 *
 * One idea: a range is reserved once (mmap, NORESERVE), pages arrive as they are touched, and
 * nothing inside a training step calls the heap. An arena has two ends: the low end grows up and is
 * what most callers use; the high end grows down and holds short-lived blocks (activation
 * gradients) beside it. Under AddressSanitizer what lies beyond the used part is poisoned. Not
 * here: freeing single blocks. Not thread-safe: one arena, one owner.
 */
#ifndef RG_BASE_ARENA_H
#define RG_BASE_ARENA_H

#include <stddef.h>

#include "base/status.h"

RG_C_BEGIN

enum { RG_ALIGN = 64, RG_ARENA_DEVICE_ALIGN = 256 };

typedef struct rg_arena rg_arena;
typedef struct rg_arena_mark {
    size_t low, high;
} rg_arena_mark;

/* Reserves `capacity` bytes of address space; NULL and RG_ERR_NOMEM in `err` if that fails. */
rg_arena *rg_arena_create(size_t capacity, const char *name, rg_error *err);
/*
 * An arena over memory that somebody else owns and that this process may not be able to touch, as a
 * GPU's: blocks are 256-byte aligned, no byte is ever read or written, and rg_arena_zalloc gives
 * NULL. `memory` must be aligned to 256 bytes. NULL and an error in `err` without memory for the
 * arena itself.
 */
rg_arena *rg_arena_create_over(void *memory, size_t capacity, const char *name, rg_error *err);
void rg_arena_destroy(rg_arena *arena); /* NULL is fine; borrowed memory stays its owner's */

/* 64-byte aligned; contents undefined (zeroed for the z form). NULL when the range is exhausted. */
void *rg_arena_alloc(rg_arena *arena, size_t bytes);
void *rg_arena_zalloc(rg_arena *arena, size_t bytes);
/* The same from the other end. */
void *rg_arena_alloc_high(rg_arena *arena, size_t bytes);

rg_arena_mark rg_arena_save(const rg_arena *arena);
void rg_arena_restore(rg_arena *arena, rg_arena_mark mark); /* frees all that came after the mark */
void rg_arena_reset(rg_arena *arena);

size_t rg_arena_capacity(const rg_arena *arena);
size_t rg_arena_used(const rg_arena *arena);       /* both ends */
size_t rg_arena_high_water(const rg_arena *arena); /* most used since rg_arena_watch, or ever */
void rg_arena_watch(rg_arena *arena); /* the high-water mark starts from what is used now */
const char *rg_arena_name(const rg_arena *arena);

/* How many arenas were created in this process: tests check that a step creates none. */
size_t rg_arena_count(void);

RG_C_END

#endif
