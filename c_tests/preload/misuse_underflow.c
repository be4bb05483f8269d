// A word written before the block.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-stderr: memoman: write before the block (underflow): POINTER
#include "check.h"

int main(void) {
    long *p = malloc(40), *next = malloc(40);
    ((long *)opaque(p))[-1] = 0;
    misused(p);
    free(p);
    free(next);
    return 0;
}
