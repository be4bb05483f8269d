// Validation every 2^3 operations: an overflow is found within eight calls.
// env: MM_DEBUG_VALIDATE_SHIFT=3
// expect-signal: SIGABRT
// expect-stderr: memoman: write past the end of the block (overflow): POINTER
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    /* Operations 2 to 7 are sound and unvalidated. */
    for (int i = 0; i < 3; i++) mm_free(heap, mm_malloc(heap, 10));
    smash(p + 48, 1, 'A');
    CHECK(reports == 0);
    REFUSED(p, CHECK(mm_malloc(heap, 10) == NULL));
}
