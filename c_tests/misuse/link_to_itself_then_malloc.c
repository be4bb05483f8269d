// A free block's first word overwritten with the block's own address.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = list_of_two(NULL);
    smash_word(a, (uintptr_t)a);
    REFUSED_NULL(a, mm_malloc(heap, 40));
}
