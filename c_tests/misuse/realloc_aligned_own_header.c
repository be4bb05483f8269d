// A block with an overwritten header, resized with an alignment.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    smash(header_of(p), 8, 'A');
    REFUSED_NULL(p, mm_realloc_aligned(heap, p, 64, 24));
}
