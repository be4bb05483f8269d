/* The part of a block that realloc split off. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 1000);
    block = mm_realloc(heap, block, 100);
    hidden(block)[500] = 1; /* bug */
}
