// The control structure, freed as if it were a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    REFUSED(heap, mm_free(heap, heap));
}
