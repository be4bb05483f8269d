// The end address of a pool that lies below another one.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = memory + HEAP_BYTES;
    CHECK(mm_add_pool(heap, p + 4096, 4096) != NULL);
    REFUSED(p, mm_free(heap, p));
}
