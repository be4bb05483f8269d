// The header of the only free block overwritten, and a cleared part of it allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(4000);
    take(stats_of(heap).largest);
    give(p);
    smash(header_of(p), 8, 0xFF);
    REFUSED_NULL(p, mm_calloc(heap, 1, 500));
}
