// The old address, freed after realloc moved the block.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    unsigned char *moved = took(mm_realloc(heap, p, 1000));
    forget(p);
    CHECK(moved != p);
    REFUSED(p, mm_free(heap, p));
}
