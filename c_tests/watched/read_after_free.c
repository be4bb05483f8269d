/* A block is read after it was freed and merged with its neighbour. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *first = mm_calloc(heap, 1, 100), *block = mm_calloc(heap, 1, 100);
    mm_free(heap, first);
    mm_free(heap, block);
    if (hidden(block)[99] == 7) puts("seven"); /* bug */
}
