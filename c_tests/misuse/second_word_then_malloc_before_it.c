// The second word of a free block overwritten, and the block before it in the list allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *b, *a = list_of_two(&b);
    smash(b + 8, 8, 'A');
    REFUSED_NULL(a, mm_malloc(heap, 40));
}
