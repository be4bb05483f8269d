// A header overwritten with zeros.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    smash(header_of(p), 8, 0);
    REFUSED(p, mm_free(heap, p));
}
