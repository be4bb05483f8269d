// Freed again after other blocks were allocated and freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    give(p);
    unsigned char *q = take(200), *r = take(3000);
    give(q);
    take(500);
    give(r);
    REFUSED(p, mm_free(heap, p));
}
