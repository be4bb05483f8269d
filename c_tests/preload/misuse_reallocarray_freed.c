// A freed block, resized by reallocarray.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *p = malloc(40), *guard = malloc(40);
    free(p);
    misused(p);
    p = reallocarray(opaque(p), 10, 10);
    free(guard);
    return 0;
}
