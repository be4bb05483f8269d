// An overflow of a block of mm_memalign.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write past the end of the block (overflow): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = took(mm_memalign(heap, 256, 104));
    take(40);
    smash(end_of(p), 8, 0x20);
    REFUSED(p, mm_free(heap, p));
}
