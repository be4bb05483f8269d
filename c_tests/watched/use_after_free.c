/* A block is written after it was freed. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 100);
    mm_free(heap, block);
    hidden(block)[50] = 1; /* bug */
}
