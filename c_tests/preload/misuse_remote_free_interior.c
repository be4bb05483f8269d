// The middle of a block of zeros, freed by a thread that did not allocate it.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "check.h"

static char *block;

static void *frees(void *nothing) {
    misused(block + 64);
    free(opaque(block + 64));
    return nothing;
}

int main(void) {
    block = malloc(400);
    memset(block, 0, 400);
    on_other_thread(frees, NULL);
    return 0;
}
