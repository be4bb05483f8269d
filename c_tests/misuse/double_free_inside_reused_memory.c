// Freed again when its memory is part of a larger block that is not yet written there.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
// debug-modes: none, since it does not reuse the block at once
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40);
    take(40);
    give(a);
    give(b);
    unsigned char *c = took(mm_malloc(heap, 80));
    CHECK(c == a);
    REFUSED(b, mm_free(heap, b));
}
