// A word written past a block of a size in demand, over the next header, and the block freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write past the end of the block (overflow): POINTER
#include "check.h"

int main(void) {
    put_in_demand(40);
    long *p = malloc(40);
    ((long *)opaque(p))[5] = 0x4141414141414141;
    misused(p);
    free(p);
    return 0;
}
