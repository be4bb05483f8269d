// Freed by one thread and again by another.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"
#include <pthread.h>

static char *block, *guard;

static void *frees(void *nothing) {
    free(block);
    return nothing;
}


int main(void) {
    pthread_t thread;
    block = malloc(40);
    guard = malloc(40);
    CHECK(pthread_create(&thread, NULL, frees, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    misused(block);
    free(opaque(block));
    free(guard);
    return 0;
}
