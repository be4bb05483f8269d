// A double free: the report names where the block was allocated and where it was first freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
// debug-detail: memoman:   block of 48 bytes allocated at SITE, freed at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    give(p);
    REFUSED(p, mm_free(heap, p));
}
