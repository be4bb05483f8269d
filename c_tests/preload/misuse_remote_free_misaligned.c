// One byte behind the start of a block, freed by a thread that did not allocate it.
// expect-signal: SIGABRT
// expect-stderr: memoman: misaligned pointer: POINTER
#include "check.h"
#include <pthread.h>

static char *block;

static void *frees(void *nothing) {
    misused(block + 1);
    free(opaque(block + 1));
    return nothing;
}

int main(void) {
    pthread_t thread;
    block = malloc(400);
    memset(block, 0, 400);
    CHECK(pthread_create(&thread, NULL, frees, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}
