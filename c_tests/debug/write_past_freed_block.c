// A write past the end of a block in quarantine.
// env: MM_DEBUG_VALIDATE_SHIFT=0
// expect-signal: SIGABRT
// expect-stderr: memoman: write after free: POINTER
// debug-detail: memoman:   first overwritten byte: 0x*, 3 bytes past the end, is now 0x41
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    give(p);
    smash(p + 51, 1, 'A');
    REFUSED(p, (void)mm_malloc(heap, 10));
}
