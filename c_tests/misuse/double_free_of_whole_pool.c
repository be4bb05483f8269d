// A block that fills its pool, freed twice.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(stats_of(heap).largest);
    CHECK(stats_of(heap).free == 0);
    give(p);
    REFUSED(p, mm_free(heap, p));
}
