// The end address of the pool.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = memory + HEAP_BYTES;
    REFUSED(p, mm_free(heap, p));
}
