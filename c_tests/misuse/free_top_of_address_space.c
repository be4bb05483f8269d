// The last aligned address of the address space.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    void *p = (void *)(UINTPTR_MAX & ~(uintptr_t)15);
    REFUSED(p, mm_free(heap, p));
}
