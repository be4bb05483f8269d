// The last word of a free block overwritten with the address of a block in use.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the previous block overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *other = take(40), *a = take(40), *b = take(40);
    take(40);
    unsigned char *ghost = end_of(a) - 8;
    give(a);
    smash_word(ghost, (uintptr_t)other);
    REFUSED(b, mm_free(heap, b));
}
