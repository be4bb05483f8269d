// One byte written past the end of the block, into the header of a free one: its size decreases.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-modes: none, since a guard follows the block, not a size
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40), *next = take(0x1F0 - 8);
    take(40);
    give(next);
    CHECK(*end_of(p) == 0xF1);
    smash(end_of(p), 1, 0x41);
    REFUSED(p, mm_free(heap, p));
}
