// The first word of a free block overwritten, and the block before it grown into it.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(200);
    take(40);
    give(b);
    smash(b, 8, 'A');
    REFUSED_NULL(b, mm_realloc(heap, a, 100));
}
