// One byte past the end of a block of a size that the release library rounds up.
// expect-signal: SIGABRT
// expect-stderr: memoman: write past the end of the block (overflow): POINTER
// debug-detail: memoman:   first overwritten byte: 0x*, 0 bytes past the end, is now 0x0
// debug-detail: memoman:   block of 13 bytes allocated at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(13);
    smash(p + 13, 1, 0);
    REFUSED(p, mm_free(heap, p));
}
