// Freed by one thread and again by another.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

static char *block, *guard;

static void *frees(void *nothing) {
    free(block);
    return nothing;
}

int main(void) {
    block = malloc(40);
    guard = malloc(40);
    on_other_thread(frees, NULL);
    misused(block);
    free(opaque(block));
    free(guard);
    return 0;
}
