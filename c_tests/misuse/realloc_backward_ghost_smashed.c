// A block grown backward when its link to the free one before it is overwritten.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the previous block overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(200), *b = take(40);
    take(40);
    unsigned char *ghost = end_of(a) - 8;
    give(a);
    smash(ghost, 8, 0);
    REFUSED_NULL(b, mm_realloc(heap, b, 200));
}
