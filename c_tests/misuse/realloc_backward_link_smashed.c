// A block grown backward into a free one with an overwritten link.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the previous block overwritten: POINTER
// env: MM_DEBUG_VALIDATE_SHIFT=0
// debug-stderr: memoman: write after free: 0x*
#include "misuse.h"

static void misuse(void) {
    unsigned char *a = take(200), *b = take(40);
    take(40);
    give(a);
    smash(a, 8, 'A');
    REFUSED_NULL(b, mm_realloc(heap, b, 200));
}
