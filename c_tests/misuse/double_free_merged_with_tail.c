// The only block, freed again: it was merged into one free block, the whole pool.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    give(p);
    REFUSED(p, mm_free(heap, p));
}
