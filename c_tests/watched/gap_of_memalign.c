/* The free block that memalign leaves in front. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    mm_malloc(heap, 24);
    char *block = mm_memalign(heap, 4096, 100);
    hidden(block)[-64] = 1; /* bug */
}
