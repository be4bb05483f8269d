// The header of a free block overwritten with "in use" and a size below the request.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-modes: none, since the freed block is in quarantine, and used for the core
#include "misuse.h"

static void misuse(void) {
    unsigned char *p = take(40);
    take(40);
    give(p);
    smash(header_of(p), 1, 0x20);
    REFUSED_NULL(p, mm_malloc(heap, 40));
}
