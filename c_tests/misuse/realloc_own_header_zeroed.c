// A block with an overwritten header, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    smash(header_of(p), 8, 0);
    REFUSED_NULL(p, mm_realloc(heap, p, 1000));
}
