/* One byte past the request, in the block's slack: harmless to the heap, and still a bug. */
/* valgrind: is 0 bytes after a block of size 33 client-defined */
/* valgrind: bug (overflow_into_slack.c:7) */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 33);
    hidden(block)[33] = 1; /* bug */
}
