// Freed again after it was merged into the free block before it.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40);
    take(40);
    give(a);
    give(b);
    REFUSED(b, mm_free(heap, b));
}
