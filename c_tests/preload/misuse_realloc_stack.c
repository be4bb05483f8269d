// An array on the stack, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"

int main(void) {
    long local[8] = {0};
    free(malloc(10));
    misused(&local[2]);
    void *p = realloc(opaque(&local[2]), 100);
    free(p);
    return 0;
}
