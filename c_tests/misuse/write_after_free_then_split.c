// The first word of a large free block overwritten, and a part of it allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(4000);
    take(stats_of(heap).largest);
    give(p);
    smash(p, 8, 0);
    REFUSED_NULL(p, mm_malloc(heap, 40));
}
