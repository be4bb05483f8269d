/* The old place of a block that realloc moved. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 40);
    mm_malloc(heap, 40);
    char *moved = mm_realloc(heap, block, 4000);
    if (moved == block) puts("not moved");
    hidden(block)[0] = 1; /* bug */
}
