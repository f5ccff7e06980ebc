/*
 * How much memory a program may still take.
 */
#ifndef RG_BASE_MEMORY_H
#define RG_BASE_MEMORY_H

#include <stdint.h>

/*
 * Bytes that can be taken without swapping: what the kernel calls available (free pages and caches
 * that it can drop), or what is left to this process's control group (containers, batch systems),
 * whichever is less. INT64_MAX when the system does not say.
 */
int64_t rg_memory_available(void);

#endif
