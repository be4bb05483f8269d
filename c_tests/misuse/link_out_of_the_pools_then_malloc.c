// A free block's first word overwritten with an address on the stack.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = list_of_two(NULL);
    unsigned char local[64] __attribute__((aligned(16))) = {0};
    smash_word(a, (uintptr_t)local);
    REFUSED_NULL(a, mm_malloc(heap, 40));
}
