// A static array, resized with an alignment.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    static unsigned char fixed[128] __attribute__((aligned(64)));
    REFUSED_NULL(fixed, mm_realloc_aligned(heap, fixed, 64, 200));
}
