// The middle of a block, resized with an alignment.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = took(mm_calloc(heap, 1, 400));
    REFUSED_NULL(p + 64, mm_realloc_aligned(heap, p + 64, 16, 1000));
}
