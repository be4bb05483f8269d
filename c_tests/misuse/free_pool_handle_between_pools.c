// A pool that lies above another one, freed as if it were a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    mm_pool_t *pool = mm_add_pool(heap, memory + HEAP_BYTES + 4096, 4096);
    CHECK(pool != NULL);
    REFUSED(pool, mm_free(heap, pool));
}
