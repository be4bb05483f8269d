// The first word of the only free block overwritten, and an aligned part of it allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(4000);
    take(stats_of(heap).largest);
    give(p);
    smash(p, 8, 'A');
    REFUSED_NULL(p, mm_memalign(heap, 64, 100));
}
