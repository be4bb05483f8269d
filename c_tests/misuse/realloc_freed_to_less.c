// A freed block, shrunk.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(400);
    take(40);
    give(p);
    REFUSED_NULL(p, mm_realloc(heap, p, 24));
}
