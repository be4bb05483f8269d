// An interior pointer: the block that it points into is named.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-detail: memoman:   32 bytes into a block of 99 bytes allocated at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(99);
    REFUSED(p + 32, mm_free(heap, p + 32));
}
