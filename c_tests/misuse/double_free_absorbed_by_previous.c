// Freed again after the block before it was freed and merged with it.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40);
    take(40);
    give(b);
    give(a);
    REFUSED(b, mm_free(heap, b));
}
