// The first word of a free block overwritten, where realloc_aligned would move another block.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(2000);
    take(40);
    unsigned char *q = take(40);
    take(stats_of(heap).largest);
    give(a);
    smash(a, 8, 0);
    REFUSED_NULL(a, mm_realloc_aligned(heap, q, 64, 200));
}
