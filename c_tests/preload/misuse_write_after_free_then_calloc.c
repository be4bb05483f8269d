// A free block's first word overwritten, and the block allocated by calloc.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: POINTER
#include "check.h"

int main(void) {
    long *a = malloc(40), *guard = malloc(40);
    free(a);
    ((long *)opaque(a))[0] = 0x20;
    misused(a);
    a = opaque(calloc(4, 10));
    free(a);
    free(guard);
    return 0;
}
