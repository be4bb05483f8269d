// Freed again when its memory is part of a larger block, all zeros.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-modes: none, since it does not reuse the block at once
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40);
    take(40);
    give(a);
    give(b);
    unsigned char *c = took(mm_calloc(heap, 2, 40));
    CHECK(c == a);
    REFUSED(b, mm_free(heap, b));
}
