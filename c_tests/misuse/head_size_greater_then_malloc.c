// The size of a free block increased, and a part of it allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-stderr: memoman: header of the next block overwritten: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(0x1F0 - 8);
    take(stats_of(heap).largest);
    give(p);
    smash(header_of(p) + 1, 1, 0x11);
    REFUSED_NULL(p, mm_malloc(heap, 40));
}
