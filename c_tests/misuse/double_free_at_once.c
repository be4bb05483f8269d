// Freed, and freed again.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    give(p);
    REFUSED(p, mm_free(heap, p));
}
