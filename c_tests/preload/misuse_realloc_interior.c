// The middle of a block, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "check.h"

int main(void) {
    char *p = calloc(1, 400);
    misused(p + 64);
    p = realloc(opaque(p + 64), 1000);
    free(p);
    return 0;
}
