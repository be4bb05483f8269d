// A freed block, resized to more than any block can have.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    give(p);
    REFUSED_NULL(p, mm_realloc(heap, p, SIZE_MAX));
}
