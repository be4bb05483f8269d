// 4 bytes past the start of a block, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: misaligned pointer: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(400);
    REFUSED_NULL(p + 4, mm_realloc(heap, p + 4, 1000));
}
