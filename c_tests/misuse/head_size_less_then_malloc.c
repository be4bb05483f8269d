// The size of a free block overwritten with less than the request that its list guarantees.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-modes: none, since it asserts the released library's header
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    give(p);
    CHECK(*header_of(p) == 0x31);
    smash(header_of(p), 1, 0x21);
    REFUSED_NULL(p, mm_malloc(heap, 40));
}
