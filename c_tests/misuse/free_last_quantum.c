// The last quantum of a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-modes: none, since its guard ends the pool
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(400), *last = end_of(p) - 24;
    take(40);
    CHECK((uintptr_t)last % 16 == 0);
    REFUSED(last, mm_free(heap, last));
}
