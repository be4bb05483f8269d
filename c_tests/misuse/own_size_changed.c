// The size in the header increased: no header stands where the block would end.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(400);
    smash(header_of(p), 1, *header_of(p) + 0x40);
    REFUSED(p, mm_free(heap, p));
}
