/* Included before a program of c_tests/preload: replaces the C library's functions by those of the
 * linked library. The sanitizers have a malloc of their own, so no shim can be preloaded under
 * them. */
#ifndef LINKED_H
#define LINKED_H

#define _GNU_SOURCE 1
#include "memoman.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define LINKED 1

/* The header's functions leave errno alone; the C library's set ENOMEM. */
static inline void *linked_or_enomem(void *block) {
    if (block == NULL) errno = ENOMEM;
    return block;
}

static inline struct mallinfo2 linked_mallinfo2(void) {
    mm_stats_t stats;
    struct mallinfo2 info = {0};
    if (mm_stats_global(&stats, sizeof stats)) {
        info.arena = stats.pool_bytes;
        info.uordblks = stats.used;
        info.fordblks = stats.free;
    }
    return info;
}

#define malloc(bytes) linked_or_enomem(mm_malloc_global(bytes))
#define calloc(count, bytes) linked_or_enomem(mm_calloc_global(count, bytes))
#define realloc(block, bytes) linked_or_enomem(mm_realloc_global(block, bytes))
#define memalign(align, bytes) linked_or_enomem(mm_memalign_global(align, bytes))
#define free(block) mm_free_global(block)
#define mallinfo2() linked_mallinfo2()
/* The library has no such function: nothing is given back. */
#define malloc_trim(pad) ((void)(pad), 0)

#endif
