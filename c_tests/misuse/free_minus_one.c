// What mmap and sbrk return on failure.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    void *p = (void *)UINTPTR_MAX;
    REFUSED(p, mm_free(heap, p));
}
