// One byte past the end of a block, found by realloc; the record names the block.
// expect-signal: SIGABRT
// expect-stderr: memoman: write past the end of the block (overflow): POINTER
// debug-detail: memoman:   block of 100 bytes allocated at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(100);
    smash(p + 100, 1, 'A');
    REFUSED(p, (void)mm_realloc(heap, p, 200));
}
