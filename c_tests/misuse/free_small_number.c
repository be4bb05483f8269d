// A small number where a pointer should be.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    void *p = (void *)(uintptr_t)0x30;
    REFUSED(p, mm_free(heap, p));
}
