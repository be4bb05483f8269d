/* Memory of the pool that was never handed out. */
#include "watched.h"

static void bug(mm_allocator_t *heap) {
    char *block = mm_malloc(heap, 100);
    hidden(block)[10000] = 1; /* bug */
}
