// A string literal, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    void *p = (void *)(uintptr_t)"never allocated, and read-only";
    REFUSED_NULL(p, mm_realloc(heap, p, 200));
}
