// One byte past the start of a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: misaligned pointer: POINTER
#include "check.h"

int main(void) {
    char *p = malloc(400);
    misused(p + 1);
    free(opaque(p + 1));
    return 0;
}
