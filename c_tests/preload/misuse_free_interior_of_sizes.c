// The middle of an array of small numbers, each of which could be the size of a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "check.h"

int main(void) {
    long *p = malloc(400);
    for (int i = 0; i < 50; i++) p[i] = 0x20;
    misused(p + 8);
    free(opaque(p + 8));
    return 0;
}
