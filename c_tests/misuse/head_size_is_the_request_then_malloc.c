// The size of a free block overwritten with exactly that of the next request.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-modes: none, since the freed block is in quarantine, and used for the core
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(0xF8);
    take(stats_of(heap).largest);
    give(p);
    CHECK(*header_of(p) == 0x01);
    smash(header_of(p), 2, 0x31);
    smash(header_of(p) + 1, 1, 0);
    REFUSED_NULL(p, mm_malloc(heap, 40));
}
