/* One byte past the end of a block without slack: the next block's header. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 24);
    mm_malloc(heap, 24);
    hidden(block)[24] = 1; /* bug */
}
