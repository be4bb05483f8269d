// The first word of a free block set to zero, and the block before it freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40);
    take(40);
    unsigned char *after = take(40);
    take(40);
    give(after);
    give(b);
    smash(b, 8, 0);
    REFUSED(a, mm_free(heap, a));
}
