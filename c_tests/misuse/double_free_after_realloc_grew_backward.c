// The old address, freed after realloc grew the block into the free one before it.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
// debug-modes: none, since its realloc moves
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(200), *b = take(40);
    take(40);
    give(a);
    CHECK(took(mm_realloc(heap, b, 220)) == a);
    forget(b);
    REFUSED(b, mm_free(heap, b));
}
