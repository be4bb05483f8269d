// An overflow at the end of the pool, over its sentinel.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write past the end of the block (overflow): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(stats_of(heap).largest);
    smash(end_of(p), 8, 0);
    REFUSED(p, mm_free(heap, p));
}
