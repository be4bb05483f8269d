// Freed twice, of a size in demand, another block between.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    static void *blocks[64];
    /* The size is in demand: its freed blocks are kept at hand. */
    for (int i = 0; i < 64; i++) blocks[i] = malloc(40);
    for (int i = 0; i < 64; i++) free(blocks[i]);
    void *p = malloc(40), *q = malloc(40);
    free(p);
    free(q);
    misused(p);
    free(opaque(p));
    return 0;
}
