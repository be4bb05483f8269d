/* One byte past the request, in the block's slack: harmless to the heap, and still a bug. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 33);
    hidden(block)[33] = 1; /* bug */
}
