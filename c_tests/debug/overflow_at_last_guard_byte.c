// Only the last byte of the guard after a block is overwritten.
// expect-signal: SIGABRT
// expect-stderr: memoman: write past the end of the block (overflow): POINTER
// debug-detail: memoman:   first overwritten byte: 0x*, * bytes past the end, is now 0x41
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    smash(p + 48 + 2 * sizeof(void *) - 1, 1, 'A');
    REFUSED(p, mm_free(heap, p));
}
