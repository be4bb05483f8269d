// The middle of a block of zeros.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "check.h"

int main(void) {
    char *p = calloc(1, 400);
    misused(p + 32);
    free(opaque(p + 32));
    return 0;
}
