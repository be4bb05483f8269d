// A free block's first word set to zero, and the block allocated: the rest of the list is not lost.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = list_of_two(NULL);
    smash(a, 8, 0);
    REFUSED_NULL(a, mm_malloc(heap, 40));
}
