// One byte before a block with a large alignment, found by realloc_aligned.
// expect-signal: SIGABRT
// expect-stderr: memoman: write before the block (underflow): POINTER
// debug-detail: memoman:   block of 48 bytes allocated at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = took(mm_memalign(heap, 1024, 48));
    smash(p - 1, 1, 'A');
    REFUSED(p, (void)mm_realloc_aligned(heap, p, 1024, 90));
}
