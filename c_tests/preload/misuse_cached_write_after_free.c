// The first word of a freed block of a size in demand overwritten, and the block allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: 0x*
#include "check.h"

int main(void) {
    put_in_demand(40);
    long *p = malloc(40);
    free(p);
    ((long *)opaque(p))[0] = 0;
    misused(p);
    p = opaque(malloc(40));
    free(p);
    return 0;
}
