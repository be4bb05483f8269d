/* The extension of a pool: its sentinel. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    static unsigned char more[8192];
    mm_pool_t *pool = mm_add_pool(heap, more, 4096);
    if (!mm_extend_pool(heap, pool, 4096)) puts("not extended");
    hidden(more)[8192 - 4] = 1; /* bug */
}
