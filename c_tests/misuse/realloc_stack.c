// An array on the stack, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char local[128] __attribute__((aligned(16))) = {0};
    REFUSED_NULL(local + 64, mm_realloc(heap, local + 64, 200));
}
