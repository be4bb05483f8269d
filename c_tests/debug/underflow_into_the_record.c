// A write so far before a block that it overwrites the block's record.
// expect-signal: SIGABRT
// expect-stderr: memoman: debug record before the block overwritten: POINTER
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    smash(p - 40, 40, 'A');
    REFUSED(p, mm_free(heap, p));
}
