// A letter, one byte too far: the next block now says that it is free.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write behind the block (overflow): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(400);
    smash(end_of(p), 1, 'A');
    REFUSED(p, mm_free(heap, p));
}
