// Freed by another thread, its first two words overwritten, and then taken back by its owner.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten: POINTER
// debug-stderr: memoman: write after free: 0x*
#include "check.h"
#include <pthread.h>

static char *block;

static void *frees(void *nothing) {
    free(block);
    return nothing;
}

int main(void) {
    pthread_t thread;
    block = malloc(40);
    CHECK(pthread_create(&thread, NULL, frees, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    ((long *)opaque(block))[0] = 0x20;
    ((long *)opaque(block))[1] = 0x20;
    misused(block);
    for (int i = 0; i < 3; i++) block = opaque(malloc(40));
    free(block);
    return 0;
}
