// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten
#include "check.h"

int main(void) {
    long *p = malloc(40), *next = malloc(40);
    ((long *)opaque(p))[5] = 0x4141414141414141;
    passed("overflow_into_the_next_header_is_fatal");
    free(p);
    free(next);
    return 0;
}
