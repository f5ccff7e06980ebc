/*
 * Which CPU kernels run: CPUID's feature bits, the operating system's consent (XGETBV), RG_ISA.
 *
 * One idea: a level is the level below with its own slots written over, so a level need not fill
 * every slot and nothing is ever missing. Features are asked for by bit, never by model.
 */
#include <cpuid.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/cpu.h"

/* A level needs these bits of CPUID and these state bits of XCR0, and may have to ask besides. */
typedef struct level {
    const char *name;
    void (*fill)(rg_kernels *k);
    const rg_isa *isa;
    uint32_t leaf1_ecx, leaf7_ebx, leaf7_edx, leaf7_1_eax;
    uint64_t xcr0;
    bool (*permitted)(void); /* NULL: yes */
} level;

enum {
    FMA = 1U << 12,
    OSXSAVE = 1U << 27,
    AVX = 1U << 28,
    F16C = 1U << 29,
    AVX2 = 1U << 5,
    AVX512F = 1U << 16,
    AVX512DQ = 1U << 17,
    AVX512BW = 1U << 30,
    AVX512BF16 = 1U << 5, /* of leaf 7.1 */
    AMX_BF16 = 1U << 22,  /* of leaf 7.0's EDX */
    AMX_TILE = 1U << 24,
    BASE = FMA | OSXSAVE | AVX | F16C
};
#define AVX512VL (1U << 31)
#define ALL_AVX512 (AVX2 | AVX512F | AVX512DQ | AVX512BW | AVX512VL)
#define STATE_AVX 0x06U    /* xmm, ymm */
#define STATE_AVX512 0xe6U /* and masks, upper halves of zmm, zmm16-31 */
#define STATE_AMX 0x600e6U /* and the tiles' configuration and data */

/* Linux gives a process the tiles' state when it asks: all its threads, those of before too. */
static bool tiles_permitted(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

static const level levels[] = {
    {.name = "ref"},
    {"avx2", rg_cpu_fill_avx2, &rg_isa_avx2, BASE, AVX2, 0, 0, STATE_AVX, NULL},
    {"avx512", rg_cpu_fill_avx512, &rg_isa_avx512, BASE, ALL_AVX512, 0, 0, STATE_AVX512, NULL},
    {"avx512bf16", rg_cpu_fill_avx512bf16, &rg_isa_avx512bf16, BASE, ALL_AVX512, 0, AVX512BF16,
     STATE_AVX512, NULL},
    {"amx", rg_cpu_fill_amx, &rg_isa_amx, BASE, ALL_AVX512, AMX_TILE | AMX_BF16, AVX512BF16,
     STATE_AMX, tiles_permitted},
};
enum { LEVELS = sizeof levels / sizeof levels[0] };

static rg_kernels tables[LEVELS];
static const char *names[LEVELS + 1];
static int available; /* levels[0 .. available) run here */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint64_t xgetbv0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool cpu_has(const level *l)
{
    uint32_t a, b, c = 0, d, b7 = 0, c7, d7 = 0, d71, a71 = 0;
    if (!l->fill) return true;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return false;
    if ((c & l->leaf1_ecx) != l->leaf1_ecx || (b7 & l->leaf7_ebx) != l->leaf7_ebx) return false;
    if ((d7 & l->leaf7_edx) != l->leaf7_edx) return false;
    if (l->leaf7_1_eax && !__get_cpuid_count(7, 1, &a71, &b, &c7, &d71)) return false;
    if ((a71 & l->leaf7_1_eax) != l->leaf7_1_eax) return false;
    if ((xgetbv0() & l->xcr0) != l->xcr0) return false;
    return !l->permitted || l->permitted();
}

static void fill_tables(void)
{
    for (available = 0; available < LEVELS && cpu_has(&levels[available]); available++) {
        const level *l = &levels[available];
        tables[available] = available ? tables[available - 1] : *rg_kernels_reference();
        if (l->fill) l->fill(&tables[available]);
        tables[available].name = names[available] = l->name;
    }
}

const rg_kernels *rg_kernels_cpu_level(const char *name)
{
    pthread_once(&once, fill_tables);
    for (int i = 0; i < available; i++)
        if (!strcmp(levels[i].name, name)) return &tables[i];
    return NULL;
}

const char *const *rg_kernels_cpu_levels(void)
{
    pthread_once(&once, fill_tables);
    return names;
}

const rg_isa *rg_cpu_best_isa(void)
{
    pthread_once(&once, fill_tables);
    return levels[available - 1].isa;
}

const rg_kernels *rg_kernels_cpu(rg_error *err)
{
    pthread_once(&once, fill_tables);
    const char *cap = getenv("RG_ISA");
    if (!cap || !*cap) return &tables[available - 1];
    const rg_kernels *k = rg_kernels_cpu_level(cap);
    if (k) return k;
    for (int i = 0; i < LEVELS; i++)
        if (!strcmp(levels[i].name, cap)) {
            rg_fail(err, RG_ERR_CONFIG, "RG_ISA=%s: this CPU does not have it; the highest is %s",
                    cap, levels[available - 1].name);
            return NULL;
        }
    rg_fail(err, RG_ERR_CONFIG,
            "RG_ISA='%s': unknown level; use ref, avx2, avx512, avx512bf16 or amx", cap);
    return NULL;
}
