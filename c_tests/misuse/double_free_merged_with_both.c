// Freed again after it was merged with free blocks on both sides.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40), *c = take(40);
    take(40);
    give(a);
    give(c);
    give(b);
    REFUSED(b, mm_free(heap, b));
}
