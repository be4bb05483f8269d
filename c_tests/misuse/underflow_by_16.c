// An underflow over the header and the end of the block before it.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-stderr: memoman: write before the block (underflow): POINTER
#include "misuse.h"

static void misuse(void) {
    take(40);
    unsigned char *p = take(40);
    take(40);
    smash(p - 16, 16, 0xFF);
    REFUSED(p, mm_free(heap, p));
}
