/* A block is freed twice: memoman's own report, and the stack that the checker prints for it. */
/* valgrind: memoman: double free */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 100);
    mm_free(heap, block);
    mm_free(heap, hidden(block)); /* bug */
}
