/*
 * A stem store as one page that a person opens: hours, labels, levels, bands, songs to hear, and
 * what is odd.
 *
 * One idea: what opening the store has loaded is drawn at once; sound is read only of the songs
 * that are drawn by lot, so the page of a large store takes no longer than that of a small one.
 * Not here: reports of models (evaluate.h).
 */
#ifndef RG_EVAL_STORE_PAGE_H
#define RG_EVAL_STORE_PAGE_H

#include "datasets/store.h"

/* Writes an HTML file that needs nothing else, atomically. `seed` draws the songs. Errors name the
 * song or the file. */
rg_status rg_store_page(const rg_store *store, const char *path, uint64_t seed,
                        rg_error *err) RG_MUST_USE;

#endif
