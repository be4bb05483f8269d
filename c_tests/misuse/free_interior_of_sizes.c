// The middle of an array of small numbers, each of which could be the size of a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    uint64_t *p = (void *)take(400);
    for (int i = 0; i < 50; i++) p[i] = 0x20;
    REFUSED(p + 8, mm_free(heap, p + 8));
}
