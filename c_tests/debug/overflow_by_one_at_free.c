// One byte past the end of a block whose size leaves no slack, found by free; the record names it.
// expect-signal: SIGABRT
// expect-stderr: memoman: write past the end of the block (overflow): POINTER
// debug-detail: memoman:   first overwritten byte: 0x*, 0 bytes past the end, is now 0x41
// debug-detail: memoman:   block of 48 bytes allocated at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    smash(p + 48, 1, 'A');
    REFUSED(p, mm_free(heap, p));
}
