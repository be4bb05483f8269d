// Freed and then resized by a thread that did not allocate it.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

static char *block;

static void *frees(void *nothing) {
    free(block);
    misused(block);
    block = realloc(opaque(block), 1000);
    return nothing;
}

int main(void) {
    block = malloc(400);
    memset(block, 0, 400);
    on_other_thread(frees, NULL);
    return 0;
}
