// The second word of a free block overwritten, and the block before it freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: 0x*
#include "check.h"

int main(void) {
    long *a = malloc(40), *b = malloc(40), *guard = malloc(40);
    free(b);
    ((long *)opaque(b))[1] = 0;
    misused(a);
    free(a);
    free(guard);
    return 0;
}
