// The middle of a block, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(400);
    REFUSED_NULL(p + 64, mm_realloc(heap, p + 64, 1000));
}
