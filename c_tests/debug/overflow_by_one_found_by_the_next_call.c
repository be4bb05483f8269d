// With validation before every call, an overflow is found by the next call, on any block.
// env: MM_DEBUG_VALIDATE_SHIFT=0
// expect-signal: SIGABRT
// expect-stderr: memoman: write past the end of the block (overflow): POINTER
// debug-detail: memoman:   block of 48 bytes allocated at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48), *other = take(48);
    smash(p + 48, 1, 'A');
    REFUSED(p, mm_free(heap, other));
}
