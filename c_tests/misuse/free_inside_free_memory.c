// An address in memory that has never been allocated.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40) + 4096;
    REFUSED(p, mm_free(heap, p));
}
