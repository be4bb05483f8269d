// The same, found by realloc.
// expect-signal: SIGABRT
// expect-stderr: memoman: write behind the block (overflow): POINTER
// debug-detail: memoman:   block of 100 bytes allocated at 0x* (overflow_by_one_at_realloc+0x*); allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(100);
    smash(p + 100, 1, 'A');
    REFUSED(p, (void)mm_realloc(heap, p, 200));
}
