// The first word of a free block overwritten, and the block before it moved away by realloc.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40);
    take(40);
    give(b);
    smash(b, 8, 'A');
    REFUSED_NULL_AFTER_COPY(a, mm_realloc(heap, a, 1000));
}
