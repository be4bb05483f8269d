// Freed again after a later free of the block before it has taken it in.
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
