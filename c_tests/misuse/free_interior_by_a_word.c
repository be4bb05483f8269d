// 8 bytes past the start of a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: misaligned pointer: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(400);
    REFUSED(p + 8, mm_free(heap, p + 8));
}
