// The size of a freed block of a size in demand.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"
#include <malloc.h>

int main(void) {
    static void *blocks[64];
    /* The size is in demand: its freed blocks are kept at hand. */
    for (int i = 0; i < 64; i++) blocks[i] = malloc(40);
    for (int i = 0; i < 64; i++) free(blocks[i]);
    void *p = malloc(40);
    free(p);
    misused(p);
    CHECK(malloc_usable_size(opaque(p)) == 0);
    return 0;
}
