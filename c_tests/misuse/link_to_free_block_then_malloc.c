// A free block's first word made to point at a free block of another list.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *other = take(200);
    take(40);
    give(other);
    unsigned char *a = take(40);
    take(40);
    unsigned char *b = take(40);
    take(40);
    give(b);
    give(a);
    smash_word(a, (uintptr_t)other);
    REFUSED_NULL(a, mm_malloc(heap, 40));
}
