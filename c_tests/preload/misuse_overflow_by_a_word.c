// A word written past the end of the block, over the next header.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write past the end of the block (overflow): POINTER
#include "check.h"

int main(void) {
    long *p = malloc(40), *next = malloc(40);
    ((long *)opaque(p))[5] = 0x4141414141414141;
    misused(p);
    free(p);
    free(next);
    return 0;
}
