// A block of the C library's malloc.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    void *p = malloc(100);
    REFUSED(p, mm_free(heap, p));
    free(p);
}
