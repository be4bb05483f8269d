// An overflow over the header and both links of a free block.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write past the end of the block (overflow): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40), *next = take(40);
    take(40);
    give(next);
    smash(end_of(p), 24, 0);
    REFUSED(p, mm_free(heap, p));
}
