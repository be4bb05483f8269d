// A digit written one byte past the end of the block: the next header then calls this block free.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-modes: none, since it asserts the released library's header
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    CHECK(*end_of(p) == 0x30);
    smash(end_of(p), 1, '2');
    REFUSED(p, mm_free(heap, p));
}
