// One byte before a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: write before the block (underflow): POINTER
// debug-detail: memoman:   first overwritten byte: 0x*, 1 byte before the start, is now 0x41
// debug-detail: memoman:   block of 48 bytes allocated at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    smash(p - 1, 1, 'A');
    REFUSED(p, mm_free(heap, p));
}
