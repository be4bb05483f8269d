// A letter written one byte past the end of the block: the next header then calls its block free.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write past the end of the block (overflow): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(400);
    smash(end_of(p), 1, 'A');
    REFUSED(p, mm_free(heap, p));
}
