/*
 * Arenas (arena.h): one mmap, two bump pointers.
 *
 * One idea: the address range is reserved without memory behind it, so capacities may be generous.
 * Under AddressSanitizer freed and not yet used parts are poisoned: all of what was ever used, and
 * a guard beyond it (poisoning the whole range would cost an eighth of it in shadow memory).
 */
#include "base/arena.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { GUARD = 64 * 1024 };

struct rg_arena {
    unsigned char *base;
    size_t capacity;   /* a multiple of the page size; of `align` where memory is borrowed */
    size_t align;      /* of every block */
    size_t low;        /* bytes used at the low end, a multiple of `align` */
    size_t high;       /* the same at the high end */
    size_t high_water; /* since rg_arena_watch */
    size_t most;       /* ever */
    bool borrowed;     /* never touched here */
    char name[32];
};

static atomic_size_t arenas_created;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

rg_arena *rg_arena_create(size_t capacity, const char *name, rg_error *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    rg_arena *arena = NULL;
    if (capacity == 0) capacity = page;
    if (capacity <= SIZE_MAX - page) arena = calloc(1, sizeof *arena);
    if (arena) {
        arena->align = RG_ALIGN;
        arena->capacity = (capacity + page - 1) / page * page;
        void *base = mmap(NULL, arena->capacity, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        arena->base = base == MAP_FAILED ? NULL : base;
    }
    if (!arena || !arena->base) {
        free(arena);
        rg_fail(err, RG_ERR_NOMEM,
                "cannot reserve %.1f MiB of addresses for the arena '%s'; is `ulimit -v` set?",
                (double)capacity / 1048576.0, name);
        return NULL;
    }
    rg_copy_text(arena->name, sizeof arena->name, name);
    size_t guard = smaller(GUARD, arena->capacity);
    ASAN_POISON_MEMORY_REGION(arena->base, guard);
    ASAN_POISON_MEMORY_REGION(arena->base + arena->capacity - guard, guard);
    atomic_fetch_add(&arenas_created, 1);
    return arena;
}

rg_arena *rg_arena_create_over(void *memory, size_t capacity, const char *name, rg_error *err)
{
    rg_arena *arena = calloc(1, sizeof *arena);
    if (!arena) {
        rg_fail(err, RG_ERR_NOMEM, "out of memory for the arena '%s'", name);
        return NULL;
    }
    *arena = (rg_arena){.base = memory, .align = RG_ARENA_DEVICE_ALIGN, .borrowed = true};
    arena->capacity = capacity / arena->align * arena->align;
    rg_copy_text(arena->name, sizeof arena->name, name);
    atomic_fetch_add(&arenas_created, 1);
    return arena;
}

static void give_back_pages(rg_arena *arena)
{
    /* only what was ever poisoned: touching the shadow of 64 GiB takes 8 GiB */
    size_t touched = smaller(arena->most + GUARD, arena->capacity);
    ASAN_UNPOISON_MEMORY_REGION(arena->base, touched);
    ASAN_UNPOISON_MEMORY_REGION(arena->base + arena->capacity - touched, touched);
    munmap(arena->base, arena->capacity);
}

void rg_arena_destroy(rg_arena *arena)
{
    if (!arena) return;
    if (!arena->borrowed) give_back_pages(arena);
    free(arena);
}

/* Under AddressSanitizer; addresses that are not this process's have no shadow. */
static void poison(const rg_arena *arena, const unsigned char *from, size_t bytes)
{
    if (!arena->borrowed) ASAN_POISON_MEMORY_REGION(from, bytes);
}

static void unpoison(const rg_arena *arena, const unsigned char *from, size_t bytes)
{
    if (!arena->borrowed) ASAN_UNPOISON_MEMORY_REGION(from, bytes);
}

/* Bytes rounded up to `align`, or SIZE_MAX when that does not fit between the two ends. */
static size_t rounded(const rg_arena *arena, size_t bytes)
{
    size_t left = arena->capacity - arena->low - arena->high;
    if (bytes > left) return SIZE_MAX;
    return (bytes + arena->align - 1) / arena->align * arena->align; /* as `left` is a multiple */
}

static void note_use(rg_arena *arena)
{
    size_t used = arena->low + arena->high;
    if (used > arena->high_water) arena->high_water = used;
    if (used > arena->most) arena->most = used;
}

void *rg_arena_alloc(rg_arena *arena, size_t bytes)
{
    size_t size = rounded(arena, bytes);
    if (size == SIZE_MAX) return NULL;
    unsigned char *block = arena->base + arena->low;
    arena->low += size;
    size_t left = arena->capacity - arena->low - arena->high;
    unpoison(arena, block, bytes);
    poison(arena, block + bytes, size - bytes + smaller(GUARD, left));
    note_use(arena);
    return block;
}

void *rg_arena_zalloc(rg_arena *arena, size_t bytes)
{
    void *block = arena->borrowed ? NULL : rg_arena_alloc(arena, bytes);
    if (block) memset(block, 0, bytes);
    return block;
}

void *rg_arena_alloc_high(rg_arena *arena, size_t bytes)
{
    size_t size = rounded(arena, bytes);
    if (size == SIZE_MAX) return NULL;
    arena->high += size;
    unsigned char *block = arena->base + arena->capacity - arena->high;
    size_t guard = smaller(GUARD, arena->capacity - arena->low - arena->high);
    poison(arena, block - guard, guard);
    unpoison(arena, block, bytes);
    poison(arena, block + bytes, size - bytes);
    note_use(arena);
    return block;
}

rg_arena_mark rg_arena_save(const rg_arena *arena)
{
    return (rg_arena_mark){arena->low, arena->high};
}

void rg_arena_restore(rg_arena *arena, rg_arena_mark mark)
{
    if (mark.low < arena->low) {
        poison(arena, arena->base + mark.low, arena->low - mark.low);
        arena->low = mark.low;
    }
    if (mark.high < arena->high) {
        poison(arena, arena->base + arena->capacity - arena->high, arena->high - mark.high);
        arena->high = mark.high;
    }
}

void rg_arena_reset(rg_arena *arena)
{
    rg_arena_restore(arena, (rg_arena_mark){0, 0});
}

size_t rg_arena_capacity(const rg_arena *arena)
{
    return arena->capacity;
}

size_t rg_arena_used(const rg_arena *arena)
{
    return arena->low + arena->high;
}

size_t rg_arena_high_water(const rg_arena *arena)
{
    return arena->high_water;
}

void rg_arena_watch(rg_arena *arena)
{
    arena->high_water = arena->low + arena->high;
}

const char *rg_arena_name(const rg_arena *arena)
{
    return arena->name;
}

size_t rg_arena_count(void)
{
    return atomic_load(&arenas_created);
}
