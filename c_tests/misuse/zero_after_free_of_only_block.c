// The first word of a list's only block set to zero, and the block allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    give(p);
    smash(p, 8, 0);
    REFUSED_NULL(p, mm_malloc(heap, 40));
}
