// A block of mm_memalign, freed twice.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = took(mm_memalign(heap, 256, 100));
    take(40);
    give(p);
    REFUSED(p, mm_free(heap, p));
}
