// A block freed by another thread, its first two words overwritten, and then collected by its owner
// thread.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: 0x*
#include "check.h"

static char *block;

static void *frees(void *nothing) {
    free(block);
    return nothing;
}

int main(void) {
    block = malloc(40);
    on_other_thread(frees, NULL);
    ((long *)opaque(block))[0] = 0x20;
    ((long *)opaque(block))[1] = 0x20;
    misused(block);
    for (int i = 0; i < 3; i++) block = opaque(malloc(40));
    free(block);
    return 0;
}
