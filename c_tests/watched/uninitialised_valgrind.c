/* A branch depends on the contents of a new block. Only Memcheck finds this. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 100);
    if (hidden(block)[10] == 7) puts("seven"); /* bug */
}
