// The last word of a free block overwritten, and the block after it freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the previous block overwritten: POINTER
// debug-stderr: memoman: write after free: 0x*
#include "check.h"

int main(void) {
    long *a = malloc(40), *b = malloc(40), *guard = malloc(40);
    free(a);
    ((long *)opaque(a))[4] = 0x4141414141414141;
    misused(b);
    free(b);
    free(guard);
    return 0;
}
