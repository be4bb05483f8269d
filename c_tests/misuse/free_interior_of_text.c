// The middle of a block of letters.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = memset(take(400), 'A', 400);
    REFUSED(p + 208, mm_free(heap, p + 208));
}
