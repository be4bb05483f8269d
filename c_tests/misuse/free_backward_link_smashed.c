// A block freed whose previous block is free, with its second word overwritten.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the previous block overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(40), *b = take(40);
    take(40);
    give(a);
    smash(a + 8, 8, 0);
    REFUSED(b, mm_free(heap, b));
}
