// A string literal.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    void *p = (void *)(uintptr_t)"never allocated, and read-only";
    REFUSED(p, mm_free(heap, p));
}
