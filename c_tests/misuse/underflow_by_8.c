// Eight letters written before the block.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-stderr: memoman: write before the block (underflow): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    smash(p - 8, 8, 'A');
    REFUSED(p, mm_free(heap, p));
}
