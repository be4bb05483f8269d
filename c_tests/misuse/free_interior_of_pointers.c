// The middle of an array of pointers to blocks.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    void **p = (void *)take(400);
    for (int i = 0; i < 50; i++) p[i] = p;
    REFUSED(p + 20, mm_free(heap, p + 20));
}
