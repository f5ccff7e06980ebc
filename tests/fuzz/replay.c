/*
 * Every seed of a fuzz target as an ordinary test, and some seeded damage to each.
 *
 *   replay_fuzz_X FOLDER
 *
 * One idea: what the fuzzer would start from is run whole, cut at many lengths, and with bytes
 * changed, the same in every run. Not here: looking for new inputs (RG_FUZZ and libFuzzer).
 */
#include <string.h>

#include "base/fs.h"
#include "base/rng.h"
#include "fuzz.h"

enum { LIMIT = 1 << 20, CUTS = 64, CHANGES = 200 };

/* A copy of its own size, so that a sanitizer sees reads past the end. */
static void feed(const char *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) abort();
    memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void damage(char *data, size_t n, rg_rng *rng)
{
    for (size_t i = 0; i < CUTS; i++) feed(data, (size_t)rg_rng_below(rng, n));
    for (size_t i = 0; i < CHANGES; i++) {
        size_t at = (size_t)rg_rng_below(rng, n);
        char before = data[at];
        static const unsigned char edges[] = {0, 1, 0x7f, 0x80, 0xff, '"', '[', '\n'};
        uint64_t pick = rg_rng_below(rng, 16);
        data[at] = (char)(pick < 8 ? edges[pick] : rg_rng_u32(rng) & 0xff);
        feed(data, n);
        if (i % 4) data[at] = before; /* every fourth change stays */
    }
}

int main(int argc, char **argv)
{
    rg_error err = {0};
    char **names;
    size_t n_names;
    if (argc != 2 || rg_fs_list(argv[1], &names, &n_names, &err) != RG_OK || n_names == 0) {
        fprintf(stderr, "usage: replay FOLDER (with seeds in it) %s\n", err.text);
        return 2;
    }
    feed("", 0);
    for (size_t i = 0; i < n_names; i++) {
        char path[4096], *data;
        size_t n;
        rg_rng rng = rg_rng_make(1, i);
        if (rg_fs_join(path, sizeof path, argv[1], names[i], &err) != RG_OK ||
            rg_fs_read_all(path, LIMIT, &data, &n, &err) != RG_OK) {
            fprintf(stderr, "%s\n", err.text);
            return 2;
        }
        feed(data, n);
        if (n) damage(data, n, &rng);
        free(data);
    }
    printf("%zu seeds, each whole, cut %d times and changed %d times\n", n_names, (int)CUTS,
           (int)CHANGES);
    rg_fs_free_names(names, n_names);
    return 0;
}
