// A block from before mm_reset: its header and the next one are still in memory.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    take(40);
    unsigned char *p = take(40);
    take(40);
    CHECK(mm_reset(heap) == 1);
    takings = 0;
    took(mm_malloc(heap, 400));
    REFUSED(p, mm_free(heap, p));
}
