// Freed again after it was merged with the free block after it.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40);
    take(40);
    give(b);
    give(a);
    REFUSED(a, mm_free(heap, a));
}
