// The header of a free block set to zero, and the block allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: I6: block header or sentinel overwritten: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    give(p);
    smash(header_of(p), 8, 0);
    REFUSED_NULL(p, mm_malloc(heap, 40));
}
