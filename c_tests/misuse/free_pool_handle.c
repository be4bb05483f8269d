// A pool, freed as if it were a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
// debug-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    mm_pool_t *pool = mm_get_pool(heap);
    REFUSED(pool, mm_free(heap, pool));
}
