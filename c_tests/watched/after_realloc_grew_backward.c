/* The end of the old place of a block that realloc moved down, over itself. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *before = mm_malloc(heap, 400), *block = mm_malloc(heap, 400);
    mm_malloc(heap, 40);
    mm_free(heap, before);
    char *moved = mm_realloc(heap, block, 500);
    if (moved != before) puts("not moved down");
    hidden(block)[300] = 1; /* bug */
}
