// One byte past the start of a block, freed by a thread that did not allocate it.
// expect-signal: SIGABRT
// expect-stderr: memoman: misaligned pointer: POINTER
#include "check.h"

static char *block;

static void *frees(void *nothing) {
    misused(block + 1);
    free(opaque(block + 1));
    return nothing;
}

int main(void) {
    block = malloc(400);
    memset(block, 0, 400);
    on_other_thread(frees, NULL);
    return 0;
}
