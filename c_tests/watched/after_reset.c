/* A block from before mm_reset. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 100);
    mm_reset(heap);
    hidden(block)[0] = 1; /* bug */
}
