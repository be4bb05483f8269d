// 16 bytes past the start of a block of zeros.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(400);
    REFUSED(p + 16, mm_free(heap, p + 16));
}
