// A free block's first word overwritten, and the block allocated by calloc.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = list_of_two(NULL);
    smash(a, 8, 0x20);
    REFUSED_NULL(a, mm_calloc(heap, 4, 10));
}
