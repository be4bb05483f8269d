// A block grown into the free one after it, whose size has been overwritten.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write past the end of the block (overflow): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40), *next = take(0xF8);
    take(40);
    give(next);
    smash(end_of(p), 1, 0x41);
    REFUSED_NULL(p, mm_realloc(heap, p, 100));
}
