// Freed after realloc to 0 bytes has freed it.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    CHECK(mm_realloc(heap, p, 0) == NULL);
    forget(p);
    REFUSED(p, mm_free(heap, p));
}
