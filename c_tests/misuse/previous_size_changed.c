// The size of a free block changed, and the block after it freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the previous block overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: I6: block header or sentinel overwritten: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(0xF8), *b = take(40);
    take(40);
    give(a);
    smash(header_of(a), 1, 0x21);
    REFUSED(b, mm_free(heap, b));
}
