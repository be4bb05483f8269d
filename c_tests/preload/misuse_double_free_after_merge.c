// Freed again after it was merged into the free block before it.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *a = malloc(40), *b = malloc(40), *guard = malloc(40);
    free(a);
    free(b);
    misused(b);
    free(opaque(b));
    free(guard);
    return 0;
}
