/* The byte before a block: its own header. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 40);
    hidden(block)[-1] = 1; /* bug */
}
