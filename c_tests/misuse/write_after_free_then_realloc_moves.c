// The first word of a free block overwritten, where realloc would move another block.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(200);
    take(40);
    unsigned char *q = take(40);
    take(stats_of(heap).largest);
    give(a);
    smash(a, 8, 'A');
    REFUSED_NULL(a, mm_realloc(heap, q, 200));
}
