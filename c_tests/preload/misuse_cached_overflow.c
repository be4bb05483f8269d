// A word too far, over the header of the next block, and a block of a size in demand freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write behind the block (overflow): POINTER
#include "check.h"

int main(void) {
    static void *blocks[64];
    /* The size is in demand: its freed blocks are kept at hand. */
    for (int i = 0; i < 64; i++) blocks[i] = malloc(40);
    for (int i = 0; i < 64; i++) free(blocks[i]);
    long *p = malloc(40);
    ((long *)opaque(p))[5] = 0x4141414141414141;
    misused(p);
    free(p);
    return 0;
}
