/*
 * A file system that fails on purpose, behind base/fs.h.
 *
 * One idea: calls are counted; the Nth fails, comes short, is interrupted, finds the disk full, or
 * is the moment the power goes. A test runs its work for N = 1, 2, ... until no call was hit. For
 * power losses the real files are worked on, and a model beside them knows what of it a disk would
 * still have: file contents as of their last fsync, names as of the last fsync of their folder.
 * Not here: what went past base/fs.h. One thread only.
 */
#ifndef RG_TESTS_FAULTY_FS_H
#define RG_TESTS_FAULTY_FS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum rg_fault {
    RG_FS_NONE,
    RG_FS_FAIL,  /* the Nth call returns EIO, whichever it is */
    RG_FS_SHORT, /* the Nth, if it reads or writes, does about half */
    RG_FS_EINTR, /* the Nth, if it can be interrupted, is */
    RG_FS_FULL,  /* from the Nth on, what needs room on the disk returns ENOSPC */
    RG_FS_POWER, /* from the Nth on nothing happens any more and every call returns EIO */
} rg_fault;

/* Installs the faulty table; the counter and the model start afresh. */
void rg_faulty_begin(rg_fault kind, int64_t nth);
/* Back to POSIX. Whether the Nth call came; if not, larger N have nothing to hit. */
bool rg_faulty_end(void);

/*
 * After rg_faulty_end: puts the tracked files into a state that a disk may be in after the power
 * went. `names_survive` false: nothing that was not synced is there. True: every rename and new
 * name is there, but contents are as of their last fsync (the journalled metadata, unordered data
 * case, which shows as empty files).
 */
void rg_faulty_power_loss(bool names_survive);

#endif
